"""Routes: one HAProxy in front of services. It reads its configuration again on a signal, so a change of weights loses no
request. Declares only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.workload import Route, RouteHandle, Target
from mlinfra_docker.addresses import Reached
from mlinfra_docker.haproxy import Backend, configuration
from mlinfra_docker.naming import LOCAL, alias

if TYPE_CHECKING:
    from mlinfra_docker.runtime import DockerRuntime

IMAGE: Final = "haproxy:2.6"
CONFIG: Final = "/usr/local/etc/haproxy/haproxy.cfg"
RELOAD: Final = "SIGUSR2"
"""Has HAProxy's master start workers with the new file; the old ones answer what they have and end."""


def gateway(route: Route, lowering: Lowering, runtime: DockerRuntime) -> RouteHandle:
    """HAProxy with the route's weights, health checks and stickiness."""
    shadows = [target.name for target in route.targets if target.shadow]
    if shadows:
        lowering.unsupported("variants.shadow", f"no copies are sent to {', '.join(shadows)}")
    targets = [target for target in route.targets if not target.shadow]
    text = configuration(
        [_backend(target) for target in targets],
        port=route.port.inside,
        health=route.health,
        sticky=route.sticky,
        timeout=route.timeout,
        hold=route.hold,
        repeat=route.repeat,
    )
    own = lowering.component.partition(".")[2]
    name = "gateway" if route.name == own else f"{route.name}-gateway"
    host = alias(lowering.component, name)
    number = runtime.number(route.port, name, "http", lowering)
    handle = lowering.resource(
        "docker.container",
        name,
        {
            "name": runtime.names.object(lowering.component, name),
            "image": runtime.names.image(IMAGE),
            "command": ["haproxy", "-W", "-db", "-f", CONFIG],
            "live_files": {CONFIG: {"content": text, "signal": RELOAD}},
            "networks": runtime.network(lowering, host),
            "ports": {f"{route.port.inside}/tcp": runtime.published(route.port, number)},
            "restart_policy": "unless-stopped",
            "cap_drop": ["ALL"],
        },
        after=[address for target in targets for address in _reached(target).addresses],
        label="gateway",
    )
    url = runtime.addresses.announce(handle, f"http://{LOCAL}:{number}", f"http://{host}:{route.port.inside}")
    return RouteHandle(handle.address, url)


def _backend(target: Target) -> Backend:
    reached = _reached(target)
    return Backend(target.name, target.weight, reached.hosts, reached.ports[target.port])


def _reached(target: Target) -> Reached:
    reached: Reached = target.service.runtime
    return reached
