"""Styled lines: what all text views are made of. A line is a list of (text, style) pieces; styles are names, not colours."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from mlinfra.engine.values import MISSING, Fingerprint
from mlinfra.sdk.refs import CLOSE, OPEN, UNKNOWN, Sensitive

Style = Literal["", "bold", "dim", "add", "change", "destroy", "run", "error", "warning", "good"]
Piece = tuple[str, Style]
Line = list[Piece]

SHOWN = 60
"""Characters of a value that a plan line shows."""


def plain(lines: Sequence[Line]) -> str:
    """Lines as text without styles."""
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)


def shown(value: Any) -> str:
    """A field value as people read it, on one line: long ones cut, secrets and unknowns said as such."""
    if value is UNKNOWN or (isinstance(value, str) and OPEN in value and CLOSE in value):
        return "(known after apply)"
    if isinstance(value, Sensitive | Fingerprint) or (isinstance(value, Mapping) and "$secret" in value):
        return "(sensitive)"
    if value is None or value is MISSING:
        return "(none)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if "\n" in value:
            return f"({value.count(chr(10)) + (not value.endswith(chr(10)))} lines)"
        return _cut(value) if value else '""'
    if isinstance(value, Mapping):
        return _cut("{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}")
    if isinstance(value, list | tuple):
        return _cut("[" + ", ".join(shown(item) for item in value) + "]")
    return _cut(json.dumps(value, default=str))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def seconds(value: float) -> str:
    """A duration as people read it."""
    if value < 0.95:
        return f"{value:.1f} s"
    if value < 60:
        return f"{value:.0f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def counted(number: int, noun: str) -> str:
    """``1 call``, ``2 calls``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def folded(text: str, width: int | None, indent: str) -> list[str]:
    """A text as lines no longer than ``width`` where its words allow, each indented; with no width as it is."""
    if width is None:
        return [indent + text]
    room = max(width, len(indent) + 20)
    folds = textwrap.wrap(
        text, room, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return folds or [indent + text]


def table(rows: Sequence[Sequence[Piece]], *, indent: int = 0, gap: int = 2) -> list[Line]:
    """Rows of pieces as aligned lines; the last column is not padded."""
    if not rows:
        return []
    columns = max(len(row) for row in rows)
    widths = [max((len(row[i][0]) for row in rows if i < len(row)), default=0) for i in range(columns)]
    lines: list[Line] = []
    for row in rows:
        line: Line = [(" " * indent, "")]
        for i, (text, style) in enumerate(row):
            last = i == len(row) - 1
            line.append((text, style))
            if not last:
                line.append((" " * (widths[i] - len(text) + gap), ""))
        lines.append(line)
    return lines
