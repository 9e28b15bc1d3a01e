"""The recipe for kind ``monitor``: one service that looks on a schedule, in Evidently's environment, beside what it watches.

All that may change without a restart (threshold, schedule, columns, labels, …) stands in a file that it reads again. Must
not know a runtime.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from mlinfra.sdk.bundle import bundled
from mlinfra.sdk.diagnostics import did_you_mean, fail
from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.refs import has_token, references, slot
from mlinfra.sdk.workload import File, JobHandle, Limits, Mount, Port, Probe, Service, Volume, VolumeHandle
from mlinfra_tools.prometheus.watched import COMMON, SHARED, Watching, place
from mlinfra_tools.versions import software

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor

PACKAGE: Final = "driftmonitor"
SCRIPT: Final = "monitor.py"
INSIDE: Final = 8090
START_SECONDS: Final = 60.0
ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",  # no telemetry
    # A look is a small piece of work beside what serves requests: it takes one core at most.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
}
QUESTIONS: Final = (
    "of", "type", "reference", "current", "window", "minimum_rows", "columns", "variants", "metric", "method",
    "column_threshold", "threshold", "every", "cron", "breaches", "cooldown", "keep",
)  # fmt: skip
"""The fields of the kind that are keys of the configuration as they are."""
LABELLED: Final = ("concept_drift", "performance")


def lower(monitor: Monitor, lowering: Lowering) -> Outputs:
    """The service, what it may reach, and the proof that it works.

    Errors: DiagnosticError for a variant that the endpoint does not have.
    """
    left_out = _tell_unsupported(monitor, lowering)
    mounts = {"state": Mount("state", lowering.volume(Volume("reports")))}
    command = [
        slot("python"), slot(f"path:{SCRIPT}"), "--host", slot("host"), "--port", slot("port:http"),
        "--config", slot("path:config.json"), "--state", slot("path:state"),
    ]  # fmt: skip
    if monitor.of is not None:
        _check_variants(monitor, lowering)
        capture = lowering.shared(monitor.of, "capture")
        if isinstance(capture, VolumeHandle):
            mounts["capture"] = Mount("capture", capture, read_only=True)
            command += ["--captures", slot("path:capture")]
        else:
            lowering.unsupported("of", f"{monitor.of} keeps its requests where this provider cannot read them")
    places = _places(monitor, lowering, mounts)
    secrets = {}
    if monitor.notify is not None:
        # The URL of a webhook is often all that it takes to write to it: it is kept like a secret.
        secrets["webhook"] = monitor.notify.webhook
        command += ["--webhook", slot("secret:webhook")]
    triggers = _triggers(monitor, lowering)
    if triggers:
        command += ["--then", slot("trigger:then")]
    config = _config(monitor, lowering, left_out, places)
    service = lowering.service(
        Service(
            name="monitor",
            software=software("evidently"),
            command=tuple(command),
            ports={"http": Port(INSIDE, number=monitor.port, exposed=monitor.expose)},
            probe=Probe("http", "/health", timeout=START_SECONDS),
            env=ENVIRONMENT,
            secrets=secrets,
            files=(
                File(SCRIPT, bundled(PACKAGE, "mlinfra_tools.evidently", "monitor")),
                # Tokens are characters that JSON would escape unless told not to.
                File("config.json", json.dumps(config, ensure_ascii=False, indent=2) + "\n", reload=True),
            ),
            mounts=tuple(mounts.values()),
            limits=_limits(monitor),
            triggers=triggers,
        )
    )
    url = service.urls["http"]
    if "prometheus" in lowering.capabilities:
        webhook = monitor.notify.webhook if monitor.notify is not None else None
        of = str(monitor.of) if monitor.of is not None else None
        lowering.share(SHARED, Watching(lowering.component, place(url), of, webhook))
        lowering.once(COMMON)
    lowering.check("verdict", "mlinfra_tools.evidently.check:verdict", url=url, every=monitor.every)
    return {"url": url, "metrics": f"{url}/metrics"}


def _config(monitor: Monitor, lowering: Lowering, left_out: set[str], places: list[dict[str, str]]) -> dict[str, Any]:
    """The configuration file, in the words of `monitor.config`."""
    config: dict[str, Any] = {"monitor": lowering.component.partition(".")[2]}
    for field in QUESTIONS:
        value = getattr(monitor, field)
        if field not in left_out and value is not None and value != []:
            config[field] = value
    for field in ("reference", "current"):
        if field in config:
            config[field] = _located(config[field], lowering)
    if monitor.current is not None and "timestamp_field" in monitor.model_fields_set:
        config["timestamp_field"] = monitor.timestamp_field
    if monitor.labels is not None and "labels" not in left_out:
        labels = {name: getattr(monitor.labels, name) for name in ("source", "column", "key", "delay")}
        config["labels"] = {**labels, "source": _located(labels["source"], lowering)}
    if places:
        config["places"] = places
    return config


def _located(source: str, lowering: Lowering) -> str:
    """A source as the monitor finds it: a path of the blueprint is one on the machine of the CLI."""
    if has_token(source) or "://" in source:
        return source
    return str(lowering.place.root.absolute() / source)


def _sources(monitor: Monitor) -> dict[str, str]:
    found = {"reference": monitor.reference, "current": monitor.current}
    if monitor.labels is not None and monitor.type in LABELLED:
        found["labels.source"] = monitor.labels.source
    return {field: source for field, source in found.items() if source is not None}


def _places(monitor: Monitor, lowering: Lowering, mounts: dict[str, Mount]) -> list[dict[str, str]]:
    """Mount the volumes that sources stand on; tells the monitor where the start of a URL lies for it."""
    places: dict[str, dict[str, str]] = {}
    for field, source in _sources(monitor).items():
        found = [reference.address.partition("/")[0] for reference in references(source)]
        for component in found:
            volume = lowering.shared(component, "volume")
            if isinstance(volume, VolumeHandle):
                name = component.replace(".", "-")
                mounts[component] = Mount(name, volume, read_only=True)
                places[component] = {"url": volume.url, "path": slot(f"path:{name}")}
        scheme = "" if has_token(source) else urlsplit(source).scheme
        if not found and scheme not in ("", "file", "http", "https"):
            lowering.unsupported(field, f"{scheme}:// is not read here; a storage component or http(s):// is")
        elif not found and scheme in ("", "file") and "images" in lowering.capabilities:
            lowering.unsupported(field, "a path of this machine is not seen in a container; a storage component is")
    return list(places.values())


def _triggers(monitor: Monitor, lowering: Lowering) -> dict[str, JobHandle]:
    if monitor.then is None:
        return {}
    job = lowering.shared(monitor.then, "job")
    if isinstance(job, JobHandle) and job.trigger:
        return {"then": job}
    lowering.unsupported("then", f"{monitor.then} cannot be started from a service here; a breach is told only")
    return {}


def _check_variants(monitor: Monitor, lowering: Lowering) -> None:
    offered = lowering.shared(str(monitor.of), "variants")
    for name in monitor.variants if offered is not None else ():
        if not has_token(name) and name not in offered:
            raise fail(
                "variant-unknown",
                "Unknown variant",
                f'{monitor.of} has no variant "{name}".{did_you_mean(name, offered)}',
                f"It has: {', '.join(offered)}. Correct the name, or leave `variants` out to look at all.",
            )


def _limits(monitor: Monitor) -> Limits:
    wanted = monitor.resources
    return Limits() if wanted is None else Limits(wanted.cpu, wanted.memory)


def _tell_unsupported(monitor: Monitor, lowering: Lowering) -> set[str]:
    """Say what of the kind has no meaning for this type or no way here; gives the fields that are left out for it."""
    labelled = monitor.type in LABELLED
    reasons = {
        "labels": None if labelled else f"{monitor.type} does not look at labels",
        "metric": None if labelled else f"{monitor.type} has a score of its own",
        "columns": f"{monitor.type} looks at predictions and labels only" if labelled else None,
        "method": None if monitor.type == "data_drift" else f"{monitor.type} is not measured a column at a time",
        "timestamp_field": None if monitor.of is None else "captured requests tell their time themselves",
    }
    if monitor.type != "data_drift":
        reasons["column_threshold"] = reasons["method"]
    elif monitor.method is None:
        reasons["column_threshold"] = "it means nothing without `method`: each column is measured by what suits it"
    left_out = {
        field
        for field, reason in reasons.items()
        if reason and field in monitor.model_fields_set and getattr(monitor, field) not in (None, [])
    }
    for field in sorted(left_out):
        lowering.unsupported(field, str(reasons[field]))
    if monitor.resources is not None:
        if monitor.resources.gpu:
            lowering.unsupported("resources.gpu", "Evidently uses none")
        if monitor.resources.instance is not None:
            lowering.unsupported("resources.instance", "there are no instance types here: give cpu and memory")
    return left_out
