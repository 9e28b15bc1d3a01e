"""The recipe for kind ``endpoint``: one model server a variant and one route in front of them all.

What may change without a restart (the version, cache, batching, capture) stands in a file that the server reads again;
weights, shadow, stickiness, health and timeout belong to the route alone. Must not know a runtime.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import (
    File,
    HealthCheck,
    Limits,
    Mount,
    Port,
    Probe,
    Rollout,
    Route,
    RouteHandle,
    Service,
    ServiceHandle,
    Software,
    Target,
    Volume,
)
from mlinfra_tools.modelserver.bundle import server_script
from mlinfra_tools.modelserver.sources import Source, source
from mlinfra_tools.prometheus.watched import SHARED, Serving
from mlinfra_tools.versions import TOOLS, software

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Endpoint

INSIDE = 8080
ERROR_RATE = 0.05
"""The share of failed requests above which it is told, unless the rollout says which share is too much."""


def lower(endpoint: Endpoint, lowering: Lowering) -> Outputs:
    """Services, route and check of one endpoint.

    Errors: DiagnosticError for a model that cannot be found.
    """
    name = lowering.component.partition(".")[2]
    _tell_unsupported(endpoint, lowering)
    # The volume stays when capture is switched off: what was captured is not lost by that.
    capture = lowering.volume(Volume("capture", data=True))
    folders = (Mount("capture", capture), Mount("models", lowering.volume(Volume("models"))))
    stepwise = _rollout(endpoint, lowering)
    targets: list[Target] = []
    versions: dict[str, str] = {}
    services: dict[str, tuple[ServiceHandle, Source]] = {}
    for variant_name, variant in endpoint.variants.items():
        model = source(variant_name, variant, lowering)
        service = _service(name, variant_name, endpoint, model, folders, lowering, reload=stepwise is None)
        targets.append(Target(variant_name, service, "http", weight=variant.weight, shadow=variant.shadow))
        versions[variant_name] = model.version
        if stepwise is None:
            _served(variant_name, endpoint, service, model, (service.address,), lowering)
        else:
            services[variant_name] = (service, model)
    route = lowering.route(_route(name, endpoint, targets, stepwise))
    for variant_name, (service, model) in services.items():
        # A version serves once its rollout is over: until then the one before it does.
        _served(variant_name, endpoint, service, model, (service.address, route.address), lowering)
    lowering.share("variants", tuple(endpoint.variants))
    if "prometheus" in lowering.capabilities:
        lowering.share(SHARED, _watchable(endpoint, route, targets, lowering))
    outputs: dict[str, Any] = {"url": route.url}
    if endpoint.capture is not None:
        lowering.share("capture", capture)
        if capture.path:
            outputs["capture"] = capture.path
    lowering.check(
        "prediction",
        "mlinfra_tools.modelserver.check:predict",
        url=route.url,
        variants={target.name: target.service.urls["http"] for target in targets},
        versions=versions,
        token=endpoint.auth.token if endpoint.auth is not None else None,
    )
    return outputs


def _watchable(endpoint: Endpoint, route: RouteHandle, targets: list[Target], lowering: Lowering) -> Serving:
    """What a Prometheus is told, if a monitor brings one."""
    limits = endpoint.rollout.rollback if endpoint.rollout is not None else None
    rate = limits.error_rate if limits is not None else None
    return Serving(
        lowering.component,
        route.metrics,
        {target.name: target.service.instances[target.port] for target in targets},
        ERROR_RATE if rate is None or opaque(rate) else rate,
        endpoint.auth.token if endpoint.auth is not None else None,
    )


def _served(
    variant: str,
    endpoint: Endpoint,
    service: ServiceHandle,
    model: Source,
    after: tuple[str, ...],
    lowering: Lowering,
) -> None:
    """What waits until the version is in force, and tells which one is."""
    served = lowering.resource(
        "modelserver.deployment",
        variant,
        {
            "url": service.urls["http"],
            "model": model.model,
            "version": model.version,
            "start": endpoint.health.start,
        },
        after=after,
        label=f"{variant} serving",
    )
    lowering.headline(variant, served.ref("version"))


def _rollout(endpoint: Endpoint, lowering: Lowering) -> Rollout | None:
    """How a new version takes over, where the runtime can do it step by step: beside the old one, in servers of its own. None:
    each server takes it over by itself, in one step."""
    wanted = endpoint.rollout
    if wanted is None or "canary" not in lowering.capabilities:
        return None
    steps: Any = wanted.canary
    limits = wanted.rollback
    return Rollout(
        steps if opaque(steps) else tuple(steps),
        wanted.bake,
        limits.error_rate if limits else None,
        limits.latency if limits else None,
    )


def _route(name: str, endpoint: Endpoint, targets: list[Target], rollout: Rollout | None) -> Route:
    health = endpoint.health
    return Route(
        name,
        tuple(targets),
        Port(INSIDE, number=endpoint.port, exposed=endpoint.expose),
        # A server that loads another version beside the one that serves is not /ready, and must still get requests.
        health=HealthCheck("/ping", health.every, health.timeout, health.failures),
        sticky=endpoint.sticky,
        timeout=endpoint.timeout,
        # Whoever may wait so long for an answer may wait so long for a server that is being restarted.
        hold=endpoint.timeout,
        # A prediction asked twice changes nothing.
        repeat=True,
        metrics="/metrics",
        rollout=rollout,
    )


def _service(
    name: str,
    variant: str,
    endpoint: Endpoint,
    model: Source,
    folders: tuple[Mount, ...],
    lowering: Lowering,
    *,
    reload: bool,
) -> ServiceHandle:
    limits = _limits(endpoint)
    config = {
        "endpoint": name,
        "variant": variant,
        "model": model.model,
        "version": model.version,
        **model.place,
        **_settings(endpoint),
    }
    command = [
        *(slot("python"), slot("path:server.py"), "--host", slot("host"), "--port", slot("port:http")),
        *("--config", slot("path:config.json"), "--captures", slot("path:capture"), "--models", slot("path:models")),
    ]
    secrets: dict[str, str] = {}
    if endpoint.auth is not None:
        command += ["--token-file", slot("secret:token")]
        secrets["token"] = endpoint.auth.token
    # Predictions are small and four run side by side: more threads within one only take memory and turns.
    env = {"OMP_NUM_THREADS": str(_threads(limits)), "MLFLOW_DISABLE_TELEMETRY": "true"}
    return lowering.service(
        Service(
            name=variant,
            software=_software(endpoint, model),
            command=tuple(command),
            ports={"http": Port(INSIDE)},
            probe=Probe("http", "/ready", timeout=endpoint.health.start),
            env={**env, **endpoint.env},
            secrets=secrets,
            files=(
                File("server.py", server_script()),
                # Tokens are characters that JSON would escape unless told not to.
                File("config.json", json.dumps(config, ensure_ascii=False, indent=2) + "\n", reload=reload),
            ),
            mounts=(*folders, *model.mounts),
            limits=limits,
            replicas=_replicas(endpoint, lowering),
            behind=name,
        )
    )


def _software(endpoint: Endpoint, model: Source) -> Software:
    """The server's own software; with what the model needs, as the blueprint says it, or its training, or its folder."""
    own = software("modelserver")
    wanted = dict.fromkeys(endpoint.requirements or model.requirements)
    if not wanted:
        return own
    return Software(own.image, (*TOOLS["modelserver"].requirements, *wanted))


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    """What the server does with requests, in the words of its configuration file."""
    found: dict[str, Any] = {}
    if endpoint.capture is not None:
        found["capture"] = {"sample": endpoint.capture.sample, "keep": endpoint.capture.keep}
    if endpoint.cache is not None:
        found["cache"] = {"ttl": endpoint.cache.ttl, "entries": endpoint.cache.entries}
    if endpoint.batching is not None:
        found["batching"] = {"max_rows": endpoint.batching.max_size, "max_wait": endpoint.batching.max_wait}
    return found


