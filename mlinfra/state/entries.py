"""The entries of a journal: what was about to be done, and what came of it. Plain data that survives JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from mlinfra.state.snapshot import ResourceState


@dataclass(frozen=True, slots=True)
class Intent:
    """A call is about to be made. ``fields`` are the desired ones, secrets as fingerprints; ``token`` is its client token;
    ``dependencies`` are the addresses that the resource stands on, so that what a cut-off run left is deleted before them."""

    sort: ClassVar[str] = "intent"
    address: str
    action: str
    type: str
    id: str
    token: str
    fields: Mapping[str, Any]
    dependencies: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Created:
    """A create returned this id; whether the object can be used is not known yet."""

    sort: ClassVar[str] = "created"
    address: str
    id: str


@dataclass(frozen=True, slots=True)
class Done:
    """An action succeeded; the resource is now as ``entry`` says."""

    sort: ClassVar[str] = "done"
    address: str
    action: str
    entry: ResourceState


@dataclass(frozen=True, slots=True)
class SetAside:
    """The object is about to be replaced by one beside it: it is kept under the address ``to`` until it is deleted."""

    sort: ClassVar[str] = "set-aside"
    address: str
    to: str


@dataclass(frozen=True, slots=True)
class Deleted:
    """The object is gone, or no longer ours."""

    sort: ClassVar[str] = "deleted"
    address: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An action failed; what it left behind is not known."""

    sort: ClassVar[str] = "failed"
    address: str
    action: str
    error: str


Entry = Intent | Created | Done | SetAside | Deleted | Failed

_SORTS: dict[str, Any] = {cls.sort: cls for cls in (Intent, Created, Done, SetAside, Deleted, Failed)}


def to_json(entry: Entry) -> dict[str, Any]:
    """An entry as JSON values."""
    record: dict[str, Any] = {"sort": entry.sort}
    for part in fields(entry):
        value = getattr(entry, part.name)
        record[part.name] = value.to_json() if isinstance(value, ResourceState) else value
    return record


def intent_record(intent: Intent) -> dict[str, Any]:
    """An intent as a snapshot keeps it: ``Intent(**record)`` is it again."""
    return {part.name: getattr(intent, part.name) for part in fields(intent)}


def from_json(record: dict[str, Any]) -> Entry:
    """The entry that `to_json` wrote.

    Errors: KeyError or TypeError if it is not one.
    """
    values = dict(record)
    sort = values.pop("sort")
    if sort == Done.sort:
        values["entry"] = ResourceState.from_json(values["address"], values["entry"])
    found: Entry = _SORTS[sort](**values)
    return found
