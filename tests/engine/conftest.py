"""Fixtures of the engine's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from .lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """An empty laboratory."""
    return Lab(tmp_path)