def _limits(endpoint: Endpoint) -> Limits:
    wanted = endpoint.resources
    return Limits() if wanted is None else Limits(wanted.cpu, wanted.memory, wanted.gpu)


def _threads(limits: Limits) -> int:
    return 1 if limits.cpu is None or opaque(limits.cpu) else max(1, math.ceil(limits.cpu))


def _replicas(endpoint: Endpoint, lowering: Lowering) -> int:
    """The number to begin with; one where they come and go by themselves, or the runtime has only one."""
    if endpoint.scale is None or opaque(endpoint.scale.replicas) or "replicas" not in lowering.capabilities:
        return 1
    return max(1, endpoint.scale.replicas.low)


def _tell_unsupported(endpoint: Endpoint, lowering: Lowering) -> None:
    """Say what the runtime cannot do, by what it offers and never by its name."""
    can = lowering.capabilities
    scale, rollout, resources = endpoint.scale, endpoint.rollout, endpoint.resources
    if scale is not None:
        several = opaque(scale.replicas) or scale.replicas.high > 1 or scale.replicas.low != 1
        if "replicas" not in can and several:
            lowering.unsupported("scale.replicas", "one process a variant")
        if "autoscaling" not in can and scale.target is not None:
            lowering.unsupported("scale.target", "the number of replicas does not follow the load")
    if rollout is not None and "canary" not in can:
        if len(rollout.canary) > 1 or opaque(rollout.canary):
            lowering.unsupported("rollout.canary", "a new version takes over in one step, once it is loaded")
        if rollout.rollback is not None:
            lowering.unsupported("rollout.rollback", "only a version that cannot be loaded leaves the old one serving")
        if "bake" in rollout.model_fields_set:
            lowering.unsupported("rollout.bake", "a new version is not watched")
    if resources is not None:
        if resources.gpu and "gpu" not in can:
            lowering.unsupported("resources.gpu")
        if resources.instance is not None and "instances" not in can:
            lowering.unsupported("resources.instance", "it has no instance types: give cpu and memory")
