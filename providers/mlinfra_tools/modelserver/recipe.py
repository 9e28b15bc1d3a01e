"""The recipe for kind ``endpoint``: one model server a variant and one route in front of them all.

What may change without a restart (the version, cache, batching, capture) stands in a file that the server reads again;
weights, shadow and stickiness belong to the route alone. Must not know a runtime.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlinfra.sdk.diagnostics import did_you_mean, fail
from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import (
    File,
    Limits,
    Mount,
    Port,
    Probe,
    Route,
    Service,
    ServiceHandle,
    Software,
    Target,
    Volume,
    VolumeHandle,
)
from mlinfra_tools.modelserver.bundle import server_script
from mlinfra_tools.versions import TOOLS, software

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Endpoint
    from mlinfra.kinds.units import ModelRef

INSIDE = 8080
START_SECONDS = 180.0
"""A first start imports MLflow and the model's library, which takes ten seconds here and more on a busy machine."""


def lower(endpoint: Endpoint, lowering: Lowering) -> Outputs:
    """Services, route and check of one endpoint.

    Errors: DiagnosticError for a model or alias that its registry does not offer.
    """
    name = lowering.component.partition(".")[2]
    _tell_unsupported(endpoint, lowering)
    capture = lowering.volume(Volume("capture", data=True))
    models = lowering.volume(Volume("models"))
    targets: list[Target] = []
    urls: dict[str, str] = {}
    versions: dict[str, str] = {}
    for variant_name, variant in endpoint.variants.items():
        version = _version(variant.model, lowering)
        service = _service(name, variant_name, endpoint, version, capture, models, lowering)
        targets.append(Target(variant_name, service, "http", weight=int(variant.weight), shadow=variant.shadow))
        urls[variant_name] = service.urls["http"]
        versions[variant_name] = version
        lowering.headline(variant_name, version)
    route = lowering.route(
        Route(name, tuple(targets), Port(INSIDE, number=endpoint.port), health="/ping", sticky=endpoint.sticky)
    )
    lowering.share("capture", capture)
    lowering.share("variants", tuple(endpoint.variants))
    lowering.check(
        "prediction",
        "mlinfra_tools.modelserver.check:predict",
        url=route.url,
        variants=urls,
        versions=versions,
    )
    return {"url": route.url, "capture": capture.path}


def _service(
    name: str,
    variant_name: str,
    endpoint: Endpoint,
    version: str,
    capture: VolumeHandle,
    models: VolumeHandle,
    lowering: Lowering,
) -> ServiceHandle:
    variant = endpoint.variants[variant_name]
    limits = _limits(endpoint)
    config = {
        "endpoint": name,
        "variant": variant_name,
        "model": variant.model.model,
        "version": version,
        "tracking_uri": lowering.outputs(variant.model.component)["url"],
        **_settings(endpoint),
    }
    command = (
        slot("python"), slot("path:server.py"), "--host", slot("host"), "--port", slot("port:http"),
        "--config", slot("path:config.json"), "--captures", slot("path:capture"), "--models", slot("path:models"),
    )  # fmt: skip
    return lowering.service(
        Service(
            name=variant_name,
            software=_software(endpoint, lowering),
            command=command,
            ports={"http": Port(INSIDE)},
            probe=Probe("http", "/ready", timeout=START_SECONDS),
            # Predictions are small and four run side by side: more threads within one only take memory and turns.
            env={"OMP_NUM_THREADS": str(max(1, math.ceil(limits.cpu or 1))), "MLFLOW_DISABLE_TELEMETRY": "true"},
            files=(
                File("server.py", server_script()),
                # Tokens are characters that JSON would escape unless told not to.
                File("config.json", json.dumps(config, ensure_ascii=False, indent=2) + "\n", reload=True),
            ),
            mounts=(Mount("capture", capture), Mount("models", models)),
            limits=limits,
            replicas=_replicas(endpoint, lowering),
        )
    )


def _version(model: ModelRef, lowering: Lowering) -> str:
    """The version that a reference names, or a token for the one that its alias points at."""
    if model.version is not None:
        return str(model.version)
    offered: Mapping[str, Any] = lowering.outputs(model.component).get("models", {})
    aliases: Mapping[str, Any] = offered.get(model.model, {})
    if model.model not in offered or model.alias not in aliases:
        wanted, known = (model.alias or "", aliases) if model.model in offered else (model.model, offered)
        what = (
            f'model "{model.model}" has no alias "{wanted}"'
            if model.model in offered
            else f'there is no model "{wanted}"'
        )
        listed = ", ".join(sorted(known)) or "none"
        raise fail(
            "model-unknown",
            "Unknown model",
            f"In {model.component}, {what}.{did_you_mean(wanted, known)}",
            f"It declares: {listed}. Add it to {model.component}, or correct the reference.",
        )
    return str(aliases[model.alias])


def _software(endpoint: Endpoint, lowering: Lowering) -> Software:
    """The server's own software; with what the models need, if the blueprint says what that is."""
    own = software("modelserver")
    wanted = dict.fromkeys(endpoint.requirements)
    if not wanted:
        for link in endpoint.links():
            wanted.update(dict.fromkeys(lowering.shared(link.component, "requirements") or ()))
    if not wanted:
        return own
    return Software(own.image, (*TOOLS["modelserver"].requirements, *wanted))


def _settings(endpoint: Endpoint) -> dict[str, Any]:
    """What the server does with requests, in the words of its configuration file."""
    found: dict[str, Any] = {}
    if endpoint.capture is not None:
        found["capture"] = {"sample": endpoint.capture.sample, "days": endpoint.capture.keep / 86_400}
    if endpoint.cache is not None:
        found["cache"] = {"ttl": endpoint.cache.ttl, "entries": endpoint.cache.entries}
    if endpoint.batching is not None:
        found["batching"] = {"max_rows": endpoint.batching.max_size, "max_wait": endpoint.batching.max_wait}
    return found


def _limits(endpoint: Endpoint) -> Limits:
    wanted = endpoint.resources
    return Limits() if wanted is None else Limits(wanted.cpu, wanted.memory, wanted.gpu)


def _replicas(endpoint: Endpoint, lowering: Lowering) -> int:
    low = endpoint.scale.replicas.low if endpoint.scale is not None else 1
    return low if "replicas" in lowering.capabilities else 1


def _tell_unsupported(endpoint: Endpoint, lowering: Lowering) -> None:
    """Say what the runtime cannot do, by what it offers and never by its name."""
    can = lowering.capabilities
    scale, rollout = endpoint.scale, endpoint.rollout
    if scale is not None:
        if "replicas" not in can and scale.replicas.high > 1:
            lowering.unsupported("scale.replicas", "one process a variant")
        if "autoscaling" not in can and scale.target is not None:
            lowering.unsupported("scale.target", "the number of replicas does not follow the load")
    if rollout is not None and "canary" not in can:
        lowering.unsupported("rollout", "a new version takes over in one step, once it is loaded")
    if endpoint.resources is not None and endpoint.resources.gpu and "gpu" not in can:
        lowering.unsupported("resources.gpu")
