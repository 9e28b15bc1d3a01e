"""One emulator for all tests of a process; each test finds it empty, and must leave it without a broken contract."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3.session
import pytest

from tests.emulator.server import Emulator
from tests.providers.aws.lab import ACCOUNT, Lab


@pytest.fixture(scope="session")
def running() -> Iterator[Emulator]:
    """The emulator's process-wide server."""
    with Emulator() as emulator:
        emulator.faults.agent = "mlinfra/"
        yield emulator


@pytest.fixture
def emulator(running: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """The emulator, empty."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", f"AKIA{ACCOUNT}TEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    running.reset()
    yield running
    assert running.problems == []


@pytest.fixture(scope="session")
def session() -> Any:
    """A boto3 session: it keeps the service models, which take longest to load."""
    return boto3.session.Session()


@pytest.fixture
def lab(tmp_path: Path, emulator: Emulator, session: Any) -> Lab:
    """An empty laboratory."""
    return Lab(tmp_path / "lab", emulator, session)
