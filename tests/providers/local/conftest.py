"""Benches whose processes are gone after the test, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlinfra_local import alive
from tests.providers.local.bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench on a fresh folder."""
    root = tmp_path / "shop"
    root.mkdir()
    bench = Bench(root)
    yield bench
    left = alive.scan(bench.client, f"{bench.work}{os.sep}")
    alive.stop(bench.client, left, 2.0, bench.cancelled.wait)
    for child in bench.client.children.values():
        child.wait()
