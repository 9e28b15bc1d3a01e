"""What happens while a plan is made or applied: plain records, handed to a callback. Views turn them into text or JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from mlinfra.sdk.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class Refreshing:
    """Live objects are about to be read."""

    objects: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Live objects were read, in so many calls and seconds."""

    objects: int
    calls: int
    seconds: float


@dataclass(frozen=True, slots=True)
class LockWaiting:
    """Another run holds the lock; ``detail`` says who and since when."""

    detail: str


@dataclass(frozen=True, slots=True)
class ApplyStarted:
    """The nodes of a plan are about to be executed."""

    nodes: int


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node's call is about to be made."""

    address: str
    action: str
    label: str


@dataclass(frozen=True, slots=True)
class NodeProgress:
    """What a long step does now, in a few words."""

    address: str
    text: str


@dataclass(frozen=True, slots=True)
class NodeDone:
    """A node succeeded, in so many seconds; ``detail`` is what there is to tell of it."""

    address: str
    action: str
    label: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NodeFailed:
    """A node failed. Its dependents will not be tried."""

    address: str
    action: str
    label: str
    seconds: float
    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class NodesSkipped:
    """Nodes that were not tried because something they need failed (or, with no ``because``, because of an interrupt)."""

    addresses: tuple[str, ...]
    because: str


@dataclass(frozen=True, slots=True)
class ApplyFinished:
    """The run is over and what succeeded is recorded."""

    done: int
    failed: int
    skipped: int
    seconds: float
    interrupted: bool


Event = (
    Refreshing
    | Refreshed
    | LockWaiting
    | ApplyStarted
    | NodeStarted
    | NodeProgress
    | NodeDone
    | NodeFailed
    | NodesSkipped
    | ApplyFinished
)
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `Emit` for callers who do not watch."""


def event_fields(event: Event) -> dict[str, Any]:
    """An event as a flat record of JSON values: its name under ``event``, then its fields."""
    record: dict[str, Any] = {"event": _snake(type(event).__name__)}
    for field in fields(event):
        value = getattr(event, field.name)
        if isinstance(value, Diagnostic):
            value = {"code": value.code, "summary": value.summary, "detail": value.detail, "remedy": value.remedy}
        elif isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, float):
            value = round(value, 3)
        record[field.name] = value
    return record


def _snake(name: str) -> str:
    return "".join(("_" + letter.lower()) if letter.isupper() else letter for letter in name).lstrip("_")
