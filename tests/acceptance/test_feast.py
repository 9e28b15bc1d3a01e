"""`feast.repository` against a real feature server: what it serves, what it notices, and what an apply mends."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import Known
from mlinfra_tools.feast.check import read_features
from mlinfra_tools.feast.repository import FeastRepository

from .conftest import ToolEnv
from .feast_server import FeatureServerProcess as Server
from .feast_server import differences


@pytest.fixture(scope="module")
def running(tool_env: ToolEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tool_env("feast"), tmp_path_factory.mktemp("feast"))
    server.start()
    server.rows(server.parquet, 1.5, "2024-03-01")
    yield server
    server.stop()
    server.client.close()


@pytest.fixture
def server(running: Server) -> Server:
    """The running server without a repository."""
    known = Known("feature_store.fraud/repository.fraud", "fraud", {"url": running.url})
    FeastRepository.delete(running.client, known, running.operation())
    return running


@pytest.fixture
def write(running: Server, tmp_path: Path) -> Callable[..., Path]:
    def make() -> Path:
        return Path(shutil.copy(running.parquet, tmp_path / "user_txn.parquet"))

    return make


def repository(server: Server, source: Path, **changed: Any) -> FeastRepository:
    view = {
        "entities": ["user"],
        "source": str(source),
        "ttl": 7 * 86400,
        "features": {"txn_count_7d": "int64", "avg_amount": "float64"},
    }
    return FeastRepository.model_validate(
        {
            "url": server.url,
            "project": "fraud",
            "entities": {"user": {"join_key": "user_id", "type": "string"}},
            "views": {"user_txn": view | changed.pop("view", {}), **changed.pop("more", {})},
            **changed,
        }
    )


def test_features_are_served_after_an_apply(server: Server, write: Callable[..., Path]) -> None:
    wanted = repository(server, write())
    assert wanted.locate(server.client, server.operation()) is None
    live = server.apply(wanted)
    assert differences(wanted, live) == []
    assert wanted.locate(server.client, server.operation()) == "fraud"
    # Older than the ttl: Feast serves what was materialised, whatever its age.
    assert server.value() == 3.0
    result = read_features(server.url, server.client)
    assert result.passed
    assert result.summary == "user_id=u0000: txn_count_7d=0, avg_amount=0"
    known = Known("a", "fraud", live)
    lost = FeastRepository.would_lose(server.client, known)
    assert lost is not None
    assert "5 of user_txn" in lost
    status = FeastRepository.status(server.client, known)
    assert status is not None
    assert status.state == "ready"


def test_a_deleted_online_store_is_one_line_and_mended_in_the_running_server(
    server: Server, write: Callable[..., Path]
) -> None:
    wanted = repository(server, write())
    server.apply(wanted)
    assert server.value() == 3.0
    (server.store / "data" / "online.db").unlink()
    refused = server.features()
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert "online store is gone" in refused.text
    assert not (server.store / "data" / "online.db").exists()
    assert [c.path for c in differences(wanted, server.read(wanted))] == ["store"]
    assert server.line(wanted) == "online store is gone → apply and materialise again"
    assert not read_features(server.url, server.client).passed
    assert server.process is not None
    before = server.process.pid
    assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
    assert server.value() == 3.0
    assert server.process.pid == before
    assert server.process.poll() is None


def _empty(server: Server) -> None:
    with sqlite3.connect(server.store / "data" / "online.db") as connection:
        connection.execute("DELETE FROM fraud_user_txn")
    connection.close()


def _drop(server: Server) -> None:
    with sqlite3.connect(server.store / "data" / "online.db") as connection:
        connection.execute("DROP TABLE fraud_user_txn")
    connection.close()


def _remove_registry(server: Server) -> None:
    (server.store / "data" / "registry.db").unlink()


def _remove_record(server: Server) -> None:
    (server.store / "data" / "applied.json").unlink()


def _break_online(server: Server) -> None:
    (server.store / "data" / "online.db").write_bytes(b"no database" * 1000)


def _edit(server: Server) -> None:
    with (server.store / "features.py").open("a") as file:
        file.write("# mine\n")


def _remove_config(server: Server) -> None:
    (server.store / "feature_store.yaml").unlink()


DAMAGE: list[tuple[Callable[[Server], None], str]] = [
    (_empty, "online table of user_txn is empty → apply and materialise again"),
    (_drop, "online store has lost its tables → apply and materialise again"),
    (_remove_registry, "registry is gone → apply and materialise again"),
    (_remove_record, "the record of the last apply is gone → apply and materialise again"),
    (_break_online, "online store cannot be read → apply and materialise again"),
    (_edit, "features.py was edited → render and apply again"),
    (_remove_config, "feature_store.yaml is gone → apply and materialise again"),
]


@pytest.mark.parametrize(("damage", "line"), DAMAGE, ids=[damage.__name__ for damage, _ in DAMAGE])
def test_damage_is_one_line_and_mended(
    server: Server, write: Callable[..., Path], damage: Callable[[Server], None], line: str
) -> None:
    wanted = repository(server, write())
    server.apply(wanted)
    damage(server)
    assert [c.path for c in differences(wanted, server.read(wanted))] == ["store"]
    assert server.line(wanted) == line
    assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
    assert server.value() == 3.0


def test_what_feast_itself_changed_is_seen(server: Server, write: Callable[..., Path]) -> None:
    wanted = repository(server, write())
    server.apply(wanted)
    text = (server.store / "features.py").read_text("utf-8")
    edited = text.replace("seconds=604800", "seconds=3600")
    assert edited != text
    try:
        (server.store / "features.py").write_text(edited, "utf-8")
        subprocess.run(_cli(server, "apply"), check=True, capture_output=True)
    finally:
        (server.store / "features.py").write_text(text, "utf-8")
    found = differences(wanted, server.read(wanted))
    assert [(c.path, c.old, c.new) for c in found] == [("views.user_txn.ttl", 3600.0, 604800.0)]
    server.apply(wanted, server.read(wanted))
    subprocess.run(_cli(server, "delete", "user_txn"), check=True, capture_output=True)
    line = server.line(wanted)
    assert line is not None
    assert line.startswith("user_txn is gone from the registry")
    assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
    assert server.value() == 3.0


def _cli(server: Server, *words: str) -> list[str]:
    return [str(server.python.parent / "feast"), "--chdir", str(server.store), *words]


def test_a_definition_changes_in_place(server: Server, write: Callable[..., Path]) -> None:
    source = write()
    live = server.apply(repository(server, source))
    merchant = {"entities": ["user"], "source": str(source), "features": {"avg_amount": "float64"}}
    features = {"txn_count_7d": "int64", "avg_amount": "float64", "country": "string"}
    wanted = repository(server, source, view={"ttl": 86400, "features": features}, more={"other": merchant})
    paths = [c.path for c in differences(wanted, live)]
    assert paths == ["views.user_txn.ttl", "views.user_txn.features.country", "views.other"]
    live = server.apply(wanted, live)
    assert differences(wanted, live) == []
    assert server.value(feature="country") == "DE"
    assert server.value(view="other") == 3.0
    smaller = repository(server, source)
    live = server.apply(smaller, live)
    assert list(live["views"]) == ["user_txn"]
    assert differences(smaller, live) == []


def test_a_source_may_come_later(server: Server, write: Callable[..., Path], tmp_path: Path) -> None:
    wanted = repository(server, tmp_path / "user_txn.parquet")
    said: list[str] = []
    assert differences(wanted, server.apply(wanted, said=said)) == []
    why = f"its source {tmp_path / 'user_txn.parquet'} does not exist yet"
    assert said[-1] == f"user_txn stays empty: {why}"
    result = read_features(server.url, server.client)
    assert not result.passed
    assert result.summary == f"no entity of user_txn is online ({why})"
    status = FeastRepository.status(server.client, Known("a", "fraud", {"url": server.url}))
    assert status is not None
    assert status.detail == f"user_txn; nothing materialised; user_txn: {why}"
    write()
    assert server.line(wanted) == "user_txn is not materialised yet → materialise"
    assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
    assert server.value() == 3.0


def test_what_feast_refuses_is_said_and_can_be_mended(server: Server, write: Callable[..., Path]) -> None:
    source = write()
    wrong = repository(server, source, view={"timestamp_field": "no_such_column"})
    with pytest.raises(ProviderError, match=r"Feast failed at “materialising user_txn”.*no_such_column"):
        server.apply(wrong)
    line = server.line(wrong)
    assert line is not None
    assert line.startswith("the last apply failed")
    wanted = repository(server, source)
    assert differences(wanted, server.apply(wanted, server.read(wrong))) == []
    assert server.value() == 3.0


def test_what_arrives_in_a_source_goes_online_on_schedule(server: Server, write: Callable[..., Path]) -> None:
    source = write()
    wanted = repository(server, source, materialise={"every": 1.0})
    server.apply(wanted)
    assert server.value() == 3.0
    clock = threading.Event()
    server.rows(source, 7, "2024-03-02")
    for _ in range(300):
        if server.value() == 14.0:
            break
        clock.wait(0.1)
    assert server.value() == 14.0
    server.apply(repository(server, source), server.read(wanted))


def test_a_server_killed_while_it_applies_is_seen_and_mended(
    tool_env: ToolEnv, tmp_path: Path, write: Callable[..., Path]
) -> None:
    server = Server(tool_env("feast"), tmp_path)
    server.start()
    try:
        wanted = repository(server, write())
        wanted.create(server.client, server.operation())
        clock = threading.Event()
        while not (server.store / "data" / "applied.json").exists():
            clock.wait(0.01)
        server.stop(signal.SIGKILL)
        with pytest.raises(Unreachable):
            server.read(wanted)
        server.start()
        assert wanted.locate(server.client, server.operation()) == "fraud"
        assert server.line(wanted) == "the last apply was cut off → apply and materialise again"
        assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
        assert server.value() == 3.0
        assert server.stop() in (0, -signal.SIGTERM)
        (server.store / "data" / "online.db").unlink()
        server.start()
        assert server.line(wanted) == "online store is gone → apply and materialise again"
        assert server.process is not None
        (clerk,) = psutil.Process(server.process.pid).children()
        clerk.kill()
        with pytest.raises(ProviderError):
            server.apply(wanted, server.read(wanted))
        # A server that cannot apply any more ends, so that a plan sees it stopped.
        assert server.process.wait(30) in (0, -signal.SIGTERM)
    finally:
        server.stop()
        server.client.close()


def test_without_online_there_are_only_the_definitions(server: Server, write: Callable[..., Path]) -> None:
    source = write()
    wanted = repository(server, source, online=False)
    assert differences(wanted, server.apply(wanted)) == []
    answer = server.features()
    assert answer.status_code == httpx.codes.NOT_FOUND
    assert "online: false" in answer.text
    result = read_features(server.url, server.client)
    assert result.passed
    assert result.summary == "not online; history of user_txn"
    known = Known("a", "fraud", {"url": server.url})
    assert FeastRepository.would_lose(server.client, known) is None
    online = repository(server, source)
    assert [(c.path, c.old, c.new) for c in differences(online, server.read(online))] == [("online", False, True)]
    assert differences(online, server.apply(online, server.read(online))) == []
    assert server.value() == 3.0
    # What is online when it is switched off is old when it is switched on again.
    assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
    server.rows(source, 7, "2024-03-02")
    assert differences(online, server.apply(online, server.read(online))) == []
    assert server.value() == 14.0


def test_an_apply_that_does_not_materialise_is_done_all_the_same(server: Server, write: Callable[..., Path]) -> None:
    wanted = repository(server, write(), materialise={"on_apply": False})
    assert differences(wanted, server.apply(wanted)) == []
    assert server.features().json()["results"][-1]["statuses"] != ["PRESENT"]
    scheduled = repository(server, server.parquet, materialise={"on_apply": False, "every": 1.0})
    server.apply(scheduled, server.read(scheduled))
    clock = threading.Event()
    for _ in range(300):
        if server.value() == 3.0:
            break
        clock.wait(0.1)
    server.apply(wanted := repository(server, server.parquet, materialise={"on_apply": False}), server.read(wanted))
    assert server.value() == 3.0
    # Rows that were there and are lost are brought back: that is no change of the store.
    (server.store / "data" / "online.db").unlink()
    assert differences(wanted, server.apply(wanted, server.read(wanted))) == []
    assert server.value() == 3.0


def test_a_window_bounds_how_far_back_a_later_run_looks(server: Server, write: Callable[..., Path]) -> None:
    source = write()
    wanted = repository(server, source, materialise={"every": 1.0, "window": 86400.0})
    server.apply(wanted)
    # The first time everything is taken, however old.
    assert server.value() == 3.0
    clock = threading.Event()
    server.rows(source, 7, "2024-03-02")
    before = materialised(server)
    for _ in range(1_500):
        if materialised(server) != before:
            break
        clock.wait(0.1)
    assert materialised(server) != before
    assert server.value() == 3.0
    server.rows(source, 9, datetime.now(UTC).isoformat())
    for _ in range(1_500):
        if server.value() == 18.0:
            break
        clock.wait(0.1)
    assert server.value() == 18.0
    server.apply(repository(server, source), server.read(wanted))


def materialised(server: Server) -> str:
    told = server.client.request("GET", f"{server.url}/-/repository").json()
    return str(told["materialised"])


ASK = """
import asyncio, runpy, sys
from pathlib import Path
runpy.run_path(sys.argv[1])
from featureserver.app import App
from featureserver.layout import Layout

async def ask(client, exposed):
    told = []
    async def send(message): told.append(message)
    async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
    scope = {"type": "http", "method": "GET", "path": "/-/repository", "query_string": b"", "headers": [], "client": client}
    await App(Layout(Path(sys.argv[2])), {}, None, exposed=exposed)(scope, receive, send)
    return told[0]["status"]

neighbour, here = ("192.0.2.7", 5), ("127.0.0.1", 5)
print([asyncio.run(ask(*asked)) for asked in ((neighbour, True), (here, True), (neighbour, False))])
"""


def test_other_machines_may_read_features_and_nothing_else(server: Server, tmp_path: Path) -> None:
    command = [str(server.python), "-c", ASK, str(server.script), str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[403, 404, 404]"


def test_a_page_in_a_browser_cannot_change_the_repository(server: Server) -> None:
    answer = server.client.request(
        "PUT", f"{server.url}/-/repository", content=b"{}", headers={"content-type": "text/plain"}
    )
    assert answer.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
    assert server.client.request("GET", f"{server.url}/-/repository").status_code == httpx.codes.NOT_FOUND
