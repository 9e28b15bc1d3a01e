"""Questions about what was applied: how it does, what it offers, whether it works, what it logs. Nothing is changed here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mlinfra.engine.refresh import World, refresh
from mlinfra.engine.resolving import Views
from mlinfra.engine.values import decode, is_unknown, reveal
from mlinfra.engine.workspace import Workspace
from mlinfra.sdk.diagnostics import DiagnosticError, did_you_mean, fail
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.lowering import CheckResult
from mlinfra.sdk.provider import load
from mlinfra.sdk.resource import Known, Resource, Status
from mlinfra.state.snapshot import ResourceState, State


@dataclass(frozen=True, slots=True)
class StatusRow:
    """One thing that was applied and how it does."""

    component: str
    address: str
    status: Status


@dataclass(frozen=True, slots=True)
class CheckOutcome:
    """One proof of function: whether it passed, in a line, and how many seconds it took."""

    component: str
    name: str
    passed: bool
    summary: str
    seconds: float


def status(workspace: Workspace) -> list[StatusRow]:
    """How everything does that has a status to tell, in the order of the addresses.

    What a blueprint wants and nobody has applied yet is not listed.
    """
    state = workspace.recovered().state
    entries = [entry for entry in state.resources.values() if _tells(workspace, entry, "status")]

    def one(entry: ResourceState) -> StatusRow | None:
        model = workspace.catalog.resource_type(entry.type)
        try:
            found = model.status(workspace.clients.of(entry.type), _known(entry))
        except ProviderError as error:
            found = Status("unknown", str(error))
        return StatusRow(entry.component, entry.address, found) if found else None

    for entry in entries:
        workspace.clients.of(entry.type)
    with ThreadPoolExecutor(max_workers=8) as pool:
        rows = [row for row in pool.map(one, entries) if row is not None]
    return sorted(rows, key=lambda row: row.address)


def outputs(workspace: Workspace) -> dict[str, Any]:
    """What each component offers, as it is now: component → name → value. Unknown ones are None, secrets `Sensitive`."""
    views, _ = live_views(workspace)
    found = {}
    for component, offered in workspace.desire.outputs.items():
        found[component] = {name: _resolved(views, value) for name, value in offered.items()}
    return found


def _resolved(views: Views, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _resolved(views, item) for name, item in value.items()}
    try:
        result = views.resolve(value)
    except DiagnosticError:
        return None
    return None if is_unknown(result) else result


def live_views(workspace: Workspace) -> tuple[Views, World]:
    """What is known of every applied resource, read live; where it cannot be read, as it was last known."""
    state = workspace.recovered().state
    world = refresh(state.resources, workspace.catalog, workspace.clients)
    views = Views(workspace.catalog)
    for address, entry in state.resources.items():
        live = world.live.get(address)
        views.put(address, entry.type, live if isinstance(live, dict) else decode(entry.fields))
    return views, world


def applied(workspace: Workspace, address: str | None = None) -> list[ResourceState]:
    """What was applied: everything, or what an address of a component or resource means.

    Errors: DiagnosticError for an address that means nothing.
    """
    entries = sorted(workspace.recovered().state.resources.values(), key=lambda entry: entry.address)
    if address is None:
        return entries
    found = [entry for entry in entries if address in (entry.address, entry.component)]
    if not found:
        raise _unknown(address, [*(e.address for e in entries), *(e.component for e in entries)])
    return found


def check(workspace: Workspace, components: tuple[str, ...] = ()) -> Iterator[CheckOutcome]:
    """Prove that what was applied works, check by check, in the order of the components.

    Errors: DiagnosticError for a component that does not exist.
    """
    for name in components:
        if name not in workspace.blueprint.components:
            raise _unknown(name, workspace.blueprint.components)
    views, _ = live_views(workspace)
    for item in workspace.desire.checks:
        if components and item.component not in components:
            continue
        started = time.perf_counter()
        try:
            arguments = views.resolve(item.arguments)
            result: CheckResult = load(item.function)(**reveal(arguments))
        except DiagnosticError:
            result = CheckResult(False, "not applied yet: run `mlinfra apply`")
        except (ProviderError, OSError, ValueError, KeyError, TypeError) as error:
            result = CheckResult(False, f"{type(error).__name__}: {error}")
        seconds = time.perf_counter() - started
        yield CheckOutcome(item.component, item.name, result.passed, result.summary, seconds)


def logs(workspace: Workspace, address: str, *, tail: int, follow: bool) -> Iterator[tuple[str, str]]:
    """Log lines of a resource, or of all resources of a component one after the other: (address, line).

    Errors: DiagnosticError for an address that has no log.
    """
    state = workspace.recovered().state
    matching = [
        entry
        for entry in state.resources.values()
        if entry.address == address or entry.address.startswith(f"{address}/") or entry.component == address
    ]
    told = [entry for entry in matching if _tells(workspace, entry, "logs")]
    if not told:
        if matching:
            raise fail("no-log", "No log", f"{address} has no log.", "`mlinfra status` lists what runs.")
        raise _unknown(address, [*state.resources, *(entry.component for entry in state.resources.values())])
    if follow and len(told) > 1:
        raise fail(
            "log-ambiguous",
            "Several logs",
            f"{address} has {len(told)} logs; --follow takes one.",
            f"Name one of: {', '.join(entry.address for entry in told)}.",
        )
    for entry in told:
        model = workspace.catalog.resource_type(entry.type)
        lines = model.logs(workspace.clients.of(entry.type), _known(entry), tail=tail, follow=follow)
        for line in lines or ():
            yield entry.address, line


def jobs(workspace: Workspace, address: str, state: State) -> list[ResourceState]:
    """The applied jobs that an address means: a component's or one resource.

    Errors: DiagnosticError if there is none.
    """
    found = [
        entry
        for entry in state.resources.values()
        if (entry.address == address or entry.component == address) and _tells(workspace, entry, "run")
    ]
    if found:
        return found
    if address in workspace.blueprint.components or address in state.resources:
        applied = any(entry.component == address for entry in state.resources.values())
        raise fail(
            "no-job",
            "Nothing to run",
            f"{address} has no job." if applied else f"{address} is not applied yet.",
            "Run a training: `mlinfra run training.<name>`." if applied else "Run `mlinfra apply` first.",
        )
    raise _unknown(address, workspace.blueprint.components)


def _unknown(address: str, known: Any) -> DiagnosticError:
    return fail(
        "address-unknown",
        "Unknown address",
        f'Nothing has the address "{address}".{did_you_mean(address, known)}',
        "`mlinfra show` lists the addresses.",
    )


def _tells(workspace: Workspace, entry: ResourceState, function: str) -> bool:
    """Whether a resource's type has a function of its own for this."""
    model = workspace.catalog.resource_type(entry.type)
    own, inherited = getattr(model, function), getattr(Resource, function)
    return bool(own.__qualname__ != inherited.__qualname__)


def _known(entry: ResourceState) -> Known:
    return Known(entry.address, entry.id, decode(entry.fields))
