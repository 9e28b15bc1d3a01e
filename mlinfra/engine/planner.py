"""The planner: desired resources, state and live objects → `Plan`. Reads nothing and changes nothing itself.

Resources are decided in the order of their references, so that each sees what the ones it refers to will be.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import mlinfra
from mlinfra.engine.catalog import Catalog
from mlinfra.engine.decide import Decider, Decision
from mlinfra.engine.edges import joined
from mlinfra.engine.graph import order, reach, reversed_edges
from mlinfra.engine.lower import Desire
from mlinfra.engine.plan import Headline, Node, Note, Plan
from mlinfra.engine.refresh import World
from mlinfra.engine.resolving import Views
from mlinfra.engine.values import decode, encode, live_digest
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from mlinfra.sdk.errors import Unreachable
from mlinfra.sdk.provider import Place
from mlinfra.state.aside import home
from mlinfra.state.snapshot import State


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may ask of a plan: only these ``targets`` (addresses of components or resources) and what they need,
    without those that are ``excluded``; ``replace`` these in any case; ``destroy`` all; ``adopt`` objects of others."""

    destroy: bool = False
    targets: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()


@dataclass(slots=True)
class Inputs:
    """All that a plan is made from."""

    desire: Desire
    state: State
    world: World
    catalog: Catalog
    place: Place
    digest: str
    options: Options = field(default_factory=Options)
    unfinished: frozenset[str] = frozenset()
    """Resources that were found after a run was cut off; they still have to become ready."""
    found: frozenset[str] = frozenset()
    """Resources in ``state`` that the stored state does not have yet."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """Why it cannot be told now whether an earlier run made these, by address."""


def plan(inputs: Inputs) -> Plan:
    """The plan.

    Errors: DiagnosticError with everything that is wrong with the desired resources or cannot be read.
    """
    desire = Desire() if inputs.options.destroy else inputs.desire
    needs = _needs(desire)
    sequence = order(needs)
    dependents = reversed_edges(needs)
    views = Views(inputs.catalog)
    decider = Decider(inputs.state, inputs.world, inputs.catalog, inputs.place, views, dependents, desire.producers)
    decider.unfinished = inputs.unfinished
    decider.replace = _matching(inputs.options.replace, desire.resources)
    decisions: dict[str, Decision] = {}
    problems: list[Diagnostic] = []
    for address in sequence:
        try:
            decisions[address] = decider.decide(desire.resources[address], needs[address])
        except DiagnosticError as error:
            problems += [d if d.address else replace(d, address=address) for d in error.diagnostics]
            decider.give_up(desire.resources[address])
    removed, gone, unreadable = _removed(inputs, desire, decisions)
    problems += unreadable
    if problems:
        raise DiagnosticError(problems)
    nodes = joined(decisions, removed, inputs.state.resources, inputs.world, needs)
    nodes = _chosen(nodes, inputs.options, desire, inputs.state, needs)
    records = _records(decisions, gone, inputs)
    touched = {node.address for node in nodes}
    return Plan(
        blueprint=inputs.place.blueprint,
        environment=inputs.place.environment,
        destroy=inputs.options.destroy,
        created_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        version=mlinfra.__version__,
        digest=inputs.digest,
        lineage=inputs.state.lineage,
        serial=inputs.state.serial,
        salt=inputs.state.salt,
        providers=_providers(inputs),
        nodes=tuple(nodes),
        unchanged=sum(1 for address in decisions if address not in touched),
        headlines=tuple(_headlines(desire, inputs, views)),
        notes=(
            *desire.notes,
            *_gone_notes(gone, inputs),
            *_doubt_notes(inputs),
            *(note for d in decisions.values() for note in d.notes),
        ),
        records=records,
        cost=inputs.world.cost,
        options={"adopt": list(inputs.options.adopt), "replace": list(inputs.options.replace)},
    )


def with_losses(plan: Plan, lost: Mapping[str, str]) -> Plan:
    """The plan with what each delete or replacement would lose, by address."""
    if not lost:
        return plan
    nodes = (
        replace(node, would_lose=lost[node.address]) if node.address in lost and node.action in _LOSING else node
        for node in plan.nodes
    )
    return replace(plan, nodes=tuple(nodes))


_LOSING = ("delete", "forget", "replace")


def _needs(desire: Desire) -> dict[str, tuple[str, ...]]:
    """What each resource comes after; an external one also after the jobs that may produce it."""
    return {
        address: (*resource.needs, *desire.producers.get(address, ())) for address, resource in desire.resources.items()
    }


def _removed(
    inputs: Inputs, desire: Desire, decisions: Mapping[str, Decision]
) -> tuple[dict[str, Node], list[str], list[Diagnostic]]:
    """Nodes for what the state has and the blueprint has not; what is gone already; what cannot be read."""
    nodes: dict[str, Node] = {}
    gone: list[str] = []
    problems: list[Diagnostic] = []
    entries = inputs.state.resources
    leaving = {address for address in entries if address not in desire.resources}
    for address in leaving:
        entry = entries[address]
        live = inputs.world.live.get(address)
        if live is None:
            gone.append(address)
            continue
        base = Node(
            id=f"{address}!delete",
            address=address,
            type=entry.type,
            action="delete",
            component=entry.component,
            before=live if isinstance(live, Mapping) else entry.fields,
            object_id=entry.id,
            live=live_digest(inputs.catalog.resource_type(entry.type), live, inputs.state.salt)
            if isinstance(live, Mapping)
            else None,
        )
        if home(address) != address:
            base = replace(base, summary="its successor has taken over")
        if isinstance(live, Unreachable):
            holders = [need for need in entry.dependencies if need in leaving]
            if holders:
                base = replace(base, action="forget", summary=f"goes with {holders[0]}")
            elif not any(decisions[need].node for need in entry.dependencies if need in decisions):
                problems.append(_unreadable(address, live))
                continue
        nodes[address] = base
    return nodes, gone, problems


def _unreadable(address: str, error: Unreachable) -> Diagnostic:
    return Diagnostic(
        "unreachable",
        "Live object cannot be read",
        f"{address}: {error}",
        error.remedy or "Make the service that holds it answer, then plan again.",
        address=address,
    )


def _matching(patterns: Iterable[str], addresses: Iterable[str]) -> frozenset[str]:
    """The addresses that are one of ``patterns`` or lie within one (``endpoint.fraud`` has ``endpoint.fraud/process.a``).

    Errors: DiagnosticError for a pattern that matches nothing.
    """
    known = list(addresses)
    found: set[str] = set()
    problems = []
    for pattern in patterns:
        hits = [a for a in known if a == pattern or a.startswith(f"{pattern}/")]
        found.update(hits)
        if not hits:
            names = sorted({a.partition("/")[0] for a in known} | set(known))
            problems.append(
                Diagnostic(
                    "address-unknown",
                    "Unknown address",
                    f'Nothing has the address "{pattern}".{did_you_mean(pattern, names)}',
                    "`mlinfra show` lists the addresses.",
                )
            )
    if problems:
        raise DiagnosticError(problems)
    return frozenset(found)


def _chosen(
    nodes: list[Node], options: Options, desire: Desire, state: State, needs: Mapping[str, Iterable[str]]
) -> list[Node]:
    """The nodes that ``--target`` and ``--exclude`` leave: targets with what they need, without excluded ones and their
    dependents. Deletes of a target take along what depends on it."""
    if not options.targets and not options.excludes:
        return nodes
    edges: dict[str, list[str]] = {
        address: list(entry.dependencies) for address, entry in state.resources.items() if address not in needs
    }
    edges.update({address: list(used) for address, used in needs.items()})
    every = {*desire.resources, *map(home, state.resources)}
    kept = every
    users = reversed_edges(edges)
    if options.targets:
        wanted = _matching(options.targets, every)
        kept = reach(wanted, edges)
        leaving = {address for address in wanted if address not in desire.resources}
        kept |= {address for address in reach(leaving, users) if address not in desire.resources}
        if options.destroy:
            kept = reach(wanted, users)
    if options.excludes:
        without = _matching(options.excludes, every)
        kept = kept - reach(without, edges if options.destroy else users)
    chosen = [node for node in nodes if home(node.address) in kept]
    ids = {node.id for node in chosen}
    return [replace(node, after=tuple(i for i in node.after if i in ids)) for node in chosen]


def _records(decisions: Mapping[str, Decision], gone: Iterable[str], inputs: Inputs) -> dict[str, Any]:
    """State entries to be brought up to date without a call."""
    records: dict[str, Any] = dict.fromkeys(gone)
    for address, decision in decisions.items():
        entry = inputs.state.resources.get(address)
        if entry is None:
            continue
        if decision.record is not None or address in inputs.found:
            salt = inputs.state.salt
            fields = encode(decision.record.fields if decision.record else entry.fields, salt)
            wanted = encode(decision.record.desired if decision.record else entry.desired, salt)
            updated = replace(entry, fields=fields, desired=wanted)
            if decision.record:
                updated = replace(updated, dependencies=list(decision.record.dependencies))
            records[address] = updated.to_json()
    return records


def _gone_notes(gone: Iterable[str], inputs: Inputs) -> list[Note]:
    entries = inputs.state.resources
    return [Note(entries[address].component, f"{address} is gone already") for address in gone]


def _doubt_notes(inputs: Inputs) -> list[Note]:
    return [
        Note(address.partition("/")[0], f"whether an earlier run made {address} cannot be told now ({why})")
        for address, why in inputs.doubts.items()
    ]


def _providers(inputs: Inputs) -> dict[str, str]:
    types = {resource.type for resource in inputs.desire.resources.values()}
    types |= {entry.type for entry in inputs.state.resources.values()}
    owners = {provider.name: provider.version for provider in map(inputs.catalog.owner, types)}
    return dict(sorted(owners.items()))


def _headlines(desire: Desire, inputs: Inputs, views: Views) -> Iterable[Headline]:
    """What changes at the component's level: values that recipes named, before and after."""
    if not desire.headlines:
        return
    stored = Views(inputs.catalog)
    for address, entry in inputs.state.resources.items():
        stored.put(address, entry.type, decode(entry.fields))
    for component, name, value in desire.headlines:
        after = views.resolve(value)
        try:
            before = stored.resolve(value)
        except DiagnosticError:
            before = None
        known = any(entry.component == component for entry in inputs.state.resources.values())
        if before != after or not known:
            yield Headline(component, name, before if known else None, after)
