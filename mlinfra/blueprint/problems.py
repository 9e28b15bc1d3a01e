"""Collects the mistakes of a blueprint, so that all are reported together, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlinfra.blueprint.source import At
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, Position


class Locate(Protocol):
    """Gives the place of a path in the blueprint."""

    def __call__(self, path: Sequence[Any], at: At = "value", needle: str = "") -> Position: ...


@dataclass(slots=True)
class Problems:
    """Mistakes found so far. Places are worked out when they are reported, and not at all if there is none."""

    locate: Locate
    files: Sequence[str] = ()
    _found: list[tuple[Callable[[], Position] | None, Diagnostic]] = field(default_factory=list)
    _told: set[tuple[Any, ...]] = field(default_factory=set)

    def add(
        self,
        code: str,
        summary: str,
        detail: str,
        remedy: str,
        path: Sequence[Any] | None = None,
        *,
        at: At = "value",
        needle: str = "",
        position: Callable[[], Position] | None = None,
        address: str = "",
    ) -> None:
        """Add a mistake at a path of the blueprint, or at a place in another file. The same one is kept once."""
        key = (code, detail, repr(path))
        if key in self._told:
            return
        self._told.add(key)
        if position is None and path is not None:
            locate, fixed = self.locate, tuple(path)

            def position() -> Position:
                return locate(fixed, at, needle)

        self._found.append((position, Diagnostic(code, summary, detail, remedy, None, address)))

    def take(self, error: DiagnosticError) -> None:
        """Add mistakes that have their places already."""
        self._found += [(None, diagnostic) for diagnostic in error.diagnostics]

    def __bool__(self) -> bool:
        return bool(self._found)

    def raise_any(self) -> None:
        """Raise what was found, if anything was. Errors: DiagnosticError."""
        if self._found:
            placed = [_placed(diagnostic, position) for position, diagnostic in self._found]
            raise DiagnosticError(sorted(placed, key=self._order))

    def _order(self, diagnostic: Diagnostic) -> tuple[int, int, int]:
        position = diagnostic.position
        if position is None:
            return (len(self.files) + 1, 0, 0)
        rank = self.files.index(position.file) if position.file in self.files else len(self.files)
        return (rank, position.line, position.column)


def _placed(diagnostic: Diagnostic, position: Callable[[], Position] | None) -> Diagnostic:
    if position is None:
        return diagnostic
    return Diagnostic(
        diagnostic.code, diagnostic.summary, diagnostic.detail, diagnostic.remedy, position(), diagnostic.address
    )
