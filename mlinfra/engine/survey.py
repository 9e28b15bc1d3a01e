"""The survey: what is really there and ours, found without a state. By the objects' own tags, and by the names that the blueprint
gives. It reads; it changes nothing.

Providers list what carries our tags (`mlinfra.sdk.discovery`). What cannot carry any, or tells it to nobody who has not its
server's address, is located as after a run that was cut off: resource by resource, each after what its fields refer to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.desired import Form, form, instance
from mlinfra.engine.diff import changes
from mlinfra.engine.graph import order
from mlinfra.engine.lower import Desire, Desired
from mlinfra.engine.refresh import Live, read_type
from mlinfra.engine.resolving import Views
from mlinfra.engine.steps import owner
from mlinfra.engine.values import conceal_fields, encode, is_unknown, reveal
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, fail
from mlinfra.sdk.discovery import Found, Scope, Wanted
from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.provider import Place, load
from mlinfra.sdk.refs import UNKNOWN, has_token
from mlinfra.sdk.resource import Operation
from mlinfra.state.snapshot import ResourceState

Key = tuple[str, str]
"""What tells objects apart: type and provider id."""


@dataclass(slots=True)
class Sighted:
    """An object that is there. ``how``: ``tags`` (they say whose it is), ``name`` (located by it), ``state`` (only the state that
    was there before knew it)."""

    found: Found
    how: str
    live: Live = None

    @property
    def key(self) -> Key:
        return self.found.type, self.found.id


@dataclass(slots=True)
class Survey:
    """``chosen`` is the object of each address; ``others`` are further ones with the tags of an address that has one already;
    ``forms`` and ``resolved`` are what the blueprint wants; ``missing`` is what it wants and nobody found, and why; ``strange``
    is what carries our tags and is of no type that is known; ``unlisted`` are providers that cannot list what is ours."""

    chosen: dict[str, Sighted] = field(default_factory=dict)
    others: list[Sighted] = field(default_factory=list)
    forms: dict[str, Form] = field(default_factory=dict)
    resolved: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    strange: list[Found] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)


class Surveyor:
    """Surveys one environment. ``before`` are the entries of the state that is to be replaced, if it can be read: what they say is
    looked for like what tags say. ``salt`` is the state's."""

    def __init__(
        self,
        desire: Desire,
        before: Mapping[str, ResourceState],
        salt: str,
        catalog: Catalog,
        clients: Clients,
        place: Place,
        provider: str,
    ) -> None:
        self._desire = desire
        self._before = before
        self._salt = salt
        self._catalog = catalog
        self._clients = clients
        self._place = place
        self._provider = provider
        self._views = Views(catalog)
        self._seen: dict[str, list[Sighted]] = {}
        self._keys: set[Key] = set()
        self._strange: list[Found] = []

    def survey(self) -> Survey:
        """Find what is there.

        Errors: DiagnosticError if a provider cannot tell, or for what is wrong in the blueprint.
        """
        made = Survey()
        plain = {address: _plain(resource) for address, resource in self._desire.resources.items()}
        told = [Found(entry.type, entry.id, entry.address, entry.created_at) for entry in self._before.values()]
        self._read(
            [*self._noted(self._discovered([self._provider], plain), "tags"), *self._noted(told, "state")], plain
        )
        needs = {address: resource.needs for address, resource in self._desire.resources.items()}
        problems: list[Diagnostic] = []
        for address in order(needs):
            try:
                self._decide(self._desire.resources[address], made)
            except DiagnosticError as error:
                problems += [d if d.address else replace(d, address=address) for d in error.diagnostics]
                self._views.put(address, self._desire.resources[address].type, {}, partial=True)
        if problems:
            raise DiagnosticError(problems)
        known = {
            address: Wanted(self._desire.resources[address].type, shape.fields)
            for address, shape in made.forms.items()
            if shape.known
        }
        # Other providers are asked last: where their servers are is known only now.
        self._read(self._noted(self._discovered(self._others(), known), "tags"), plain)
        for address, seen in self._seen.items():
            there = [one for one in seen if one.live is not None]
            if address not in made.chosen:
                self._choose(address, there, self._desire.resources.get(address), made)
            made.others += [one for one in there if one is not made.chosen[address]]
        made.strange = self._strange
        asked = [self._catalog.provider(name) for name in (self._provider, *self._others())]
        made.unlisted = [one.name for one in asked if one.discover is None and one.resources]
        made.missing = {address: why for address, why in made.missing.items() if address not in made.chosen}
        return made

    # -- finding ------------------------------------------------------------------------------------------------------

    def _others(self) -> list[str]:
        types = {resource.type for resource in self._desire.resources.values()}
        types |= {entry.type for entry in self._before.values()}
        return sorted({self._catalog.owner(name).name for name in types} - {self._provider})

    def _discovered(self, providers: Iterable[str], wanted: Mapping[str, Wanted]) -> Iterable[Found]:
        tags = owner(self._place, "")
        tags.pop("mlinfra:address")
        scope = Scope(tags, wanted)
        for name in providers:
            provider = self._catalog.provider(name)
            if provider.discover is None or not provider.resources:
                continue
            client = self._clients.of(next(iter(provider.resources)))
            try:
                yield from load(provider.discover)(client, scope)
            except ProviderError as error:
                raise fail(
                    "discovery-failed",
                    "Objects cannot be listed",
                    f"What {name} holds of this environment cannot be listed: {error}.",
                    error.remedy or "Mend the cause, then try again.",
                ) from error

    def _noted(self, found: Iterable[Found], how: str) -> list[Sighted]:
        """Remember objects, each once: their own tags are asked first, so they count more than a state that may be wrong. Gives
        those that are new."""
        new = []
        for one in found:
            sighted = Sighted(one, how)
            if not one.type:
                self._strange.append(one)
            elif sighted.key not in self._keys:
                self._keys.add(sighted.key)
                self._seen.setdefault(one.address, []).append(sighted)
                new.append(sighted)
        return new

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read(self, unread: Iterable[Sighted], plain: Mapping[str, Wanted]) -> None:
        """Read objects in bulk by type. A second one of an address has its turn later: what is read is told by address."""
        rounds: list[dict[str, dict[str, Sighted]]] = []
        for one in unread:
            free = next((r for r in rounds if one.found.address not in r.get(one.found.type, {})), None)
            if free is None:
                free = {}
                rounds.append(free)
            free.setdefault(one.found.type, {})[one.found.address] = one
        for turn in rounds:
            for name, items in turn.items():
                entries = [self._entry(one, plain) for one in items.values()]
                live = read_type(self._catalog.resource_type(name), self._clients.of(name), entries)
                for address, one in items.items():
                    one.live = live[address]

    def _entry(self, one: Sighted, plain: Mapping[str, Wanted]) -> ResourceState:
        address = one.found.address
        before = next((e for e in (self._before.get(address),) if e and (e.type, e.id) == one.key), None)
        wanted = plain.get(address)
        fields = dict(before.fields) if before else dict(one.found.fields)
        if wanted is not None and wanted.type == one.found.type:
            fields |= encode(wanted.fields, self._salt)
        return ResourceState(address, one.found.type, "", one.found.id, fields, before.desired if before else {})

    # -- deciding -----------------------------------------------------------------------------------------------------

    def _decide(self, resource: Desired, made: Survey) -> None:
        """What stands for a resource of the blueprint, now that all it refers to is decided."""
        address = resource.address
        model = self._catalog.resource_type(resource.type)
        resolved = self._views.resolve(resource.fields) if has_token(resource.fields) else resource.fields
        resolved = conceal_fields(model, resolved)
        made.resolved[address] = {name: value for name, value in resolved.items() if not is_unknown(value)}
        shape = made.forms[address] = form(model, resolved, self._place, address)
        there = [one for one in self._seen.get(address, ()) if one.live is not None]
        if not any(one.found.type == resource.type for one in there) and shape.known:
            there += self._located(resource, shape, made)
        self._choose(address, there, resource, made)
        one = made.chosen.get(address)
        known = {name: value for name, value in shape.fields.items() if value is not UNKNOWN}
        if one is None:
            made.missing.setdefault(address, "")
        if one is None or not isinstance(one.live, dict) or one.found.type != resource.type:
            self._views.put(address, resource.type, shape.fields, partial=True)
        else:
            differs = bool(changes(model, shape.fields, shape.fields, one.live, self._salt))
            self._views.put(address, resource.type, {**one.live, **known}, partial=differs)

    def _located(self, resource: Desired, shape: Form, made: Survey) -> list[Sighted]:
        """What is there under the name that the blueprint gives, and is ours."""
        model = self._catalog.resource_type(resource.type)
        client = self._clients.of(resource.type)
        op = Operation(resource.address, owner(self._place, resource.address), "", self._place.work)
        try:
            found = instance(model, reveal(shape.fields), resource.address).locate(client, op)
        except Unreachable as error:
            made.missing[resource.address] = str(error)
            return []
        except ProviderError as error:
            raise fail(
                "discovery-failed",
                "Objects cannot be listed",
                f"Whether {resource.address} is there cannot be told: {error}.",
                error.remedy or "Mend the cause, then try again.",
            ) from error
        if found is None or (resource.type, found) in self._keys:
            return []
        one = Sighted(Found(resource.type, found, resource.address), "name")
        fields = encode(shape.fields, self._salt)
        entry = ResourceState(resource.address, resource.type, "", found, fields, fields)
        one.live = read_type(model, client, [entry])[resource.address]
        if one.live is None:
            return []
        self._keys.add(one.key)
        self._seen.setdefault(resource.address, []).append(one)
        return [one]

    def _choose(self, address: str, there: list[Sighted], resource: Desired | None, made: Survey) -> None:
        """The object of an address: of the wanted type, with what the blueprint fixes (its name, mostly); then the newest."""
        if there:
            made.chosen[address] = max(there, key=lambda one: self._rank(one, resource, made))

    def _rank(self, one: Sighted, resource: Desired | None, made: Survey) -> tuple[bool, int, bool, str]:
        if resource is None:
            return True, 0, one.how == "tags", one.found.made
        if one.found.type != resource.type or not isinstance(one.live, dict):
            return False, 0, one.how == "tags", one.found.made
        model = self._catalog.resource_type(resource.type)
        wanted = made.forms[resource.address].fields
        found = changes(model, wanted, wanted, one.live, self._salt)
        return True, -sum(change.forces_replacement for change in found), one.how == "tags", one.found.made


def _plain(resource: Desired) -> Wanted:
    """What of a resource can be told without any other."""
    return Wanted(resource.type, {name: value for name, value in resource.fields.items() if not has_token(value)})
