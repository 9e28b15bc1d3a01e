"""A feature store on a real engine: Feast serves from a Redis of its own; what happens to that is told and mended.

It is brought up once for this module. Each test leaves it as it found it: applied, with nothing to do.
"""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from mlinfra.engine.inspect import outputs
from mlinfra.engine.plan import Node
from mlinfra_tools.feast.check import read_features
from tests.providers.docker.lab import NOTHING, Lab

ROWS = Path(__file__).parents[3] / "examples" / "quickstart" / "data" / "user_txn.parquet"
REPOSITORY = "feature_store.fraud/repository.fraud"
REDIS = "feature_store.fraud/container.online"
FEATURE = "user_txn:txn_count_7d"


class Store(Lab):
    """The laboratory with its feature store."""

    @property
    def url(self) -> str:
        with self.open() as workspace:
            return str(outputs(workspace)["feature_store.fraud"]["url"])

    def shown(self) -> dict[str, Node]:
        return {node.address: node for node in self.plan().shown()}

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """What the server answers: status and body."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def container_id(self, name: str) -> str:
        return str(self.api.inspect_container(self.called(f"test-feature-store-fraud-{name}"))["Id"])

    def value(self, user: str = "u002") -> Any:
        status, body = self.post("/get-online-features", {"features": [FEATURE], "entities": {"user_id": [user]}})
        assert status == 200, body
        return body["results"][-1]["values"][0]

    def redis(self, *words: str) -> str:
        """What Redis says, asked in its container with its password."""
        ask = 'REDISCLI_AUTH="$(cat "$REDIS_PASSWORD_FILE")" exec redis-cli "$@"'
        made = self.api.exec_create(self.called("test-feature-store-fraud-online"), ["sh", "-c", ask, "ask", *words])
        told: bytes = self.api.exec_start(made["Id"])
        return told.decode(errors="replace").strip()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, api: APIClient) -> Iterator[Store]:
    for image in ("python:3.11-slim", "redis:7"):
        if not api.images(name=image):
            pytest.fail(f"the engine has no {image}: run scripts/docker_engine.sh")
    folder = tmp_path_factory.mktemp("feature-store")
    (folder / "rows").mkdir()
    shutil.copy(ROWS, folder / "rows" / ROWS.name)
    made = Store(folder, f"lab{uuid.uuid4().hex[:10]}", api, environment={"provider": "docker", "disposable": True})
    view = {
        "source": f"${{storage.lake.url}}/{ROWS.name}",
        "entity": "user",
        "features": {"txn_count_7d": "int64", "avg_amount": "float64"},
    }
    made.write(
        {},
        storage={"lake": {"contents": "rows"}},
        feature_store={
            "fraud": {"entities": {"user": {"join_key": "user_id", "type": "string"}}, "views": {"user_txn": view}}
        },
    )
    try:
        made.mend()
        yield made
        outcome = made.apply(destroy=True)
        assert outcome is not None
        assert outcome.succeeded, outcome.failed
        assert made.owned() == NOTHING
    finally:
        made.clean()


def test_features_come_from_redis(store: Store) -> None:
    assert isinstance(store.value(), int)
    assert int(store.redis("dbsize")) > 1
    result = read_features(store.url)
    assert result.passed, result.summary
    assert result.summary.startswith("user_id=")
    server = store.called("test-feature-store-fraud-server")
    code, archive = (
        "import os,sys;sys.exit(os.path.exists(sys.argv[1]))",
        "/mlinfra/feature_store/fraud/store/data/online.db",
    )
    made = store.api.exec_create(server, ["python3", "-c", code, archive])
    store.api.exec_start(made["Id"])
    assert store.api.exec_inspect(made["Id"])["ExitCode"] == 0


def test_the_password_is_in_files_only_and_asked_for(store: Store) -> None:
    names = [store.called(f"test-feature-store-fraud-{name}") for name in ("online", "server")]
    made = store.api.exec_create(names[0], ["cat", "/run/secrets/password"])
    password = store.api.exec_start(made["Id"]).decode()
    assert len(password) == 40
    for name in names:
        assert password not in json.dumps(store.api.inspect_container(name))
    shown = store.api.exec_create(names[1], ["cat", "/mlinfra/feature_store/fraud/store/feature_store.yaml"])
    told = store.api.exec_start(shown["Id"]).decode()
    assert "FEAST_REDIS_PASSWORD" in told
    assert password not in told
    kept = [path for path in (store.folder / ".mlinfra").rglob("*") if path.is_file()]
    assert not [path for path in kept if password.encode() in path.read_bytes()]
    asked = store.api.exec_create(names[0], ["redis-cli", "dbsize"])
    assert b"NOAUTH" in store.api.exec_start(asked["Id"])
    assert store.api.inspect_container(names[0])["HostConfig"]["PortBindings"] == {}


def test_lost_rows_are_told_and_materialised_again(store: Store) -> None:
    value = store.value()
    assert store.redis("flushall") == "OK"
    assert not read_features(store.url).passed
    status, body = store.post("/get-online-features", {"features": [FEATURE], "entities": {"user_id": ["u002"]}})
    assert (status, body["detail"]) == (503, "the online store is gone: run `mlinfra apply`")
    shown = store.shown()
    assert list(shown) == [REPOSITORY]
    assert shown[REPOSITORY].summary == "online store is gone → apply and materialise again"
    store.mend()
    assert store.value() == value


def test_rows_of_one_view_that_are_gone_are_told(store: Store) -> None:
    value = store.value()
    made = store.redis("get", "mlinfra:made")
    store.redis("flushall")
    store.redis("set", "mlinfra:made", made)
    assert store.shown()[REPOSITORY].summary == "online table of user_txn is empty → apply and materialise again"
    store.mend()
    assert store.value() == value


def test_a_removed_redis_is_told_and_comes_back(store: Store) -> None:
    value = store.value()
    mounts = store.api.inspect_container(store.called("test-feature-store-fraud-online"))["Mounts"]
    # None is nameless: a removal without -v would leave it behind.
    assert [mount["Name"] for mount in mounts] == [store.called("test-feature-store-fraud-online")]
    store.api.remove_container(store.called("test-feature-store-fraud-online"), force=True)
    status, body = store.post("/get-online-features", {"features": [FEATURE], "entities": {"user_id": ["u002"]}})
    assert (status, body["detail"]) == (503, "the online store does not answer: run `mlinfra apply`")
    shown = store.shown()
    assert shown[REDIS].action == "create"
    assert shown[REPOSITORY].summary == "online store does not answer → apply and materialise again"
    server = store.container_id("server")
    store.mend()
    assert store.value() == value
    assert store.container_id("server") == server


def test_a_redis_removed_with_its_rows_is_filled_again(store: Store) -> None:
    value = store.value()
    store.api.remove_container(store.called("test-feature-store-fraud-online"), force=True, v=True)
    store.api.remove_volume(store.called("test-feature-store-fraud-online"))
    shown = store.shown()
    assert shown["feature_store.fraud/volume.online"].action == "create"
    assert shown[REDIS].action in ("create", "replace")
    store.mend()
    assert store.value() == value


def test_what_was_pushed_outlives_a_removed_redis(store: Store) -> None:
    before = store.redis("dbsize")
    store.redis("set", "somebody:else", "1")
    store.api.remove_container(store.called("test-feature-store-fraud-online"), force=True, v=True)
    store.mend()
    # Filled from its source it would not have it.
    assert store.redis("get", "somebody:else") == "1"
    store.redis("del", "somebody:else")
    assert store.redis("dbsize") == before
