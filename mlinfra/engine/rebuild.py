"""Rebuilding a state that was lost: from what is there and ours to the entries of a new state, and their commit.

Nothing outside the state is changed. Where the blueprint still has an address its entry says what the blueprint wants, so that
the next plan tells what differs; what it has no more is an entry too, so that the next apply removes it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.engine.diff import changes
from mlinfra.engine.events import Emit, ignore
from mlinfra.engine.leftovers import secrets, uses, veiled
from mlinfra.engine.placing import all_placed
from mlinfra.engine.refresh import refresh
from mlinfra.engine.survey import Sighted, Survey, Surveyor
from mlinfra.engine.values import absent, encode, holds_secret
from mlinfra.engine.workspace import Workspace, waiting
from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.sdk.errors import Unreachable
from mlinfra.sdk.fields import policies
from mlinfra.sdk.refs import UNKNOWN
from mlinfra.sdk.resource import Resource
from mlinfra.state.aside import aside, home
from mlinfra.state.backend import Loaded
from mlinfra.state.entries import intent_record
from mlinfra.state.snapshot import ResourceState, State

COMMAND = "state rebuild"


@dataclass(frozen=True, slots=True)
class Row:
    """One object of the new state. ``how`` it was found: ``tags``, ``name`` or ``state``. ``role``: ``wanted`` by the blueprint,
    ``left`` (the blueprint has it no more) or ``second`` (another object has its address). ``assumed`` are fields that nothing
    can read back: they are taken to be as the blueprint says."""

    address: str
    type: str
    id: str
    how: str
    role: str
    assumed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A state made anew. ``missing`` is what the blueprint wants and nobody found, with why if that is known; ``dropped`` are
    addresses of the state before whose objects are gone; ``before`` is how many resources that had (None: it was lost);
    ``strange`` are objects with our tags (id, address) of no type that this mlinfra knows: they are in no state. ``unlisted`` are
    providers that cannot list what is ours: of them only what the blueprint has is found."""

    state: State
    rows: tuple[Row, ...]
    missing: Mapping[str, str] = field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    before: int | None = None
    strange: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[str, ...] = ()


def rebuild(
    workspace: Workspace,
    *,
    emit: Emit = ignore,
    approve: Callable[[Rebuilt], bool] = lambda rebuilt: True,
    force: bool = False,
    lock_timeout: float = 0.0,
) -> tuple[Rebuilt, bool]:
    """Make the state anew, if ``approve`` says so to what it would be; whether it was done is told with it.

    A state that can be read and holds something is replaced with ``force`` only. What is replaced stays in the history; one that
    cannot be read is kept beside the new one.

    Errors: DiagnosticError if the lock is held, a provider cannot tell what is there, or the blueprint is wrong; `Kept`.
    """
    backend = workspace.backend
    if backend.unusable():
        # A file that is no store holds no lock either, so nobody can be at work on it.
        made = _surveyed(workspace, None, emit)
        if not approve(made):
            return made, False
        backend.set_aside()
        with backend.begin(COMMAND, wait=lock_timeout, waiting=waiting(emit)) as run:
            return replace(made, state=run.commit(made.state)), True
    with backend.begin(COMMAND, wait=lock_timeout, waiting=waiting(emit), anew=True) as run:
        made = _surveyed(workspace, run.began, emit)
        if made.before and not force:
            raise Kept(made)
        if not approve(made):
            return made, False
        return replace(made, state=run.commit(made.state)), True


class Kept(DiagnosticError):
    """The state can be read and holds something, so it was not replaced; ``rebuilt`` says what it would have become."""

    def __init__(self, rebuilt: Rebuilt) -> None:
        error = fail(
            "state-kept",
            "State is not lost",
            f"The state can be read and holds {rebuilt.before} resources, so it was left as it is.",
            "`mlinfra plan` tells what differs from it. To make it anew all the same give --force.",
        )
        super().__init__(error.diagnostics)
        self.rebuilt = rebuilt


def _surveyed(workspace: Workspace, loaded: Loaded | None, emit: Emit) -> Rebuilt:
    place = workspace.place
    base = loaded.state if loaded else State.new(place.blueprint, place.environment)
    before = base.resources
    provider = workspace.blueprint.environment.provider
    surveyor = Surveyor(workspace.desire, before, base.salt, workspace.catalog, workspace.clients, place, provider)
    try:
        survey = surveyor.survey()
    except DiagnosticError as error:
        raise DiagnosticError(all_placed(error.diagnostics, workspace.blueprint)) from error
    entries, rows = _entries(survey, workspace, base, emit)
    held = {(entry.type, entry.id) for entry in entries.values()}
    pending = loaded.pending if loaded else {}
    unsure = {address: intent_record(intent) for address, intent in pending.items() if address not in entries}
    return Rebuilt(
        replace(base, resources=entries, pending=unsure),
        tuple(rows),
        missing=survey.missing,
        dropped=tuple(address for address, entry in before.items() if (entry.type, entry.id) not in held),
        before=len(before) if loaded and not loaded.damaged else None,
        strange=tuple((found.id, found.address) for found in survey.strange),
        unlisted=tuple(survey.unlisted),
    )


