"""`prometheus.rules` and the check, against a Prometheus of a few lines that reads its rules when it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import FieldChange, Known, Operation
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.prometheus.check import watches
from mlinfra_tools.prometheus.rules import Rules

URL = "http://prometheus:9090"
ALERTS = ["monitor.drift/MonitorBreach", "monitor.drift/TargetDown"]


class Prometheus:
    """``file`` is what its rules file names, ``read`` what it read last."""

    def __init__(self, *file: str) -> None:
        self.file = list(file)
        self.read: list[str] = []
        self.wrong = ""
        self.targets: list[dict[str, str]] = []
        self.asked: list[str] = []

    def answer(self, method: str, path: str) -> tuple[int, Any]:
        self.asked.append(f"{method} {path}")
        if path == "/-/reload":
            if self.wrong:
                return 500, f"failed to reload config: {self.wrong}\n"
            self.read = list(self.file)
            return 200, ""
        if path == "/api/v1/targets":
            return 200, {"status": "success", "data": {"activeTargets": self.targets}}
        groups: dict[str, list[dict[str, str]]] = {}
        for name in self.read:
            group, _, alert = name.partition("/")
            groups.setdefault(group, []).append({"name": alert, "health": "ok", "state": "inactive"})
        return 200, {
            "status": "success",
            "data": {"groups": [{"name": name, "rules": rules} for name, rules in groups.items()]},
        }

    def client(self) -> ToolsClient:
        def handle(request: httpx.Request) -> httpx.Response:
            status, body = self.answer(request.method, request.url.path)
            return httpx.Response(status, text=body if isinstance(body, str) else json.dumps(body))

        return ToolsClient(transport=httpx.MockTransport(handle))


def operation(cancelled: bool = False) -> Operation:
    made = Operation("environment/rules.rules", {}, "t", Path("/work"))
    if cancelled:
        made.cancelled.set()
    return made


def wanted(*alerts: str) -> Rules:
    return Rules(url=URL, alerts=list(alerts), content="1")


def known(rules: Rules) -> Known:
    return Known("environment/rules.rules", URL, rules.model_dump())


def test_files_are_read_again_and_then_in_force() -> None:
    server, rules = Prometheus(*ALERTS), wanted(*reversed(ALERTS))
    client = server.client()
    assert rules.locate(client, operation()) is None
    assert rules.create(client, operation()).id == URL
    Rules.ready(client, known(rules), operation())
    assert rules.locate(client, operation()) == URL
    assert Rules.read(client, known(rules)) == {"url": URL, "alerts": ALERTS}
    server.file.append("monitor.new/MonitorBreach")
    rules.update(client, known(rules), [FieldChange("content", "1", "2")], operation())
    assert Rules.read(client, known(rules)) == {"url": URL, "alerts": [*ALERTS, "monitor.new/MonitorBreach"]}


def test_files_that_it_does_not_take_are_told_with_its_reason() -> None:
    server = Prometheus(*ALERTS)
    client = server.client()
    wanted(*ALERTS).create(client, operation())
    server.file, server.wrong = [], "rules.yml: parse error: unexpected end"
    with pytest.raises(ProviderError, match="unexpected end") as caught:
        wanted().update(client, known(wanted(*ALERTS)), [], operation())
    assert "goes on with the rules before" in caught.value.remedy
    assert "`mlinfra logs environment`" in caught.value.remedy
    assert server.read == ALERTS


def test_rules_that_never_come_are_told() -> None:
    client = Prometheus("monitor.drift/Other").client()
    rules = wanted(*ALERTS)
    rules.create(client, operation())
    with pytest.raises(ProviderError, match="interrupted"):
        Rules.ready(client, known(rules), operation(cancelled=True))


def test_what_is_no_prometheus_is_unreachable() -> None:
    for answer in (httpx.Response(200, text="<html>"), httpx.Response(400, json={"status": "error", "error": "no"})):
        client = ToolsClient(transport=httpx.MockTransport(lambda _, answer=answer: answer))
        with pytest.raises(Unreachable, match="tells no rules"):
            Rules.read(client, known(wanted()))

    def refused(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    nobody = ToolsClient(transport=httpx.MockTransport(refused))
    assert wanted().locate(nobody, operation()) is None
    with pytest.raises(Unreachable, match="does not answer"):
        wanted().create(nobody, operation())


@contextmanager
def listening(server: Prometheus) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = server.answer(self.command, self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        log_message: Callable[..., None] = lambda *_: None

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            thread.join()


def target(health: str, error: str = "") -> dict[str, str]:
    return {"health": health, "scrapeUrl": "http://drift:8090/metrics", "lastError": error}


def test_the_check_wants_every_target_and_every_rule() -> None:
    server = Prometheus(*ALERTS)
    server.read = list(ALERTS)
    with listening(server) as url:

        def said(look: float = 0.0) -> tuple[bool, str]:
            result = watches(url, ALERTS, look)
            return result.passed, result.summary

        assert said() == (False, "it watches nothing")
        server.targets = [target("up"), target("unknown")]
        assert said() == (False, "1 of 2 targets do not answer: http://drift:8090/metrics: it was not asked yet")
        server.targets = [target("up"), target("down", "refused")]
        assert said() == (False, "1 of 2 targets do not answer: http://drift:8090/metrics: refused")
        server.targets = [target("up")]
        assert said() == (True, "targets that answer: 1, rules in force: 2")
        server.read = ALERTS[:1]
        assert said() == (False, f"other rules are in force than there should be: {ALERTS[1]}")
