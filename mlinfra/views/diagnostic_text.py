"""Diagnostics as people read them: what, where, why, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mlinfra.sdk.diagnostics import Diagnostic
from mlinfra.views.lines import Line, Style, folded

LONGEST: Final = 120
"""Characters of a source line that are shown."""


def diagnostic_lines(diagnostics: Iterable[Diagnostic], width: int | None = None) -> list[Line]:
    """Each diagnostic: a headline, its place with the source line, the reason, the remedy. Sentences are folded at ``width``."""
    lines: list[Line] = []
    for diagnostic in diagnostics:
        style: Style = "error" if diagnostic.severity == "error" else "warning"
        word = "Error" if diagnostic.severity == "error" else "Warning"
        lines.append([(f"{word}: ", style), (diagnostic.summary, "bold"), (f"  [{diagnostic.code}]", "dim")])
        position = diagnostic.position
        if position is not None:
            lines.append([(f"  {position.file}:{position.line}:{position.column}", "")])
            if position.text:
                number = str(position.line)
                text, column = _window(position.text.rstrip(), position.column)
                lines.append([(f"  {number} | ", "dim"), (text, "")])
                lines.append([(" " * (len(number) + 3) + "| ", "dim"), (" " * (column - 1) + "^", style)])
        for text in diagnostic.detail.splitlines():
            # Lines of a log that a message quotes keep their shape.
            lines += [[(text, "")] for text in folded(text, None if text.startswith(" ") else width, "  ")]
        if diagnostic.remedy:
            lines += [[(text, "good")] for text in folded(diagnostic.remedy, width, "  ")]
        lines.append([])
    return lines


def _window(text: str, column: int) -> tuple[str, int]:
    """The part of a source line around a column, and the column within it. A tab takes one place, so that the mark fits."""
    text = text.replace("\t", " ")
    start = max(0, column - 1 - LONGEST // 2) if len(text) > LONGEST else 0
    shown, more = text[start : start + LONGEST], len(text) > start + LONGEST
    return ("…" if start else "") + shown + ("…" if more else ""), column - start + (1 if start else 0)


def diagnostic_record(diagnostic: Diagnostic) -> dict[str, object]:
    """A diagnostic as JSON values."""
    record: dict[str, object] = {
        "severity": diagnostic.severity,
        "code": diagnostic.code,
        "summary": diagnostic.summary,
        "detail": diagnostic.detail,
        "remedy": diagnostic.remedy,
        "address": diagnostic.address,
    }
    if diagnostic.position is not None:
        record["file"] = diagnostic.position.file
        record["line"] = diagnostic.position.line
        record["column"] = diagnostic.position.column
    return record
