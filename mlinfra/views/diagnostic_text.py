"""Diagnostics as people read them: what, where, why, what to do."""

from __future__ import annotations

from collections.abc import Iterable

from mlinfra.sdk.diagnostics import Diagnostic
from mlinfra.views.lines import Line, Style, folded


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
                lines.append([(f"  {number} | ", "dim"), (position.text.rstrip(), "")])
                lines.append([(" " * (len(number) + 3) + "| ", "dim"), (" " * (position.column - 1) + "^", style)])
        for text in diagnostic.detail.splitlines():
            # Lines of a log that a message quotes keep their shape.
            lines += [[(text, "")] for text in folded(text, None if text.startswith(" ") else width, "  ")]
        if diagnostic.remedy:
            lines += [[(text, "good")] for text in folded(diagnostic.remedy, width, "  ")]
        lines.append([])
    return lines


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
