"""Log files: rotated when a process starts, their last lines, and new lines as they come."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

BLOCK = 64 * 1024


def rotate(log: Path) -> None:
    """Put the log of the last start aside, in the place of the one before."""
    if log.exists() and log.stat().st_size:
        log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path, lines: int) -> list[str]:
    """The last lines of a log; those of the log before it come first if it is short."""
    found = _last(log, lines)
    if len(found) < lines:
        found = _last(log.with_name(f"{log.name}.1"), lines - len(found)) + found
    return found


def excerpt(log: Path, lines: int = 20) -> str:
    """The last lines of this log only, as one text, for an error."""
    return "\n".join(_last(log, lines))


def follow(log: Path, ended: Callable[[], bool] = lambda: False, at: int | None = None) -> Iterator[str]:
    """Lines as they are written, from ``at`` bytes on (None: the end); over rotations; until ``ended`` and nothing is left."""
    pause = threading.Event()
    position = (log.stat().st_size if log.exists() else 0) if at is None else at
    inode = _inode(log)
    rest = b""
    while True:
        over = ended()
        if _inode(log) != inode:
            inode, position, rest = _inode(log), 0, b""
        if inode:
            with log.open("rb") as stream:
                stream.seek(position)
                while block := stream.read(BLOCK):
                    position += len(block)
                    *complete, rest = (rest + block).split(b"\n")
                    yield from (line.decode("utf-8", "replace").rstrip("\r") for line in complete)
        if over:
            if rest:
                yield rest.decode("utf-8", "replace")
            return
        pause.wait(0.2)


def _inode(log: Path) -> int:
    try:
        return log.stat().st_ino
    except OSError:
        return 0


def _last(log: Path, lines: int) -> list[str]:
    """The last lines, reading from the end."""
    if lines <= 0 or not log.is_file():
        return []
    with log.open("rb") as stream:
        end = stream.seek(0, os.SEEK_END)
        data = b""
        while end > 0 and data.count(b"\n") <= lines:
            start = max(0, end - BLOCK)
            stream.seek(start)
            data = stream.read(end - start) + data
            end = start
    return [line.rstrip("\r") for line in data.decode("utf-8", "replace").splitlines()[-lines:]]
