"""Whose an object of the engine is: the labels that everything of ours carries. Pure.

Labels of users stand beside ours; theirs may not begin with `PREFIX`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mlinfra.sdk.errors import NotOurs
from mlinfra.sdk.resource import Operation

PREFIX: Final = "mlinfra:"
CONTENT: Final = "mlinfra:content"
"""The digest of what an image was built from."""
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
