"""Disks that are full or cannot be written: real ones in memory, which only root may mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(path: Path, options: str = "size=128k") -> Iterator[Path]:
    """A file system of that size mounted at ``path``; gone afterwards. Skips the test where nobody may mount."""
    path.mkdir(parents=True, exist_ok=True)
    told = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "mlinfra-test", str(path)], capture_output=True, text=True, check=False
    )
    if told.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {told.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def make_read_only(path: Path) -> None:
    """Let nobody write to a mounted disk any more, not even root."""
    subprocess.run(["mount", "-o", "remount,ro", str(path)], check=True)
