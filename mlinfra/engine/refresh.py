"""Refresh: what is really there. One bulk read a resource type, types side by side."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.events import Emit, Refreshed, Refreshing, ignore
from mlinfra.engine.plan import Cost
from mlinfra.engine.values import conceal, conceal_all, decode, holds_secret, secret_fields
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import Fields, Known, Resource
from mlinfra.state.snapshot import ResourceState

Live = Fields | None | Unreachable


@dataclass(frozen=True, slots=True)
class World:
    """The live fields of every resource that the state knows, by address, and what it took to read them."""

    live: Mapping[str, Live] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)


def refresh(entries: Mapping[str, ResourceState], catalog: Catalog, clients: Clients, emit: Emit = ignore) -> World:
    """Read the live objects of state entries.

    Errors: DiagnosticError if a provider cannot tell; what is only unreachable is in the result.
    """
    started = time.perf_counter()
    emit(Refreshing(len(entries)))
    by_type: dict[str, list[ResourceState]] = {}
    for entry in entries.values():
        by_type.setdefault(entry.type, []).append(entry)
    connected = {name: clients.of(name) for name in by_type}
    before = _calls(connected.values())

    def read(name: str) -> dict[str, Live]:
        return read_type(catalog.resource_type(name), connected[name], by_type[name])

    live: dict[str, Live] = {}
    if len(by_type) == 1:
        live.update(read(next(iter(by_type))))
    elif by_type:
        with ThreadPoolExecutor(max_workers=min(8, len(by_type))) as pool:
            for found in pool.map(read, by_type):
                live.update(found)
    counted = _calls(connected.values()) - before
    cost = Cost(len(entries), counted or len(by_type), round(time.perf_counter() - started, 3))
    emit(Refreshed(cost.objects, cost.calls, cost.seconds))
    return World(live, cost)


def read_type(model: type[Resource], client: object, entries: list[ResourceState]) -> dict[str, Live]:
    """The live fields of resources of one type, secrets concealed."""
    known = [Known(entry.address, entry.id, entry.fields) for entry in entries]
    try:
        found = model.read_many(client, known)
    except Unreachable as error:
        return {entry.address: error for entry in entries}
    except ProviderError as error:
        raise DiagnosticError([_unread(model, entries, error)]) from error
    return {entry.address: concealed(model, found.get(entry.address), entry) for entry in entries}


def _unread(model: type[Resource], entries: list[ResourceState], error: ProviderError) -> Diagnostic:
    which = entries[0].address if len(entries) == 1 else f"{len(entries)} resources of type {model.type}"
    return Diagnostic(
        "refresh-failed",
        "Live object cannot be read",
        f"Reading {which} failed: {error}.",
        error.remedy or "Mend the cause, then plan again.",
        address=entries[0].address if len(entries) == 1 else "",
    )


def concealed(model: type[Resource], live: Live, entry: ResourceState | None) -> Live:
    """Live fields as they came, but with secrets concealed: by policy, and where a secret stands in the state."""
    if live is None or isinstance(live, Unreachable):
        return live
    table = secret_fields(model)
    pattern = decode(entry.desired) if entry is not None and holds_secret(entry.desired) else None
    if not table and pattern is None:
        return live
    return {
        name: conceal_all(value) if name in table else conceal(value, pattern.get(name)) if pattern else value
        for name, value in live.items()
    }


def _calls(clients: Iterable[object]) -> int:
    """How many calls these clients have made, of those that count them in ``calls_made``."""
    unique = {id(client): client for client in clients}
    return sum(int(getattr(client, "calls_made", 0)) for client in unique.values())
