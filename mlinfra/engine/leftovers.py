"""Objects that the blueprint has no more, of which only they themselves tell: what stands on what, and what of them is not to be
written down. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.graph import reach
from mlinfra.engine.values import conceal_all
from mlinfra.sdk.fields import policies
from mlinfra.sdk.refs import Sensitive
from mlinfra.sdk.resource import Fields, Resource
from mlinfra.state.snapshot import ResourceState

SHORT: Final = 6
"""Characters below which a secret is not looked for in other texts: it would be found everywhere."""


def uses(
    entries: Mapping[str, ResourceState], live: Mapping[str, Mapping[str, Any]], spare: set[str], catalog: Catalog
) -> dict[str, list[str]]:
    """What each entry comes after, with what is found of those in ``spare``: an object that is set to the id of another, or to
    another text that a provider told and only that one is known by, uses it."""
    known: dict[str, set[str]] = {}
    given: dict[str, set[str]] = {}
    for address, entry in entries.items():
        told, settings = _parts(catalog.resource_type(entry.type), live.get(address, entry.fields))
        given[address] = settings - {entry.id}
        for text in {entry.id, *told}:
            known.setdefault(text, set()).add(address)
    edges = {address: list(entry.dependencies) for address, entry in entries.items()}
    for address, settings in given.items() if spare else ():
        for text in sorted(settings & known.keys()):
            used = known[text] - {address}
            if len(used) != 1 or not spare & {address, *used}:
                continue
            (target,) = used
            if target not in edges[address] and address not in reach([target], edges):
                edges[address].append(target)
    return edges


def _parts(model: type[Resource], fields: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """The texts that a provider told of an object, and those that it was given."""
    table = policies(model)
    told: set[str] = set()
    given: set[str] = set()
    for name, value in fields.items():
        policy = table.get(name)
        if policy is None or not policy.computed:
            given.update(_texts(value))
        elif isinstance(value, str) and value:
            told.add(value)
    return told, given


def secrets(live: Iterable[Any]) -> set[str]:
    """All secrets in values that are worth looking for elsewhere."""
    return {text for value in live for text in _texts(value, sensitive=True) if len(text) >= SHORT}


def veiled(model: type[Resource], fields: Mapping[str, Any], hidden: set[str], *, maps: bool) -> Fields:
    """Fields with every text `Sensitive` that holds a secret. With ``maps`` also all that stands in a map (variables of an
    environment, mostly): which of it was a secret is known to nobody any more."""
    table = policies(model)
    found: Fields = {}
    for name, value in fields.items():
        policy = table.get(name)
        given = policy is None or not policy.computed
        found[name] = conceal_all(value) if maps and given and isinstance(value, Mapping) else _veiled(value, hidden)
    return found


def _veiled(value: Any, hidden: set[str]) -> Any:
    if isinstance(value, str):
        return Sensitive(value) if any(secret in value for secret in hidden) else value
    if isinstance(value, Mapping):
        return {key: _veiled(item, hidden) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_veiled(item, hidden) for item in value]
    return value


def _texts(value: Any, *, sensitive: bool = False) -> Iterator[str]:
    """All texts in a field value that are secrets, or those that are none."""
    if isinstance(value, Sensitive):
        if sensitive:
            yield value.reveal()
    elif isinstance(value, str):
        if not sensitive:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item, sensitive=sensitive)
    elif isinstance(value, Sequence):
        for item in value:
            yield from _texts(item, sensitive=sensitive)
