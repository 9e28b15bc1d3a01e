"""Objects that were replaced and are still there: where the state keeps them until nothing uses them any more.

A successor that can exist beside what it replaces takes over the address first. The object before it is set aside under an
address of its own, ``<address>~<hash of its id>``, and deleted once what stands on the address has gone over to the new one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from mlinfra.state.snapshot import ResourceState

MARK: Final = "~"
"""Divides an address from the hash. Names of a blueprint cannot hold it."""
DIGITS: Final = 8


def aside(address: str, object_id: str) -> str:
    """Where the object with this id is kept when another takes over its address."""
    return f"{address}{MARK}{hashlib.sha256(object_id.encode()).hexdigest()[:DIGITS]}"


def home(address: str) -> str:
    """The address that an object had before it was set aside; the address itself if it was not."""
    return address.partition(MARK)[0]


def taken_back(resources: Mapping[str, ResourceState], entry: ResourceState) -> list[str]:
    """Where the object of ``entry`` is set aside though it holds its address again: a blueprint that went back to what it said
    before may name it anew."""
    spare = aside(entry.address, entry.id)
    found = resources.get(spare)
    return [spare] if found is not None and (found.type, found.id) == (entry.type, entry.id) else []
