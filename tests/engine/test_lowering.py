"""What recipes can tell one another while a blueprint is lowered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.fake import World, provider
from mlinfra.sdk.lowering import Lowering

TRAINING = {"run": "python train.py", "produces": "registry.models/fraud@champion"}
BLUEPRINT = {
    "blueprint": "lab",
    "environments": {"test": {"provider": "fake"}},
    # The users stand first in the file: it is the links that order them.
    "endpoint": {
        "fraud": {"variants": {"champion": {"model": "registry.models/fraud@champion"}}},
        "other": {"variants": {"champion": {"model": "registry.models/other:1"}}},
    },
    "training": {"second": TRAINING, "first": TRAINING},
    "registry": {"models": {"models": {"fraud": {"aliases": ["champion"]}, "other": {}}}},
}


def test_an_offer_is_found_by_its_name_whoever_made_it(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}

    def registry(component: Any, lowering: Lowering) -> Mapping[str, Any]:
        lowering.share("job", "the registry's")
        return {}

    def training(component: Any, lowering: Lowering) -> Mapping[str, Any]:
        lowering.share("requirements:registry.models/fraud", lowering.component)
        lowering.share("job", f"{lowering.component}'s")
        return {}

    def endpoint(component: Any, lowering: Lowering) -> Mapping[str, Any]:
        model = component.variants["champion"].model.model
        seen[lowering.component] = lowering.offers(f"requirements:registry.models/{model}")
        seen[f"{lowering.component} job"] = lowering.shared("training.first", "job")
        seen[f"{lowering.component} nothing"] = lowering.shared("training.first", "volume")
        return {}

    recipes: Any = {"registry": registry, "training": training, "endpoint": endpoint}
    (tmp_path / "blueprint.yaml").write_text(yaml.safe_dump(BLUEPRINT, sort_keys=False), encoding="utf-8")
    catalog = Catalog([replace(provider(World()), recipes=recipes)])
    with Workspace.open(Selection(tmp_path / "blueprint.yaml", environ={}), catalog) as workspace:
        assert set(workspace.desire.outputs) == set(workspace.blueprint.components)
    assert seen["endpoint.fraud"] == ["training.second", "training.first"]
    assert seen["endpoint.other"] == []
    assert seen["endpoint.fraud job"] == "training.first's"
    assert seen["endpoint.fraud nothing"] is None


def test_a_recipe_of_the_environment_is_lowered_once_and_last(tmp_path: Path) -> None:
    blueprint = {
        "blueprint": "lab",
        "environments": {"test": {"provider": "fake"}},
        "storage": {"a": {}, "b": {}},
        "resource": {"uses": {"type": "fake.thing", "name": "uses", "size": "${storage.a.path}"}},
    }
    recipes: Any = {"storage": share_and_ask}
    (tmp_path / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), encoding="utf-8")
    catalog = Catalog([replace(provider(World()), recipes=recipes)])
    with Workspace.open(Selection(tmp_path / "blueprint.yaml", environ={}), catalog) as workspace:
        desire = workspace.desire
    assert desire.outputs == {"storage.a": {"url": "a", "path": 2}, "storage.b": {"url": "b"}}
    assert desire.resources["environment/thing.server"].fields["name"] == "storage.a,storage.b"
    assert desire.resources["environment/thing.server"].component == "environment"
    assert desire.resources["resource.uses"].fields["size"] == 2


def share_and_ask(component: Any, lowering: Lowering) -> Mapping[str, Any]:
    lowering.share("served", lowering.component)
    lowering.once("tests.engine.test_lowering:server_of_all")
    return {"url": lowering.component.partition(".")[2]}


def server_of_all(lowering: Lowering) -> Mapping[str, Mapping[str, Any]]:
    offers = lowering.offers("served")
    lowering.resource("fake.thing", "server", {"name": ",".join(offers)})
    return {offers[0]: {"path": len(offers)}}
