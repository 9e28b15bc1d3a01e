"""Deciding about one resource: what it is now, what it shall be, and so which node (if any) the plan needs for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.desired import Form, applied, form
from mlinfra.engine.diff import changes
from mlinfra.engine.lower import Desired
from mlinfra.engine.plan import Change, Node, Note
from mlinfra.engine.refresh import World
from mlinfra.engine.resolving import Views
from mlinfra.engine.values import conceal_fields, decode, digest, encode, live_digest
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from mlinfra.sdk.errors import Unreachable
from mlinfra.sdk.fields import policies
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import UNKNOWN, has_token
from mlinfra.sdk.resource import FieldChange, Resource
from mlinfra.state.aside import aside
from mlinfra.state.snapshot import ResourceState, State


@dataclass(frozen=True, slots=True)
class Record:
    """What a state entry should say after a decision that needs no call."""

    fields: Mapping[str, Any]
    desired: Mapping[str, Any]
    dependencies: tuple[str, ...]


@dataclass(slots=True)
class Decision:
    """What is to be done about one resource: a node or none, the delete that a replacement begins or ends with, runs that must
    come first (by the job's address), a state entry to refresh."""

    node: Node | None = None
    delete: Node | None = None
    runs: dict[str, Node] = field(default_factory=dict)
    record: Record | None = None
    notes: list[Note] = field(default_factory=list)


class Decider:
    """Decides resources one by one, in order; keeps in `views` what later ones may refer to."""

    def __init__(
        self,
        state: State,
        world: World,
        catalog: Catalog,
        place: Place,
        views: Views,
        dependents: Mapping[str, Sequence[str]],
        producers: Mapping[str, Sequence[str]],
    ) -> None:
        self._state = state
        self._world = world
        self._catalog = catalog
        self._place = place
        self._views = views
        self._dependents = dependents
        self._producers = producers
        self._moving: set[str] = set()
        """Resources with a node, or that stand on one: what they hold may be unreadable for now."""
        self._first: set[str] = set()
        """Resources whose replacement begins with their delete: what stands on one cannot be replaced beside itself."""
        self._types: dict[str, str] = {}
        self.unfinished: frozenset[str] = frozenset()
        self.replace: frozenset[str] = frozenset()

    def give_up(self, resource: Desired) -> None:
        """Go on after a resource that is wrong, so that the mistakes of others are found as well."""
        self._views.put(resource.address, resource.type, _everything_unknown(), partial=True)
        self._moving.add(resource.address)

    def decide(self, resource: Desired, needs: Sequence[str]) -> Decision:
        """The decision for one resource whose needs are decided.

        Errors: DiagnosticError for fields that its type refuses, or a live object that cannot be read.
        """
        self._types[resource.address] = resource.type
        model = self._catalog.resource_type(resource.type)
        resolved = self._views.resolve(resource.fields) if has_token(resource.fields) else resource.fields
        resolved = conceal_fields(model, resolved)
        entry = self._state.resources.get(resource.address)
        if entry is not None and entry.type != resource.type:
            raise DiagnosticError([_retyped(resource, entry)])
        live = self._world.live.get(resource.address) if entry is not None else None
        if isinstance(live, Unreachable):
            if not any(need in self._moving for need in needs):
                raise DiagnosticError([_unreadable(resource.address, live)])
            self._moving.add(resource.address)
            live = decode(entry.fields) if entry is not None else None
        if (
            entry is not None
            and live is not None
            and not model.looks_outside
            and self._as_before(resource, resolved, entry, live, needs)
        ):
            self._views.put(resource.address, resource.type, live)
            return Decision()
        wanted = form(model, resolved, self._place, resource.address)
        if live is None:
            decision = self._absent(resource, model, wanted, entry)
        else:
            assert entry is not None
            decision = self._present(resource, model, wanted, resolved, entry, live, needs)
        if decision.node is not None and model.looks_outside and wanted.known:
            decision.node = replace(decision.node, outside=digest(wanted.fields, self._state.salt))
        if decision.node is not None or any(need in self._moving for need in needs):
            self._moving.add(resource.address)
        return decision

    def _as_before(
        self,
        resource: Desired,
        resolved: Mapping[str, Any],
        entry: ResourceState,
        live: Mapping[str, Any],
        needs: Sequence[str],
    ) -> bool:
        """Whether all three are what they were at the last apply: the common case, told without validating anything. Not asked
        for a type that looks outside: what its fields mean may have changed though they have not."""
        return (
            resolved == entry.desired
            and live == entry.fields
            and resource.address not in self.replace
            and resource.address not in self.unfinished
            and list(needs) == entry.dependencies
        )

    def _absent(self, resource: Desired, model: type[Resource], wanted: Form, entry: ResourceState | None) -> Decision:
        """Nothing is there: create it; or, if somebody else makes it, restore it, have it made, or wait for it."""
        decision = Decision()
        fields = dict(resource.fields)
        if model.external and entry is None:
            self._views.put(resource.address, resource.type, wanted.fields, partial=True)
            if not self._dependents.get(resource.address):
                decision.notes.append(Note(resource.component, self._not_yet(resource)))
                return decision
            jobs = self._producers.get(resource.address, ())
            decision.runs = {job: self._run(job, resource) for job in jobs[:1]}
            action: Any = "adopt" if jobs else "wait"
            summary = f"made by a run of {jobs[0].partition('/')[0]}" if jobs else self._not_yet(resource)
            decision.node = self._node(resource, action, fields, summary=summary)
            return decision
        before: Mapping[str, Any] = {}
        summary = ""
        if entry is not None:
            before = decode(entry.fields)
            summary = "deleted outside mlinfra"
        if model.external:
            owned = {name: before[name] for name, policy in policies(model).items() if policy.owned and name in before}
            fields |= owned
            summary = model.explain([FieldChange(name, None, value) for name, value in owned.items()]) or summary
            self._views.put(resource.address, resource.type, {**before, **wanted.fields, **owned})
        else:
            self._views.put(resource.address, resource.type, wanted.fields, partial=True)
        decision.node = self._node(resource, "create", fields, summary=summary, changes=_whole(model, wanted.fields))
        return decision

    def _not_yet(self, resource: Desired) -> str:
        return f"nobody holds {resource.label or resource.address} yet"

    def _run(self, job: str, resource: Desired) -> Node:
        return Node(
            id=f"{job}!run",
            address=job,
            type=self._types.get(job, ""),
            action="run",
            component=job.partition("/")[0],
            summary=f"nobody holds {resource.label or resource.address} yet",
        )

    def _present(
        self,
        resource: Desired,
        model: type[Resource],
        wanted: Form,
        resolved: Mapping[str, Any],
        entry: ResourceState,
        live: Mapping[str, Any],
        needs: Sequence[str],
    ) -> Decision:
        """It is there: leave it, update it, or replace it."""
        found = _fixed(model, changes(model, applied(model, entry, self._place), wanted.fields, live, self._state.salt))
        forced = resource.address in self.replace
        if not found and not forced and resource.address not in self.unfinished:
            self._views.put(resource.address, resource.type, {**live, **wanted.fields})
            salt = self._state.salt
            stale = (
                encode(live, salt) != entry.fields
                or encode(resolved, salt) != entry.desired
                or list(needs) != entry.dependencies
            )
            return Decision(record=Record(live, resolved, tuple(needs)) if stale else None)
        if forced or any(change.forces_replacement for change in found):
            return self._replaced(resource, model, wanted, entry, live, found, forced, needs)
        told = model.explain([FieldChange(change.path, change.before, change.after) for change in found])
        unfinished = not found and resource.address in self.unfinished
        volatile = {name: UNKNOWN for name, policy in policies(model).items() if policy.volatile and name in live}
        self._views.put(resource.address, resource.type, {**live, **wanted.fields, **volatile}, partial=True)
        node = self._node(
            resource,
            "update",
            dict(resource.fields),
            summary=told or ("finish what an earlier run began" if unfinished else ""),
            changes=found,
            before=live,
            object_id=entry.id,
            live=live_digest(model, live, self._state.salt),
        )
        return Decision(node)

    def _replaced(
        self,
        resource: Desired,
        model: type[Resource],
        wanted: Form,
        entry: ResourceState,
        live: Mapping[str, Any],
        found: tuple[Change, ...],
        forced: bool,
        needs: Sequence[str],
    ) -> Decision:
        fields = [change.path for change in found if change.forces_replacement]
        summary = "replacement asked for" if forced else f"{', '.join(fields)} forces replacement"
        self._views.put(resource.address, resource.type, wanted.fields, partial=True)
        told = [FieldChange(change.path, change.before, change.after) for change in found]
        beside = model.beside(told) and not any(need in self._first for need in (*needs, *entry.dependencies))
        spare = aside(resource.address, entry.id) if beside else ""
        if not beside:
            self._first.add(resource.address)
        seen = live_digest(model, live, self._state.salt)
        node = self._node(
            resource, "replace", dict(resource.fields), summary=summary, changes=found, before=live, object_id=entry.id
        )
        if spare:
            node = replace(node, aside=spare, live=seen)
        leaving = spare or resource.address
        delete = Node(
            id=f"{leaving}!delete",
            address=leaving,
            type=resource.type,
            action="delete",
            component=resource.component,
            before=live,
            object_id=entry.id,
            replaced=True,
            live=None if spare else seen,
        )
        return Decision(node, delete)

    def _node(
        self,
        resource: Desired,
        action: Any,
        fields: Mapping[str, Any],
        *,
        summary: str = "",
        changes: tuple[Change, ...] = (),
        before: Mapping[str, Any] | None = None,
        object_id: str = "",
        live: str | None = None,
    ) -> Node:
        return Node(
            id=resource.address,
            address=resource.address,
            type=resource.type,
            action=action,
            component=resource.component,
            label=resource.label,
            summary=summary,
            changes=changes,
            fields=conceal_fields(self._catalog.resource_type(resource.type), fields),
            before=before or {},
            object_id=object_id,
            live=live,
        )


def _fixed(model: type[Resource], found: tuple[Change, ...]) -> tuple[Change, ...]:
    """The changes, with those marked that the type itself says need a replacement."""
    forcing = set(model.replaces([FieldChange(change.path, change.before, change.after) for change in found]))
    return tuple(replace(change, forces_replacement=True) if change.path in forcing else change for change in found)


def _whole(model: type[Resource], fields: Mapping[str, Any]) -> tuple[Change, ...]:
    computed = {name for name, policy in policies(model).items() if policy.computed}
    return tuple(Change(name, None, value, "changed") for name, value in fields.items() if name not in computed)


class _Anything(dict[str, Any]):
    """Fields of a resource that is wrong: whatever is asked for is unknown, so that one mistake is told once."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> Any:
        return UNKNOWN


def _everything_unknown() -> Mapping[str, Any]:
    return _Anything()


def _retyped(resource: Desired, entry: ResourceState) -> Diagnostic:
    return Diagnostic(
        "type-changed",
        "Resource changed its type",
        f"{resource.address} is a {entry.type} in the state and a {resource.type} in the blueprint.",
        "Give the new one another name; the old one is then deleted.",
        address=resource.address,
    )


def _unreadable(address: str, error: Unreachable) -> Diagnostic:
    return Diagnostic(
        "unreachable",
        "Live object cannot be read",
        f"{address}: {error}",
        error.remedy or "Make the service that holds it answer, then plan again.",
        address=address,
    )
