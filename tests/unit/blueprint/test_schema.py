"""The JSON Schema: what it takes, the loader takes, and it refuses what an editor should mark."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from mlinfra.blueprint.schema import json_schema
from tests.unit.blueprint.kinds import KINDS


class Settings(BaseModel):
    region: str
    retries: int = 3


SCHEMA = json_schema(KINDS, {"cloud": Settings})  # type: ignore[arg-type]
GOOD: dict[str, Any] = {
    "blueprint": "b",
    "variables": {"x": {"type": "integer", "default": 1}, "y": None},
    "environments": {
        "a": {"provider": "local", "host": "h", "overrides": {"storage": {"lake": None}, "resource": None}},
        "b": {"provider": "cloud", "region": "r", "retries": "${var.x}"},
    },
    "storage": {"lake": {"versioning": "${var.x > 1}", "labels": {"a": "b"}}, "empty": None},
    "endpoint": {"e": {"variants": {"a": {"model": "r/m@a", "weight": "${var.x}"}}, "replicas": 2}},
    "resource": {"t": {"type": "fake.thing", "anything": [1]}},
}


def errors(document: Any) -> list[str]:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed")
    validator = jsonschema.Draft202012Validator
    validator.check_schema(SCHEMA)
    return [error.json_path for error in validator(SCHEMA).iter_errors(document)]


def test_it_is_json_and_names_every_kind() -> None:
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert KINDS.keys() <= SCHEMA["properties"].keys()


def test_every_reference_within_it_leads_somewhere() -> None:
    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                place: Any = SCHEMA
                for step in value["$ref"].removeprefix("#/").split("/"):
                    place = place[step]
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    look(SCHEMA)


def test_it_takes_a_good_blueprint() -> None:
    assert errors(GOOD) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("blueprint",), "Not A Name"),
        (("storages",), {}),
        (("storage", "lake", "colour"), "red"),
        (("storage", "lake", "versioning"), "maybe"),
        (("endpoint", "e", "variants", "a", "weight"), "heavy"),
        (("environments", "a", "overrides", "storages"), {}),
        (("environments", "a", "default"), 1),
        (("environments", "b", "retries"), "x"),
        (("environments",), {}),
        (("variables", "x", "type"), "int"),
        (("resource", "t", "type"), 3),
    ],
)
def test_it_refuses(path: tuple[str, ...], value: Any) -> None:
    document = json.loads(json.dumps(GOOD))
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert errors(document)
