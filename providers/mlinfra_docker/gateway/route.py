"""Routes: one HAProxy in front of services, and what it does with requests. Declares only."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.refs import ref
from mlinfra.sdk.workload import Rollout, Route, RouteHandle, Target
from mlinfra_docker.addresses import Reached
from mlinfra_docker.gateway.control import placed
from mlinfra_docker.gateway.haproxy import CONFIG, METRICS, Settings, configuration
from mlinfra_docker.gateway.traffic import SETTLED, RouteHealth, Traffic
from mlinfra_docker.naming import LOCAL, alias

if TYPE_CHECKING:
    from mlinfra_docker.runtime import DockerRuntime

IMAGE: Final = "haproxy:2.6"
FIRST_HOLD: Final = 60.0
"""Seconds that requests wait at a gateway that was told nothing yet."""


def gateway_name(route: str, lowering: Lowering) -> str:
    """The name of a route's gateway among the resources of its component."""
    return "gateway" if route == lowering.component.partition(".")[2] else f"{route}-gateway"


def gateway(route: Route, lowering: Lowering, runtime: DockerRuntime) -> RouteHandle:
    """A container with HAProxy, which at first lets requests wait, and the `docker.route` that tells it where they go."""
    name = gateway_name(route.name, lowering)
    called = runtime.names.object(lowering.component, name)
    host, port = alias(lowering.component, name), route.port.inside
    number = runtime.number(route.port, name, "http", lowering)
    container = lowering.resource(
        "docker.container",
        name,
        {
            "name": called,
            "image": runtime.names.image(IMAGE),
            "command": ["haproxy", "-W", "-db", "-f", CONFIG],
            "files": placed(waiting(port)),
            "networks": runtime.network(lowering, host),
            "ports": {f"{port}/tcp": runtime.published(route.port, number)},
            "restart_policy": "unless-stopped",
            "cap_drop": ["ALL"],
        },
        label="gateway",
    )
    fields: dict[str, Any] = {
        "name": called,
        "gateway": container.ref("id"),
        "port": port,
        "targets": [
            {
                "name": target.name,
                "port": _reached(target).ports[target.port],
                "weight": target.weight,
                "shadow": target.shadow,
            }
            for target in route.targets
        ],
        "servers": {
            target.name: [ref(address, "id") for address in _reached(target).addresses] for target in route.targets
        },
        "health": asdict(route.health),
        "sticky": route.sticky,
        "timeout": route.timeout,
        "hold": route.hold,
        "repeat": route.repeat,
        "metrics": route.metrics,
        "rollout": _rollout(route.rollout),
        "phase": SETTLED,
    }
    handle = lowering.resource("docker.route", route.name, fields, label="weights")
    url = runtime.addresses.announce(handle, f"http://{LOCAL}:{number}", f"http://{host}:{port}")
    return RouteHandle(handle.address, url, f"{host}:{METRICS}")


def waiting(port: int) -> str:
    """The configuration of a gateway that was told nothing yet: requests wait."""
    health = RouteHealth.model_validate({})
    return configuration(Traffic((), {}), Settings(port, health, None, FIRST_HOLD, FIRST_HOLD, False, None, None))


def _rollout(wanted: Rollout | None) -> dict[str, Any] | None:
    if wanted is None:
        return None
    told = asdict(wanted)
    # A token may stand for all of them.
    return {**told, "steps": list(told["steps"]) if isinstance(told["steps"], tuple) else told["steps"]}


def _reached(target: Target) -> Reached:
    reached: Reached = target.service.runtime
    return reached
