"""Folders of the blueprint whose files go to the engine: which files those are, and their digests. Changes nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.provider import Place

LEFT: Final = frozenset({"__pycache__", ".git", ".mlinfra", ".venv"})
"""Folders that are nobody's files."""


def source(name: str, place: Place, field: str) -> Path:
    """A folder of the blueprint, absolute.

    Errors: ProviderError if it is not there or lies elsewhere.
    """
    root = Path(place.root).resolve()
    folder = (root / name).resolve()
    if not folder.is_relative_to(root):
        raise ProviderError(
            f"{field} {name} lies outside of the blueprint's folder", remedy=f"Name a folder below {root}."
        )
    if not folder.is_dir():
        raise ProviderError(f"the folder {name} is not there", remedy=f"Create {folder}, or correct {field}.")
    return folder


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, links to files included, in a fixed order. Linked folders are not entered."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT)
        yield from (Path(where) / name for name in sorted(names) if (Path(where) / name).is_file())


def digest(path: Path) -> str:
    """A short digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def listed(names: Sequence[str]) -> str:
    """The first names of files."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
