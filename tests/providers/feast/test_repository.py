"""`feast.repository` and the check against a feature server in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import FieldChange, Known, Operation
from mlinfra_tools.feast.check import read_features
from mlinfra_tools.feast.repository import FeastRepository

from .feature_server import URL, FakeFeatureServer

FIELDS: dict[str, Any] = {
    "url": URL,
    "project": "fraud",
    "entities": {"user": {"join_key": "user_id"}},
    "views": {"user_txn": {"entities": ["user"], "source": "/lake/t.parquet", "features": {"avg_amount": "float64"}}},
}


def operation(said: list[str]) -> Operation:
    return Operation("feature_store.fraud/repository.fraud", {}, "token", Path(), say=said.append)


def known(**fields: Any) -> Known:
    return Known("feature_store.fraud/repository.fraud", "fraud", {**FIELDS, **fields})


def test_create_sends_the_definition_and_ready_tells_the_steps() -> None:
    server, said = FakeFeatureServer(notes=["other stays empty: its source /a does not exist yet"]), list[str]()
    wanted = FeastRepository.model_validate(FIELDS)
    assert wanted.locate(server.client(), operation(said)) is None
    made = wanted.create(server.client(), operation(said))
    FeastRepository.ready(server.client(), known(), operation(said))
    assert made.id == "fraud"
    assert said == ["feast apply", "materialising user_txn", "other stays empty: its source /a does not exist yet"]
    assert "url" not in server.applied[0]
    live = FeastRepository.read(server.client(), known())
    assert live is not None
    assert live["store"] == "ready"
    assert live["url"] == URL
    assert wanted.locate(server.client(), operation(said)) == "fraud"


def test_a_failed_run_is_told_in_feasts_words() -> None:
    server = FakeFeatureServer(failing="FileNotFoundError: no such file")
    with pytest.raises(ProviderError, match="Feast failed at “materialising user_txn”: FileNotFoundError"):
        FeastRepository.ready(server.client(), known(), operation([]))


def test_a_new_port_alone_applies_nothing() -> None:
    server = FakeFeatureServer()
    wanted = FeastRepository.model_validate(FIELDS)
    wanted.update(server.client(), known(), [FieldChange("url", "http://127.0.0.1:1", URL)], operation([]))
    assert server.applied == []
    wanted.update(server.client(), known(), [FieldChange("store", "registry is gone", "ready")], operation([]))
    assert len(server.applied) == 1


def test_a_server_that_does_not_answer_leaves_the_repository_unknown() -> None:
    server = FakeFeatureServer(down=True)
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:6566 does not answer"):
        FeastRepository.read(server.client(), known())
    status = FeastRepository.status(server.client(), known())
    assert status is not None
    assert status.state == "unknown"


def test_a_lost_record_changes_nothing_but_the_state() -> None:
    server = FakeFeatureServer(live={"store": "the record of the last apply is gone"})
    live = FeastRepository.read(server.client(), known(store="ready"))
    assert live == {**FIELDS, "store": "the record of the last apply is gone"}


def test_deleting_what_is_gone_succeeds() -> None:
    server = FakeFeatureServer()
    FeastRepository.delete(server.client(), known(), operation([]))
    server.live = {"project": "fraud"}
    FeastRepository.delete(server.client(), known(), operation([]))
    assert server.live is None


def test_would_lose_counts_what_is_online() -> None:
    server = FakeFeatureServer(live={"project": "fraud"}, online={"user_txn": [{"user_id": "a"}], "empty": []})
    lost = FeastRepository.would_lose(server.client(), known())
    assert lost is not None
    assert "1 of user_txn" in lost
    assert "empty" not in lost
    server.online = {}
    assert FeastRepository.would_lose(server.client(), known()) is None


def test_what_an_online_store_holds_that_does_not_answer_counts_as_something() -> None:
    server = FakeFeatureServer(live={"project": "fraud", "store": "online store does not answer"}, silent=True)
    lost = FeastRepository.would_lose(server.client(), known())
    assert lost == "online values (how many cannot be told: online store does not answer)"


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("online store is gone", "online store is gone → apply and materialise again"),
        ("features.py was edited", "features.py was edited → render and apply again"),
        ("user_txn is not materialised yet", "user_txn is not materialised yet → materialise"),
    ],
)
def test_what_is_wrong_is_one_line(wrong: str, line: str) -> None:
    assert FeastRepository.explain([FieldChange("store", wrong, "ready")]) == line
    assert FeastRepository.explain([FieldChange("views.user_txn.ttl", 1.0, 2.0)]) is None


def test_a_file_url_becomes_the_path_that_feast_keeps() -> None:
    views = {
        "a": {"source": "file:///lake/a%20b.parquet"},
        "b": {"source": "s3://lake/b.parquet"},
        "c": {"source": "/lake/c.parquet"},
    }
    sources = FeastRepository.normalise({"views": views}, None)["views"]
    assert [view["source"] for view in sources.values()] == [
        "/lake/a b.parquet",
        "s3://lake/b.parquet",
        "/lake/c.parquet",
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"project": "no-name"}, "no name for Feast"),
        ({"entities": {"class": {"join_key": "x"}}}, "no name for Feast"),
        ({"entities": {"user": {"join_key": "user_id", "type": "text"}}}, "no type of a feature"),
        ({"entities": {}}, "an entity that is not declared: user"),
        ({"views": {"v": {"entities": ["user"], "source": "/a", "features": {}}}}, "at least 1 item"),
        ({"views": {"v": {"entities": ["user"], "source": "/a", "features": {"f": "float"}}}}, "no type of a feature"),
    ],
)
def test_what_feast_would_refuse_is_refused_before(change: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        FeastRepository.model_validate(FIELDS | change)


def test_the_check_reads_the_features_of_an_entity_that_is_there() -> None:
    rows = [{"user_id": "u0001", "avg_amount": 43.2, "txn_count_7d": 12}]
    view = {"source": "/lake/t.parquet", "features": {"txn_count_7d": "int64", "avg_amount": "float64"}}
    server = FakeFeatureServer(live={"store": "ready", "views": {"user_txn": view}}, online={"user_txn": rows})
    result = read_features(URL, server.client())
    assert result.passed
    assert result.summary == "user_id=u0001: txn_count_7d=12, avg_amount=43.2"
    rows[0] = {"user_id": "u0001"}
    assert read_features(URL, server.client()).summary == "user_txn: no feature of user_id=u0001 has a value"
    rows.clear()
    assert "no entity of user_txn is online" in read_features(URL, server.client()).summary
    assert server.live is not None
    server.live["missing"] = {"user_txn": "its source /lake/t.parquet does not exist yet"}
    told = "no entity of user_txn is online (its source /lake/t.parquet does not exist yet)"
    assert read_features(URL, server.client()).summary == told
    status = FeastRepository.status(server.client(), known())
    assert status is not None
    assert status.detail.endswith("nothing materialised; user_txn: its source /lake/t.parquet does not exist yet")
    server.live["store"] = "registry is gone"
    assert read_features(URL, server.client()).summary == "registry is gone"
    server.live = None
    assert not read_features(URL, server.client()).passed
    server.down = True
    assert "does not answer" in read_features(URL, server.client()).summary


def test_a_store_that_is_not_online_is_checked_by_its_sources() -> None:
    view = {"source": "/lake/t.parquet", "features": {"avg_amount": "float64"}}
    live = {"store": "ready", "online": False, "views": {"user_txn": view}}
    server = FakeFeatureServer(live=live)
    result = read_features(URL, server.client())
    assert result.passed
    assert result.summary == "not online; history of user_txn"
    live["missing"] = {"user_txn": "its source /lake/t.parquet does not exist yet"}
    result = read_features(URL, server.client())
    assert not result.passed
    assert result.summary == "user_txn: its source /lake/t.parquet does not exist yet"
    assert FeastRepository.would_lose(server.client(), known()) is None
