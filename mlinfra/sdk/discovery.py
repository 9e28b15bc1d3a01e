"""Discovery: which objects say of themselves that they are ours. What a provider's ``discover`` is given, and what it gives.

It is asked when the state is lost: only the objects' own tags, labels and records know then what was made, and for which
address. Discovery reads; it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the blueprint wants at an address: a resource type, and its fields as far as they are known."""

    type: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked for: whatever carries the tags ``owner`` (``mlinfra:blueprint`` and ``mlinfra:environment``).

    ``wanted`` is what the blueprint wants of all providers, by address. It says the type where an object does not tell its own,
    and which servers there are to ask. An object that it does not have is looked for all the same.
    """

    owner: Mapping[str, str]
    wanted: Mapping[str, Wanted] = field(default_factory=dict)

    def mine(self, tags: Mapping[str, Any] | None) -> bool:
        """Whether tags say that an object is of this blueprint and environment, and for which address."""
        found = tags or {}
        return bool(found.get("mlinfra:address")) and all(found.get(key) == text for key, text in self.owner.items())

    def type_at(self, address: str, among: Mapping[str, str], otherwise: str) -> str:
        """The type of an object that does not tell it. ``among`` are the types that it can be, by the word that an address
        within a component has for them (``endpoint.fraud/container.a``)."""
        wanted = self.wanted.get(address)
        if wanted is not None and wanted.type in among.values():
            return wanted.type
        _, within, name = address.partition("/")
        return among.get(name.partition(".")[0], otherwise) if within else otherwise


@dataclass(frozen=True, slots=True)
class Found:
    """An object that carries our tags: its type (empty for one that no resource type of this provider is of), its provider id as
    ``read`` takes it, the address that its tags tell, when it was made, if that is told (any text that sorts by time), and
    fields that ``read`` has to know."""

    type: str
    id: str
    address: str
    made: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
