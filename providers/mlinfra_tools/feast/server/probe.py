"""Looks at what a repository really is: the definitions in Feast's registry file, and what its online store holds of them.

Reads only, and never through Feast's caches.
"""

# Feast and what comes with it are in the workload's environment only.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .feature_types import BY_VALUE
from .layout import Definition, Layout, Record, digest, local_source, source_state
from .online import NotReadable, OnlineStore

READY = "ready"


def describe(layout: Layout, online: OnlineStore, record: Record | None) -> dict[str, Any] | None:
    """The live repository: its definition as the registry holds it, and under ``store`` what is wrong in words, or
    ``ready``. None if nothing was ever applied here."""
    if record is None and not layout.config.exists():
        return None
    if record is None:
        return {"store": "the record of the last apply is gone"}
    definition = record.definition
    registered = read_registry(layout.registry, definition["project"])
    if registered is None:
        # What is in no registry cannot be told from it; the one line that says so is enough.
        registered = {"entities": definition["entities"], "views": definition["views"], "online": serves(definition)}
    return {
        "project": definition["project"],
        "materialise": definition.get("materialise"),
        "online": serves(definition),
        **registered,
        "missing": {name: missing(record, name) for name in record.views if not has_data(record, name)},
        "store": "; ".join(problems(layout, online, record)) or READY,
        "materialised": max((view["materialised"] or "" for view in record.views.values()), default=""),
    }


def problems(layout: Layout, online: OnlineStore, record: Record) -> Iterator[str]:
    """What keeps the repository from being as its record says, each in a few words."""
    if record.status == "applying":
        yield "the last apply was cut off"
        return
    if record.status == "failed":
        yield f"the last apply failed: {record.reason}"
        return
    for name, expected in record.files.items():
        found = digest(layout.folder / name)
        if found != expected:
            yield f"{name} is gone" if found is None else f"{name} was edited"
    registered = read_registry(layout.registry, record.definition["project"])
    unknown = [] if registered is None else [name for name in record.views if name not in registered["views"]]
    if registered is None and record.views:
        yield "registry is empty" if layout.registry.exists() else "registry is gone"
    elif unknown:
        yield f"{', '.join(unknown)} is gone from the registry"
    if not serves(record.definition):
        return
    try:
        tables = online.filled(record.definition["project"], record.views)
    except NotReadable as error:
        yield str(error)
        return
    views = {name: view for name, view in record.views.items() if name not in unknown}
    lost = [name for name in views if name not in tables]
    if lost and len(lost) == len(record.views):
        yield "online store has lost its tables"
    elif lost:
        yield f"online table of {', '.join(lost)} is gone"
    for name, view in views.items():
        filled = tables.get(name)
        if filled is False and view["filled"]:
            yield f"online table of {name} is empty"
        waits = filled is False and not view["filled"] and view["materialised"] is None
        if waits and (record.definition.get("materialise") or {}).get("on_apply", True) and has_data(record, name):
            yield f"{name} is not materialised yet"


def serves(definition: Definition) -> bool:
    """Whether the latest values are served online."""
    return bool(definition.get("online", True))


def missing(record: Record, view: str) -> str:
    """What is missing of a view that has no data, in words."""
    source = record.definition["views"][view]["source"]
    found = local_source(source)
    if record.views[view].get("source") is not None:
        return f"its source {source} is gone"
    return f"its source {source} {'has no file' if found is not None and found.is_dir() else 'does not exist'} yet"


def has_data(record: Record, view: str) -> bool:
    """Whether a view's source holds a file. One that is not on a local disk is taken to."""
    return source_state(record.definition["views"][view]["source"]) is not None


def read_registry(path: Path, project: str) -> dict[str, Any] | None:
    """The entities and views of a project in the form of a definition; None if the file is missing or knows no project."""
    from feast.protos.feast.core.Registry_pb2 import Registry
    from google.protobuf.message import DecodeError

    registry = Registry()
    try:
        registry.ParseFromString(path.read_bytes())
    except (OSError, DecodeError):
        return None
    entities = {e.spec.name: e.spec for e in registry.entities if e.spec.project == project}
    views = {v.spec.name: v.spec for v in registry.feature_views if v.spec.project == project}
    entities.pop("__dummy", None)
    if not entities and not views:
        return None
    told = {"online": all(spec.online for spec in views.values())} if views else {}
    return {
        **told,
        "entities": {name: _entity(spec) for name, spec in sorted(entities.items())},
        "views": {name: _view(spec) for name, spec in sorted(views.items())},
    }


def _entity(spec: Any) -> dict[str, Any]:
    told = {"join_key": spec.join_key, "type": _type(spec.value_type), "description": spec.description}
    return {name: value for name, value in told.items() if value}


def _view(spec: Any) -> dict[str, Any]:
    source = spec.batch_source
    told = {
        "entities": [name for name in spec.entities if name != "__dummy"],
        "source": source.file_options.uri,
        "timestamp_field": source.timestamp_field,
        "created_field": source.created_timestamp_column,
        "ttl": spec.ttl.seconds + spec.ttl.nanos / 1e9,
        "features": {feature.name: _type(feature.value_type) for feature in spec.features},
        "description": spec.description,
    }
    return {name: value for name, value in told.items() if value}


def _type(value_type: int) -> str:
    from feast.protos.feast.types.Value_pb2 import ValueType

    name = ValueType.Enum.Name(value_type)
    return BY_VALUE.get(name, name.lower())
