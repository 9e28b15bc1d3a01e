"""`Plan`: the exact program of an apply, and what people are told about it. Plain data that survives JSON.

A plan's nodes are executed as they stand: apply plans nothing anew. Node fields hold tokens where a value is known only
when an earlier node is done, and fingerprints in the place of secrets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mlinfra.engine.values import decode, encode
from mlinfra.sdk.diagnostics import fail

FORMAT = 1

Action = Literal["create", "update", "replace", "delete", "run", "wait", "adopt", "forget"]
Reason = Literal["changed", "drift", "reset", "unknown"]


@dataclass(frozen=True, slots=True)
class Change:
    """One field that will change: what is there now, what will be, and why.

    ``reason``: ``changed`` (the blueprint or a referenced value did), ``drift`` (somebody changed the live object),
    ``reset`` (the field left the blueprint), ``unknown`` (only the apply can tell).
    """

    path: str
    before: Any
    after: Any
    reason: Reason
    forces_replacement: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One operation on one resource.

    ``id`` is unique in the plan: the address, or the address with ``!delete`` or ``!run``. ``after`` are ids of nodes that
    must be done first. ``object_id`` and ``before`` say which live object is meant and what it is like; ``fields`` is what
    it shall be. A replace is two nodes: ``<address>!delete`` (``replaced=True``) and ``<address>`` with action ``replace``. If
    the successor can exist beside the object, ``aside`` is the address to which that is moved first, and the delete is of
    that address.
    """

    id: str
    address: str
    type: str
    action: Action
    component: str = ""
    label: str = ""
    summary: str = ""
    changes: tuple[Change, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    object_id: str = ""
    dependencies: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    replaced: bool = False
    aside: str = ""
    would_lose: str = ""
    live: str | None = None
    """Fingerprint of the live object when the plan was made; None if there was none or it was not read."""
    outside: str | None = None
    """Fingerprint of what it shall be, for a type that takes a part of that from files or environment variables."""


@dataclass(frozen=True, slots=True)
class Headline:
    """A change said at the level of the component: ``endpoint.fraud  champion  3 → 4``."""

    component: str
    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Note:
    """What a component asks for and this provider cannot do, or another remark that belongs to a component."""

    component: str
    text: str
    unsupported: bool = False


@dataclass(frozen=True, slots=True)
class Cost:
    """What reading the world took."""

    objects: int = 0
    calls: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What an apply will do, and what must still hold when it does.

    ``records`` are resources whose state entry is brought up to date without a call (found after a crash, followed
    values): address → state entry as JSON, or None to drop it.
    """

    blueprint: str
    environment: str
    destroy: bool
    created_at: str
    version: str
    digest: str
    lineage: str
    serial: int
    salt: str
    providers: Mapping[str, str]
    nodes: tuple[Node, ...]
    unchanged: int
    headlines: tuple[Headline, ...] = ()
    notes: tuple[Note, ...] = ()
    records: Mapping[str, Any] = field(default_factory=dict)
    cost: Cost = Cost()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.nodes

    def counts(self) -> dict[str, int]:
        """How many to ``add``, ``change``, ``destroy``, ``run`` and ``wait``; a replacement adds one and destroys one."""
        counts = {"add": 0, "change": 0, "destroy": 0, "run": 0, "wait": 0}
        for node in self.nodes:
            for name in _COUNTED[node.action]:
                counts[name] += 1
        return counts

    def shown(self) -> Iterator[Node]:
        """The nodes as people see them: a replacement once."""
        return (node for node in self.nodes if not node.replaced)

    def to_json(self) -> str:
        """The plan as JSON text; secrets are fingerprints in it."""
        return json.dumps({"mlinfra_plan": FORMAT, **encode(_record(self), self.salt)}, indent=1)

    @staticmethod
    def from_json(text: str) -> Plan:
        """A plan read back.

        Errors: DiagnosticError if the text is not a plan of this format.
        """
        try:
            record = json.loads(text)
            found = record.pop("mlinfra_plan")
            if found != FORMAT:
                raise fail(
                    "plan-format",
                    "Plan of another format",
                    f"The file holds a plan of format {found}; this mlinfra reads format {FORMAT}.",
                    "Make the plan again with this version: mlinfra plan --out FILE.",
                )
            records = record.pop("records")  # state entries: they are JSON within a plan as well
            return _plan({**decode(record), "records": records})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise fail(
                "plan-unreadable",
                "Not a saved plan",
                f"The file is not a plan that mlinfra wrote, or it is damaged ({error}).",
                "Make the plan again: mlinfra plan --out FILE.",
            ) from error


_COUNTED: Mapping[Action, tuple[str, ...]] = {
    "create": ("add",),
    "adopt": ("add",),
    "update": ("change",),
    "replace": ("add",),
    "delete": ("destroy",),
    "forget": (),
    "run": ("run",),
    "wait": ("wait",),
}


def _record(item: Any) -> Any:
    if hasattr(item, "__dataclass_fields__"):
        return {name: _record(getattr(item, name)) for name in item.__dataclass_fields__}
    if isinstance(item, tuple | list):
        return [_record(part) for part in item]
    if isinstance(item, Mapping):
        return {key: _record(part) for key, part in item.items()}
    return item


def _plan(record: dict[str, Any]) -> Plan:
    record["nodes"] = tuple(_node(node) for node in record["nodes"])
    record["headlines"] = tuple(Headline(**item) for item in record["headlines"])
    record["notes"] = tuple(Note(**item) for item in record["notes"])
    record["cost"] = Cost(**record["cost"])
    return Plan(**record)


def _node(record: dict[str, Any]) -> Node:
    record["changes"] = tuple(Change(**change) for change in record["changes"])
    record["dependencies"] = tuple(record["dependencies"])
    record["after"] = tuple(record["after"])
    return Node(**record)
