"""A registry on a real MLflow, through the engine: what a plan sees of what others do there, and what an apply mends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlinfra.engine.workspace import Refused
from mlinfra.sdk.workload import Port, VolumeHandle
from mlinfra_tools.mlflow.registry import INSIDE, server_service

from .conftest import ToolEnv
from .mlflow_lab import Lab
from .servers import MlflowServer

MODEL: dict[str, Any] = {"aliases": ["champion"], "description": "scores payments", "tags": {"team": "risk"}}


@pytest.fixture
def lab(mlflow_server: MlflowServer, tmp_path: Path) -> Lab:
    """A registry whose model has version 1, the champion, and a file that follows it; all applied."""
    made = Lab(tmp_path, mlflow_server)
    made.write(MODEL)
    assert made.apply().succeeded
    made.set_alias("champion", made.register())
    made.write(MODEL, resource=made.follower)
    outcome = made.apply()
    assert outcome.succeeded, outcome.failed
    assert made.seen() == "version 1"
    assert made.plan().empty
    return made


def test_an_alias_that_was_removed_is_named_and_put_back_where_it_was(lab: Lab) -> None:
    lab.register()
    lab.remove_alias("champion")
    address = f"registry.models/model_alias.{lab.model}@champion"
    assert lab.planned() == {address: ("create", "removed outside mlinfra → version 1")}
    assert lab.apply().succeeded
    assert lab.aliases() == {"champion": 1}
    assert lab.plan().empty


def test_an_alias_that_somebody_moves_is_followed(lab: Lab) -> None:
    lab.set_alias("champion", lab.register())
    planned = lab.planned()
    assert {address: action for address, (action, _) in planned.items()} == {"resource.seen": "update"}
    assert lab.apply().succeeded
    assert lab.seen() == "version 2"
    assert lab.aliases() == {"champion": 2}
    assert lab.plan().empty
    lab.remove_alias("champion")
    assert lab.apply().succeeded
    assert lab.aliases() == {"champion": 2}, "where it was last, not where it was first"


def test_an_alias_whose_version_is_gone_too_says_what_to_do(lab: Lab) -> None:
    lab.register()
    lab.call("DELETE", "model-versions/delete", name=lab.model, version="1")
    outcome = lab.apply()
    (failed,) = outcome.failed
    assert "that version is gone" in failed.detail
    assert "newest version is 2" in failed.remedy
    lab.set_alias("champion", 2)
    assert lab.apply().succeeded
    assert lab.seen() == "version 2"


def test_a_description_and_tags_changed_outside_are_drift(lab: Lab) -> None:
    lab.call("PATCH", "registered-models/update", name=lab.model, description="edited")
    lab.call("POST", "registered-models/set-tag", name=lab.model, key="team", value="core")
    lab.call("POST", "registered-models/set-tag", name=lab.model, key="reviewed", value="yes")
    (node,) = lab.plan().shown()
    assert node.address == f"registry.models/registered_model.{lab.model}"
    assert {(change.path, change.before, change.after, change.reason) for change in node.changes} == {
        ("description", "edited", "scores payments", "drift"),
        ("tags.team", "core", "risk", "drift"),
    }
    assert lab.apply().succeeded
    assert lab.plan().empty
    assert lab.live()["description"] == "scores payments"
    assert {"key": "reviewed", "value": "yes"} in lab.live()["tags"], "a tag that nobody declared is left alone"


def test_a_model_that_left_the_blueprint_goes_and_what_is_lost_is_named(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    lab = Lab(tmp_path, mlflow_server, environment={"provider": "local"})
    lab.write(MODEL)
    assert lab.apply().succeeded
    lab.register()
    # Nobody depends on the alias, so that it is not there yet is only told.
    assert any("champion" in note.text for note in lab.plan().notes)
    declared, lab.model = lab.model, f"{lab.model}-other"
    lab.write(MODEL)
    with pytest.raises(Refused) as refused:
        lab.apply()
    assert f"1 version of {declared}" in str(refused.value)


def test_the_server_answers_to_this_machine_only(mlflow_server: MlflowServer) -> None:
    port = mlflow_server.uri.rpartition(":")[2]
    assert status(mlflow_server, f"localhost:{port}") == 200
    assert status(mlflow_server, f"mlflow.example.com:{port}") == 403


@pytest.fixture(scope="module")
def exposed(tool_env: ToolEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A server as the recipe makes it for ``expose: true``; it listens on this machine only all the same."""
    folder = VolumeHandle("registry.models/folder.data", "", "")
    service = server_service(folder, port=Port(INSIDE, exposed=True), anyone=True)
    server = MlflowServer(tool_env("mlflow"), tmp_path_factory.mktemp("exposed"), service)
    server.start()
    try:
        with httpx.Client(trust_env=False) as http:
            server.until_healthy(http, threading.Event())
        yield server
    finally:
        server.stop()


def test_an_exposed_server_answers_under_any_name_and_to_its_own_pages(exposed: MlflowServer) -> None:
    host = f"mlflow.example.com:{exposed.uri.rpartition(':')[2]}"
    assert status(exposed, host) == 200
    assert status(exposed, host, origin=f"http://{host}") == 200
    assert status(exposed, host, origin="http://elsewhere.example.com") == 403


def status(server: MlflowServer, host: str, origin: str | None = None) -> int:
    """The status of a search, as a browser sends it that calls the server ``host``."""
    headers = {"host": host, **({"origin": origin} if origin else {})}
    url = f"{server.uri}/api/2.0/mlflow/experiments/search"
    with httpx.Client(trust_env=False, timeout=60) as http:
        return http.post(url, headers=headers, json={"max_results": 1}).status_code
