"""Objects of an MLflow server after the state was lost: found by their tags, also those that the blueprint has no more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mlinfra.engine.planner import Options
from mlinfra.engine.rebuild import Rebuilt, rebuild
from mlinfra.engine.workspace import Selection, Workspace

from .fake_mlflow import FakeMlflow


class Shop:
    """A blueprint of raw resources on a server."""

    def __init__(self, root: Path, mlflow: FakeMlflow) -> None:
        self.root = root
        self.mlflow = mlflow

    def open(self, *names: str) -> Workspace:
        every: Mapping[str, Mapping[str, Any]] = {
            "fraud": {"type": "mlflow.registered_model", "name": "fraud", "tags": {"team": "risk"}},
            "churn": {"type": "mlflow.registered_model", "name": "churn"},
            "trials": {"type": "mlflow.experiment", "name": "trials"},
            "champion": {"type": "mlflow.model_alias", "model": "fraud", "alias": "champion"},
        }
        resources = {name: {"tracking_uri": self.mlflow.uri, **every[name]} for name in names}
        told = {
            "blueprint": "shop",
            "environments": {"test": {"provider": "local", "disposable": True}},
            "resource": resources,
        }
        (self.root / "blueprint.yaml").write_text(yaml.safe_dump(told), "utf-8")
        return Workspace.open(Selection(self.root / "blueprint.yaml", environ={}))

    def apply(self, *names: str) -> None:
        with self.open(*names) as workspace:
            _, outcome = workspace.apply(Options())
        assert outcome is None or outcome.succeeded, outcome

    def rebuilt(self, *names: str) -> Rebuilt:
        for path in (self.root / ".mlinfra" / "test").glob("state.db*"):
            path.unlink()
        with self.open(*names) as workspace:
            made, done = rebuild(workspace)
        assert done
        return made


def test_what_the_blueprint_has_and_what_it_has_no_more(tmp_path: Path, mlflow: FakeMlflow) -> None:
    shop = Shop(tmp_path, mlflow)
    shop.apply("fraud", "churn", "trials")
    version = mlflow.add_version("fraud")
    mlflow.models["fraud"]["aliases"]["champion"] = version
    mlflow.models["theirs"] = {"description": "", "tags": {"mlinfra:blueprint": "other"}, "aliases": {}}
    writes = mlflow.writes()
    made = shop.rebuilt("fraud", "champion")
    assert mlflow.writes() == writes
    assert {row.address: (row.how, row.role) for row in made.rows} == {
        "resource.fraud": ("name", "wanted"),
        "resource.champion": ("name", "wanted"),
        "resource.churn": ("tags", "left"),
        "resource.trials": ("tags", "left"),
    }
    with shop.open("fraud", "champion") as workspace:
        assert {node.address: node.action for node in workspace.plan().shown()} == {
            "resource.churn": "delete",
            "resource.trials": "delete",
        }
    shop.apply("fraud", "champion")
    assert set(mlflow.models) == {"fraud", "theirs"}


def test_a_server_that_does_not_answer_is_told(tmp_path: Path, mlflow: FakeMlflow) -> None:
    shop = Shop(tmp_path, mlflow)
    shop.apply("fraud")
    mlflow.trouble.extend([503] * 20)
    made = shop.rebuilt("fraud")
    assert made.rows == ()
    assert "503" in made.missing["resource.fraud"]
