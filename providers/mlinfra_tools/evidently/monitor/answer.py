"""What one look found: the score and what it is made of. The same in the short-lived process that makes it, on the disk,
and in the resident part that judges it. Must import the standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass
class Found:
    """What one look found. Either ``score`` or one of ``problem`` (something is wrong) and ``too_little`` (nothing to tell
    yet) is set, a sentence for people."""

    rows: int = 0
    """How many rows the window has; for labelled questions, how many have a label."""
    looked_at: int = 0
    """How many of them were looked at."""
    reference_rows: int = 0
    score: float | None = None
    what: str = ""
    """What the score is ("share of drifted columns")."""
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What each column adds: its score, and whether it drifted or how many values are bad."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Columns that were not looked at, with the reason."""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """Further figures by name."""
    by_variant: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    since: str = ""
    until: str = ""
    problem: str | None = None
    too_little: str | None = None
    report: bool = False
    """Whether there is an Evidently report."""

    def told(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)


def read(raw: Mapping[str, Any]) -> Found:
    """The found that JSON values tell. Keys of other versions are left aside."""
    known = {item.name for item in fields(Found)}
    return Found(**{key: value for key, value in raw.items() if key in known})
