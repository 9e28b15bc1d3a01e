"""A folder of one's own below a shared one, cleared away by whoever comes next if its process was killed.

Replicas share the folder of downloaded models: a lock that dies with its process tells whose subfolder is still in use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

LOCK = ".lock"


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A new folder below ``parent``, removed at the end, together with those whose processes are gone."""
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with _locked(parent / LOCK, wait=True):
            for child in parent.iterdir():
                if child.is_dir():
                    _remove_if_unused(child)
            mine = Path(tempfile.mkdtemp(dir=parent))
            held.enter_context(_locked(mine / LOCK, wait=False))
        try:
            yield mine
        finally:
            shutil.rmtree(mine, ignore_errors=True)


def _remove_if_unused(folder: Path) -> None:
    with _locked(folder / LOCK, wait=False) as unused:
        if unused:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[bool]:
    """Whether the lock was got."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
