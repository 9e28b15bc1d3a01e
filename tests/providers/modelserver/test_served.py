"""The version in force as a resource: read from the server, waited for, and told when it cannot be had."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlinfra.sdk.errors import Cancelled, ProviderError, Unreachable
from mlinfra.sdk.resource import FieldChange, Known, Operation
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.modelserver.deployment import Deployment

WANTED = {"url": "http://champion", "model": "fraud", "version": "4", "start": 60.0}
KNOWN = Known("endpoint.fraud/deployment.champion", "http://champion", WANTED)


def told(state: str, wanted: str = "4", in_force: str | None = "3", failure: str | None = None) -> dict[str, Any]:
    serving = {"model": "fraud", "version": in_force} if in_force else None
    return {"state": state, "failure": failure, "wanted": {"model": "fraud", "version": wanted}, "in_force": serving}


class Server:
    """A model server that goes through states, one a question; the last stays."""

    def __init__(self, *states: dict[str, Any] | None) -> None:
        self.states = list(states)
        self.asked = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.url == "http://champion/ready"
        self.asked += 1
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if state is None:
            raise httpx.ConnectError("connection refused")
        return httpx.Response(200 if state.get("state") == "ready" else 503, json=state)


def client(server: Server) -> ToolsClient:
    return ToolsClient(transport=httpx.MockTransport(server))


class Clock(threading.Event):
    """Its waits take no time and are counted."""

    waits = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.waits += timeout or 0.0
        return self.is_set()


def operation(clock: threading.Event | None = None) -> Operation:
    return Operation(KNOWN.address, {}, "token", Path(), cancelled=clock or Clock())


def test_what_is_in_force_is_read_from_the_server() -> None:
    live = Deployment.read(client(Server(told("loading"))), KNOWN)
    assert live == {**WANTED, "version": "3"}
    assert Deployment.explain([FieldChange("version", "3", "4")]) == "version 3 → 4"
    first = Deployment.read(client(Server(told("loading", in_force=None))), KNOWN)
    assert first == {**WANTED, "model": None, "version": None}


def test_a_server_that_does_not_answer_cannot_be_told() -> None:
    with pytest.raises(Unreachable, match="connection refused"):
        Deployment.read(client(Server(None)), KNOWN)
    with pytest.raises(Unreachable, match="not a model server"):
        Deployment.read(client(Server({"hello": "world"})), KNOWN)
    assert Deployment.model_validate(WANTED).locate(client(Server(None)), operation()) is None
    assert Deployment.model_validate(WANTED).locate(client(Server(told("ready"))), operation()) == "http://champion"


def test_it_is_waited_for() -> None:
    # It may not have seen its new configuration yet, and may still tell of an older one that failed.
    server = Server(
        told("ready", "3"), told("failed", "2", failure="no such file"), told("loading"), told("ready", in_force="4")
    )
    Deployment.ready(client(server), KNOWN, operation())
    assert server.asked == 4


def test_a_version_that_cannot_be_loaded_is_told_with_its_reason_and_what_serves() -> None:
    with pytest.raises(ProviderError, match="cannot be loaded: no such file") as failed:
        Deployment.ready(
            client(Server(told("failed", failure="version 4 cannot be loaded: no such file"))), KNOWN, operation()
        )
    assert "fraud version 3 goes on serving" in failed.value.remedy
    # A server that asks for a token keeps its reasons for those who have it.
    with pytest.raises(ProviderError, match="fraud version 4 cannot be loaded"):
        Deployment.ready(client(Server(told("failed"))), KNOWN, operation())


def test_it_is_not_waited_for_for_ever() -> None:
    clock = Clock()
    with pytest.raises(ProviderError, match="not in force after 60 s"):
        Deployment.ready(client(Server(told("loading"))), KNOWN, operation(clock))
    assert 60 <= clock.waits < 61
    clock.set()
    with pytest.raises(Cancelled):
        Deployment.ready(client(Server(told("loading"))), KNOWN, operation(clock))
