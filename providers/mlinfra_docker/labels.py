"""Whose an object of the engine is: the labels that everything of ours carries. Pure.

Labels of users stand beside ours; theirs may not begin with `PREFIX`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from mlinfra.sdk.errors import NotOurs
from mlinfra.sdk.resource import Operation

PREFIX: Final = "mlinfra:"
CONTENT: Final = "mlinfra:content"
"""The digest of what an image was built from."""
BUILD: Final = "mlinfra:.build"
"""Whose an image is, in one label. The engine gives an image its labels one by one, in the order of their names, so that one
whose build was cut off may have this one only."""
SHAPE: Final = "mlinfra:shape"
"""The digest of what a container was created with."""


def users(labels: Mapping[str, str] | None) -> dict[str, str]:
    """The labels that are not ours."""
    return {name: value for name, value in (labels or {}).items() if not name.startswith(PREFIX)}


def allowed(labels: Mapping[str, str]) -> Mapping[str, str]:
    """Labels of a user, checked.

    Errors: ValueError.
    """
    wrong = [name for name in labels if name.startswith(PREFIX)]
    if wrong:
        raise ValueError(f"labels that begin with {PREFIX} are mlinfra's own: {', '.join(wrong)}")
    return labels


def ours(labels: Mapping[str, str] | None, owner: Mapping[str, str]) -> bool:
    """Whether labels have all that ``owner`` says."""
    return all((labels or {}).get(name) == value for name, value in owner.items())


def of_image(owner: Mapping[str, str], content: str) -> dict[str, str]:
    """The labels of an image that is built from this content."""
    return {BUILD: _whose(owner), **owner, CONTENT: content}


def our_image(labels: Mapping[str, str] | None, owner: Mapping[str, str]) -> bool:
    """Whether an image is ours, be it that its build was cut off while it got its labels."""
    return ours(labels, owner) or (labels or {}).get(BUILD) == _whose(owner)


def _whose(owner: Mapping[str, str]) -> str:
    return hashlib.sha256("\n".join(f"{name}={owner[name]}" for name in sorted(owner)).encode()).hexdigest()[:32]


def filters(owner: Mapping[str, str]) -> dict[str, Any]:
    """The filter of a list call for what is ours."""
    return {"label": [f"{name}={value}" for name, value in owner.items()]}


def not_ours(what: str, labels: Mapping[str, str] | None, op: Operation, *, adopting: str) -> NotOurs:
    """The refusal of an object that somebody else made. ``adopting`` says what taking it over means."""
    found = labels or {}
    whose = "somebody else"
    if f"{PREFIX}address" in found:
        whose = (
            f"{found[f'{PREFIX}address']} of the blueprint {found.get(f'{PREFIX}blueprint', '?')}, "
            f"environment {found.get(f'{PREFIX}environment', '?')}"
        )
    return NotOurs(
        f"{what} exists already and belongs to {whose}",
        remedy=f"Choose another name, remove it, or take it over with --adopt {op.address} ({adopting}).",
    )
