"""The history: older versions of a state, and who made each. The state itself never depends on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from mlinfra.state.snapshot import State
from mlinfra.state.store import Store

PREFIX = "history/"
_SUMMARIES = "summary/"
KEPT = 100
"""Older versions that are kept."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a state. ``counts`` says how often each action was done; what is empty was not recorded."""

    serial: int
    command: str = ""
    user: str = ""
    host: str = ""
    since: str = ""
    """When its run began, ISO 8601."""
    counts: Mapping[str, int] = field(default_factory=dict)


def keep(store: Store, serial: int, data: bytes, version: Version | None = None) -> None:
    """Keep a version as it was written, and who made it where that is known; one that is kept already stays."""
    name = f"{serial:010d}"
    if version is not None:
        store.put(_SUMMARIES + name, json.dumps(asdict(version)).encode())
    if store.get(PREFIX + name) is None:
        store.put(PREFIX + name, data)


def prune(store: Store) -> None:
    """Drop all but the latest versions."""
    keys = store.list(PREFIX)
    names = {key.removeprefix(PREFIX) for key in keys[-KEPT:]}
    store.delete(keys[:-KEPT])
    store.delete([key for key in store.list(_SUMMARIES) if key.removeprefix(_SUMMARIES) < min(names)])


def versions(store: Store) -> list[Version]:
    """What versions there are, the oldest first."""
    found = []
    for key in store.list(PREFIX):
        name = key.removeprefix(PREFIX)
        stored = store.get(_SUMMARIES + name)
        try:
            found.append(Version(**json.loads(stored.data)) if stored else Version(int(name)))
        except (ValueError, TypeError):  # a summary only tells people; its version can be read all the same
            found.append(Version(int(name)))
    return found


def read(store: Store, serial: int, blueprint: str, environment: str) -> State | None:
    """One version of the state, None if it is not kept.

    Errors: DiagnosticError if it is damaged or another's.
    """
    stored = store.get(f"{PREFIX}{serial:010d}")
    return None if stored is None else State.parse(stored.data, blueprint, environment)
