"""Marks: which files and folders are ours. A file can carry no tags, so each has a small record in the work folder.

A mark is written before the object and removed after it: an object without a mark is somebody else's, and a mark without an
object says that the object was deleted, or that a run was cut off while it made or removed it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlinfra.sdk.errors import NotOurs
from mlinfra.sdk.resource import Operation
from mlinfra_local.client import LocalClient
from mlinfra_local.paths import guard, parents, prune
from mlinfra_local.writing import read_json, write_json


@dataclass(frozen=True, slots=True)
class Mark:
    """``notes`` are what its type remembers of the object."""

    path: str
    owner: Mapping[str, str]
    notes: Mapping[str, Any] = field(default_factory=dict)


def mark_file(client: LocalClient, path: str) -> Path:
    """Where the mark of an object lies."""
    return client.work / "marks" / f"{hashlib.sha256(path.encode()).hexdigest()[:24]}.json"


def find(client: LocalClient, path: str) -> Mark | None:
    """The mark of an object, or None."""
    told = read_json(mark_file(client, path))
    if not isinstance(told, dict) or told.get("path") != path:
        return None
    return Mark(path, told.get("owner", {}), told.get("notes", {}))


def put(client: LocalClient, mark: Mark) -> None:
    """Write a mark."""
    target = mark_file(client, mark.path)
    told = {"path": mark.path, "owner": dict(mark.owner), "notes": dict(mark.notes)}
    with parents(client, target):
        write_json(target, told)


def remove(client: LocalClient, path: str) -> None:
    """Remove a mark; one that is gone is no matter."""
    target = mark_file(client, path)
    with client.tree:
        target.unlink(missing_ok=True)
        folder = target.parent
        if folder.is_dir() and not any(item.suffix == ".json" for item in folder.iterdir()):
            for unfinished in folder.iterdir():  # of marks that never came to be: their writers were killed
                unfinished.unlink()
        prune(client, target)


def ours(mark: Mark | None, op: Operation) -> bool:
    """Whether a mark says that the object belongs to this resource."""
    return mark is not None and dict(mark.owner) == dict(op.owner)


def claim(client: LocalClient, path: str, op: Operation, *, there: bool) -> Mark:
    """Mark an object as ours before it is made. ``there`` says that something already stands at the path.

    Errors: NotOurs if it stands there and is not ours, unless the user adopts it; ProviderError if a link leads away.
    """
    known = find(client, path)
    if known is not None and ours(known, op):
        return known
    if there and not op.adopt:
        if known is not None:
            other = known.owner.get("mlinfra:address", "something else")
            raise NotOurs(
                f"{path} belongs to {other}",
                remedy=f"Choose another path, or take it over with --adopt {op.address}.",
            )
        raise NotOurs(
            f"{path} is there already, and mlinfra did not make it",
            remedy=f"Choose another path, move it away, or take it over with --adopt {op.address}.",
        )
    guard(client, Path(path))
    mark = Mark(path, dict(op.owner))
    put(client, mark)
    return mark
