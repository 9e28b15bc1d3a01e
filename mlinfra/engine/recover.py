"""Recovery: the state as it really is after a run that was cut off.

The journal says what was begun and not finished. An object whose create was begun may exist though nobody recorded its id:
its type is asked to locate it. Nothing is written here; an apply records what was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.desired import form, instance
from mlinfra.engine.lower import Desire
from mlinfra.engine.steps import owner
from mlinfra.engine.values import decode, reveal, stand_in
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import Unreachable
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Operation
from mlinfra.state.aside import taken_back
from mlinfra.state.backend import Loaded
from mlinfra.state.entries import Intent
from mlinfra.state.snapshot import ResourceState, State


@dataclass(frozen=True, slots=True)
class Recovered:
    """``found`` are resources that the stored state did not have; ``unfinished`` ones still have to become ready;
    ``pending`` are creates of which nobody knows whether they happened, and ``doubts`` says by address why not."""

    state: State
    found: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()
    pending: Mapping[str, Intent] = field(default_factory=dict)
    doubts: Mapping[str, str] = field(default_factory=dict)


def recover(loaded: Loaded, desire: Desire, catalog: Catalog, clients: Clients, place: Place) -> Recovered:
    """The state, with what pending creates left behind."""
    state = loaded.state
    found: dict[str, ResourceState] = {}
    unsure: dict[str, Intent] = {}
    doubts: dict[str, str] = {}
    for address, intent in loaded.pending.items():
        if intent.action in ("create", "replace") and address not in state.resources:
            try:
                entry = _located(intent, desire, catalog, clients, place)
            except (Unreachable, DiagnosticError) as error:
                # Its server does not answer, or what its fields take from files is gone: asked again by the next run.
                unsure[address] = intent
                doubts[address] = error.diagnostics[0].detail if isinstance(error, DiagnosticError) else str(error)
                continue
            if entry is not None:
                found[address] = entry
    if found:
        spare = {there for entry in found.values() for there in taken_back(state.resources, entry)}
        kept = {address: entry for address, entry in state.resources.items() if address not in spare}
        state = state.with_resources({**kept, **found})
    # An update that was cut off may have been made and not waited for: nothing differs then, and it still has to become
    # ready. It is marked in the state, so that a run that leaves it out keeps it so.
    updating = {a for a, intent in loaded.pending.items() if intent.action == "update" and a in state.resources}
    if updating:
        marked = {address: replace(state.resources[address], tainted=True) for address in updating}
        state = state.with_resources({**state.resources, **marked})
    unfinished = frozenset(address for address, entry in state.resources.items() if entry.tainted)
    return Recovered(state, frozenset(found), unfinished, unsure, doubts)


def _located(intent: Intent, desire: Desire, catalog: Catalog, clients: Clients, place: Place) -> ResourceState | None:
    """What a create that was cut off left behind, or None.

    Errors: Unreachable; DiagnosticError if its fields cannot be read now.
    """
    model = catalog.resource_type(intent.type)
    op = Operation(intent.address, owner(place, intent.address), intent.token, place.work)
    fields = stand_in(decode(intent.fields))
    wanted = form(model, fields, place, intent.address)
    shape = instance(model, reveal(wanted.fields), intent.address)
    object_id = shape.locate(clients.of(intent.type), op)
    if object_id is None:
        return None
    desired = desire.resources.get(intent.address)
    return ResourceState(
        address=intent.address,
        type=intent.type,
        provider=catalog.owner(intent.type).name,
        id=object_id,
        fields=dict(intent.fields),
        desired=dict(intent.fields),
        dependencies=list(intent.dependencies or (desired.needs if desired else [])),
        tainted=True,
        component=desired.component if desired else intent.address.partition("/")[0],
    )
