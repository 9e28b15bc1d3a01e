"""Keeps Evidently's HTML reports. Each holds the same 3.6 MB of scripts and styles: those are kept once, and put back when
a report is read, so that what is shown needs no network. Must import the standard library only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

LARGE: Final = 100_000
_BLOCK: Final = re.compile(r"(<(script|style)[^>]*>)(.*?)(</\2>)", re.DOTALL)
_MARK: Final = re.compile(r"\{\{shared:([0-9a-f]{64})\}\}")


def keep(html: str, path: Path, shared: Path) -> None:
    """Write a report to ``path``, its large parts to files in ``shared`` that are named by their content."""
    shared.mkdir(parents=True, exist_ok=True)

    def put(match: re.Match[str]) -> str:
        text = match[3]
        if len(text) < LARGE:
            return match[0]
        name = hashlib.sha256(text.encode()).hexdigest()
        if not (shared / name).exists():
            part = shared / f".{name}"
            part.write_text(text, "utf-8", newline="")
            part.replace(shared / name)
        return f"{match[1]}{{{{shared:{name}}}}}{match[4]}"

    path.write_text(_BLOCK.sub(put, html), "utf-8", newline="")


def read(path: Path, shared: Path) -> str:
    """A report as it was.

    Errors: OSError if a part of it is gone.
    """
    text = path.read_bytes().decode()
    return _MARK.sub(lambda match: (shared / match[1]).read_bytes().decode(), text)


def tidy(reports: Iterable[Path], shared: Path) -> None:
    """Remove the parts that none of the ``reports`` needs."""
    if not shared.is_dir():
        return
    needed = {name for path in reports for name in _MARK.findall(path.read_bytes().decode())}
    for path in shared.iterdir():
        if path.name not in needed:
            path.unlink(missing_ok=True)
