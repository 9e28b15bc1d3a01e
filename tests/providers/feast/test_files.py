"""The rendered files, the record, and the one script that carries the whole server."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from mlinfra.sdk.refs import has_token
from mlinfra.sdk.workload import VolumeHandle
from mlinfra_tools.feast.bundle import server_script, templates
from mlinfra_tools.feast.server.layout import ELSEWHERE, Layout, Record, read_record, source_state, write_record
from mlinfra_tools.feast.server.render import render
from mlinfra_tools.feast.service import server_service

DEFINITION: dict[str, Any] = {
    "project": "fraud",
    "entities": {"user": {"join_key": "user_id", "type": "string"}},
    "views": {
        "user_txn": {
            "entities": ["user"],
            "source": "/lake/user_txn.parquet",
            "timestamp_field": "event_timestamp",
            "ttl": 604800.0,
            "features": {"txn_count_7d": "int64", "embedding": "list<float32>"},
        }
    },
}


def calls(text: str) -> dict[str, dict[str, str]]:
    """Variable → the keyword arguments of the call that makes it, as source text."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = {str(k.arg): ast.unparse(k.value) for k in node.value.keywords}
    return found


def test_a_definition_is_rendered_as_a_feast_repository() -> None:
    files = render(DEFINITION, templates())
    config = yaml.safe_load(files["feature_store.yaml"])
    assert config["project"] == "fraud"
    assert config["online_store"] == {"type": "sqlite", "path": "data/online.db"}
    redis = {"type": "redis", "connection_string": 'there:6379,password="${SECRET}"'}
    told = yaml.safe_load(render(DEFINITION, templates(), redis)["feature_store.yaml"])
    assert told == {**config, "online_store": redis}
    made = calls(files["features.py"])
    assert made["entity_user"]["join_keys"] == "['user_id']"
    assert made["entity_user"]["value_type"] == "ValueType.STRING"
    assert made["source_user_txn"]["path"] == "'/lake/user_txn.parquet'"
    assert made["view_user_txn"]["ttl"] == "timedelta(seconds=604800.0)"
    assert "Field(name='embedding', dtype=Array(Float32))" in made["view_user_txn"]["schema"]
    assert made["view_user_txn"]["online"] == "True"
    offline = calls(render({**DEFINITION, "online": False}, templates())["features.py"])
    assert offline["view_user_txn"]["online"] == "False"


def test_values_are_written_as_literals_never_as_code() -> None:
    hostile = "x'); import os; os.abort(); ('{{ 7 * 7 }}\n"
    view = {**DEFINITION["views"]["user_txn"], "source": hostile, "description": hostile}
    made = calls(render({**DEFINITION, "views": {"user_txn": view}}, templates())["features.py"])
    assert set(made) == {"entity_user", "source_user_txn", "view_user_txn"}
    assert ast.literal_eval(made["source_user_txn"]["path"]) == hostile
    assert ast.literal_eval(made["view_user_txn"]["description"]) == hostile


def test_a_record_survives_and_a_torn_one_counts_as_none(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert read_record(layout) is None
    record = Record(DEFINITION, "applied", files={"features.py": "abc"})
    write_record(layout, record)
    assert read_record(layout) == record
    layout.record.write_text(layout.record.read_text()[:40])
    assert read_record(layout) is None


def test_the_state_of_a_source_tells_a_change(tmp_path: Path) -> None:
    file = tmp_path / "part.parquet"
    assert source_state(str(file)) is None
    assert source_state(str(tmp_path)) is None
    assert source_state("s3://lake/a.parquet") == ELSEWHERE
    file.write_text("1")
    before, folder = source_state(str(file)), source_state(str(tmp_path))
    assert before == source_state(file.as_uri())
    os.utime(file, ns=(1, 1))
    assert before != source_state(str(file))
    assert folder != source_state(str(tmp_path))


def test_the_script_is_whole_and_says_its_options(tmp_path: Path) -> None:
    script = tmp_path / "feature_server.py"
    script.write_text(server_script(), "utf-8")
    done = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)
    assert "--store" in done.stdout
    scope: dict[str, Any] = {"__name__": "script"}
    before = list(sys.meta_path)
    try:
        exec(compile(script.read_text("utf-8"), str(script), "exec"), scope)
    finally:
        sys.meta_path[:] = before
    for text in scope["SOURCES"].values():
        compile(text, "module", "exec")
    carried: dict[str, Any] = {}
    exec(scope["SOURCES"]["featureserver.templates"], carried)
    assert carried["TEMPLATES"] == templates()


def test_the_service_leaves_ports_and_paths_to_the_runtime() -> None:
    service = server_service(VolumeHandle("a/volume.store", "", ""))
    assert has_token(service.command[3])
    assert service.probe is not None
    assert service.probe.path == "/health"
    assert service.env["FEAST_USAGE"] == "False"
    assert "feast==0.67.0" in service.software.lock
