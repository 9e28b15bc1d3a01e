"""All kinds: the example in each docstring is valid, and a reference may stand in the place of any value of it."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from mlinfra.kinds import KINDS, kind_model
from mlinfra.kinds.kind import Kind
from mlinfra.sdk.refs import Sensitive, ref

TOKEN = ref("storage.lake/folder.folder", "url")
MORE: dict[str, list[dict[str, Any]]] = {
    "monitor": [
        {
            "of": "endpoint.fraud",
            "type": "concept_drift",
            "reference": "reference.parquet",
            "labels": {"source": "labels", "delay": "7d"},
            "columns": ["amount", "hour"],
            "variants": ["champion"],
            "cron": "0 3 * * *",
            "notify": {"webhook": "https://example.com/hook"},
        }
    ],
    "endpoint": [
        {
            "variants": {"a": {"artifact": "models/a", "weight": 1}, "b": {"artifact": "models/b", "shadow": True}},
            "rollout": {"canary": [10, 100], "bake": "5m", "rollback": {"error_rate": 0.1, "latency": "1s"}},
            "batching": True,
            "auth": {"token": "t"},
            "requirements": ["pandas"],
        }
    ],
    "training": [
        {
            "run": ["python", "train.py"],
            "secrets": {"TOKEN": "t"},
            "produces": ["registry.models/a@champion", "registry.models/b@champion"],
            "checkpoints": {"keep": 3},
            "features": "feature_store.fraud",
        }
    ],
}
"""Components with what the examples leave out."""


def model_of(name: str) -> type[Kind]:
    """The model of a kind that there is."""
    model = kind_model(name)
    assert model is not None
    return model


def examples(model: type[Kind]) -> list[dict[str, Any]]:
    """The components in the docstring's example."""
    text = inspect.cleandoc(model.__doc__ or "")
    block = textwrap.dedent(text.partition("::\n")[2])
    sections: dict[str, dict[str, Any]] = yaml.safe_load(block)
    return [*sections[model.kind].values(), *MORE.get(model.kind, ())]


def replaced(value: Any, with_what: Any) -> Iterator[tuple[str, Any]]:
    """The value with each part of it replaced, one at a time: (path, copy)."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield key, {**value, key: with_what}
            for path, inner in replaced(item, with_what):
                yield f"{key}.{path}", {**value, key: inner}
    elif isinstance(value, list):
        for number, item in enumerate(value):
            for path, inner in ((str(number), with_what), *replaced(item, with_what)):
                yield f"{number}.{path}", [*value[:number], inner, *value[number + 1 :]]


@pytest.mark.parametrize("name", KINDS)
def test_the_example_is_valid(name: str) -> None:
    model = model_of(name)
    components = examples(model)
    assert components
    for fields in components:
        model.model_validate(fields)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("value", [TOKEN, Sensitive("hush")], ids=["reference", "secret"])
def test_a_reference_or_secret_may_stand_anywhere(name: str, value: Any) -> None:
    model = model_of(name)
    for fields in examples(model):
        for path, changed in replaced(fields, value):
            try:
                model.model_validate(changed).links()
            except Exception as error:
                raise AssertionError(f"{name}: {path}") from error
