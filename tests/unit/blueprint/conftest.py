"""Writes blueprints and loads them with the kinds of `kinds`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from mlinfra.blueprint.loader import Blueprint, load
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from tests.unit.blueprint.kinds import KINDS

HEAD = "blueprint: fraud\nenvironments: { laptop: { provider: local, default: true } }\n"

Load = Callable[..., Blueprint]
Wrong = Callable[..., Sequence[Diagnostic]]


class Files:
    """A folder with a blueprint. ``text`` is the file, or with ``body`` what follows a name and one environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "blueprint.yaml"

    def write(self, text: str | bytes, name: str = "blueprint.yaml") -> Path:
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else dedent(text).encode())
        return path

    def load(
        self,
        text: str | bytes | None = None,
        *,
        body: str | None = None,
        path: Path | None = None,
        environ: Mapping[str, str] = {},
        **options: Any,
    ) -> Blueprint:
        if body is not None:
            text = HEAD + dedent(body)
        if text is not None:
            self.write(text)
        options.setdefault("kind_names", tuple(KINDS))
        return load(path or self.path, environ=environ, kinds=KINDS.get, **options)  # type: ignore[arg-type]

    def wrong(self, text: str | bytes | None = None, **options: Any) -> Sequence[Diagnostic]:
        """The mistakes of a blueprint that has some; each is whole."""
        with pytest.raises(DiagnosticError) as caught:
            self.load(text, **options)
        for diagnostic in caught.value.diagnostics:
            assert diagnostic.code
            assert diagnostic.summary
            assert diagnostic.detail
            assert diagnostic.remedy
            assert "pydantic" not in diagnostic.detail + diagnostic.remedy
            assert "http" not in diagnostic.detail
            if diagnostic.position is not None and diagnostic.position.text:
                assert diagnostic.position.column <= len(diagnostic.position.text) + 1
        return caught.value.diagnostics

    def one(self, text: str | bytes | None = None, **options: Any) -> Diagnostic:
        """The only mistake of a blueprint."""
        found = self.wrong(text, **options)
        assert len(found) == 1, found
        return found[0]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def place(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.position is not None
    return diagnostic.position.line, diagnostic.position.column