def _entries(
    survey: Survey, workspace: Workspace, base: State, emit: Emit
) -> tuple[dict[str, ResourceState], list[Row]]:
    """The entries of the new state by address, and a row for each."""
    desire, catalog, salt = workspace.desire, workspace.catalog, base.salt
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    seen = dict(_addressed(survey))
    lives = {address: one.live for address, one in seen.items() if isinstance(one.live, dict)}
    hidden = secrets([*lives.values(), *survey.resolved.values()])
    olds = {(entry.type, entry.id): entry for entry in base.resources.values()}
    entries: dict[str, ResourceState] = {}
    rows: list[Row] = []
    wanted: set[str] = set()
    for address, one in sorted(seen.items()):
        resource = desire.resources.get(address)
        model = catalog.resource_type(one.found.type)
        old = olds.get(one.key)
        entry = ResourceState(
            address=address,
            type=one.found.type,
            provider=catalog.owner(one.found.type).name,
            id=one.found.id,
            fields=dict(old.fields) if old else {},
            desired=dict(old.desired) if old else {},
            dependencies=list(old.dependencies) if old else [],
            tainted=old.tainted if old else False,
            component=address.partition("/")[0],
            created_at=old.created_at if old else now,
            updated_at=now,
        )
        assumed: tuple[str, ...] = ()
        if resource is not None and resource.type == one.found.type:
            wanted.add(address)
            shape = {name: value for name, value in survey.forms[address].fields.items() if value is not UNKNOWN}
            given, table = survey.resolved[address], policies(model)
            assumed = tuple(name for name in given if table[name].write_only and not absent(given[name]))
            entry = replace(
                entry,
                fields=encode({**lives.get(address, {}), **shape}, salt),  # a read echoes what it cannot read
                desired=encode(given, salt),
                dependencies=[*resource.needs, *desire.producers.get(address, ())],
                component=resource.component,
            )
        elif address in lives:
            fields = encode(veiled(model, lives[address], hidden, maps=old is None), salt)
            # What is a secret in it stays one: the next plan takes that from what counts as applied.
            pattern = {name: value for name, value in fields.items() if holds_secret(value)}
            entry = replace(entry, fields=fields, desired={**pattern, **entry.desired})
        entries[address] = entry
        role = "wanted" if resource is not None else "left" if survey.chosen.get(address) is one else "second"
        rows.append(Row(address, entry.type, entry.id, one.how, role, assumed))
    world = refresh({address: entries[address] for address in wanted}, catalog, workspace.clients, emit)
    for address, live in world.live.items():
        if live is None:
            del entries[address]
        elif not isinstance(live, Unreachable):
            model = catalog.resource_type(entries[address].type)
            told = veiled(model, live, hidden, maps=False)
            desired = _applied(entries[address].desired, survey.forms[address].fields, told, model, salt)
            entries[address] = replace(entries[address], fields=encode(told, salt), desired=desired)
    survey.missing.update(dict.fromkeys(wanted - entries.keys(), ""))
    edges = uses(entries, lives, entries.keys() - desire.resources.keys(), catalog)
    entries = {address: replace(entry, dependencies=edges[address]) for address, entry in entries.items()}
    return entries, [row for row in rows if row.address in entries]


def _applied(
    desired: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any], model: type[Resource], salt: str
) -> dict[str, Any]:
    """What counts as last applied: what the blueprint says, but for fields in which the object differs. There it is what the
    object has, so that the next plan sees that the blueprint says otherwise."""
    found = dict(desired)
    for change in changes(model, wanted, wanted, live, salt):
        name = change.path.partition(".")[0]
        found.pop(name, None)
        if name in live:
            found[name] = encode(live[name], salt)
    return found


def _addressed(survey: Survey) -> Iterable[tuple[str, Sighted]]:
    """Each object with the address that its entry gets: a second one of an address has one of its own, beside it."""
    yield from survey.chosen.items()
    for one in survey.others:
        yield aside(home(one.found.address), one.found.id), one
