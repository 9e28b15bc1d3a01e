"""What is wrong, where, and what to do: the one shape in which mlinfra reports mistakes.

Functions that can find several mistakes collect diagnostics and go on. Views turn them into text; nothing here prints.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file: 1-based line and column, and the text of that line."""

    file: str
    line: int
    column: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake.

    ``code`` is stable and listed in docs/errors.md; ``summary`` is short, fixed text without user data; ``detail`` says in
    full sentences what is wrong and why; ``remedy`` says what to do next. ``address`` names a component or resource, ``path``
    the field of it that is meant: keys and places in lists.
    """

    code: str
    summary: str
    detail: str = ""
    remedy: str = ""
    position: Position | None = None
    address: str = ""
    severity: Severity = "error"
    path: tuple[str | int, ...] = ()


class DiagnosticError(Exception):
    """One or more mistakes that end what was asked for. Nothing was touched unless a diagnostic says so."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__("; ".join(d.detail or d.summary for d in self.diagnostics))


def fail(code: str, summary: str, detail: str = "", remedy: str = "", *, address: str = "") -> DiagnosticError:
    """A `DiagnosticError` of one diagnostic, to be raised."""
    return DiagnosticError([Diagnostic(code, summary, detail, remedy, address=address)])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` Did you mean "x"?`` with the closest known word (leading space), or an empty string."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' Did you mean "{close[0]}"?' if close else ""
