"""Fixtures: a small MLflow server, the client that resource types are given, and what an operation is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Operation
from mlinfra_tools.client import ToolsClient, connect

from .fake_mlflow import FakeMlflow, Server


@pytest.fixture
def mlflow() -> Iterator[FakeMlflow]:
    """The contents of a running server."""
    fake = FakeMlflow()
    server = Server(fake)
    yield fake
    server.stop()


@pytest.fixture
def client(tmp_path: Path) -> Iterator[ToolsClient]:
    """What ``connect`` gives."""
    made = connect(Place("fraud", "laptop", tmp_path, tmp_path / ".mlinfra" / "laptop"))
    yield made
    made.close()


class Patient(threading.Event):
    """An interrupt that never comes, and lets no time pass."""

    def wait(self, timeout: float | None = None) -> bool:
        return False


@pytest.fixture
def op(tmp_path: Path) -> Operation:
    """An operation of this environment."""
    return operation(tmp_path)


def operation(work: Path, *, blueprint: str = "fraud", adopt: bool = False) -> Operation:
    """An operation on one resource."""
    owner = {"mlinfra:blueprint": blueprint, "mlinfra:environment": "laptop", "mlinfra:address": "registry.models/x"}
    return Operation("registry.models/x", owner, "token", work, adopt=adopt, cancelled=Patient())
