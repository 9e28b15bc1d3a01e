"""MLflow's resource types against a small server: what is read, made, mended, and what is left alone."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlinfra.sdk.errors import NotOurs, ProviderError, Unreachable
from mlinfra.sdk.resource import FieldChange, Known, Operation, Resource
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.experiment import Experiment
from mlinfra_tools.mlflow.model_alias import ModelAlias
from mlinfra_tools.mlflow.registered_model import RegisteredModel

from .conftest import operation
from .fake_mlflow import FakeMlflow


def known(resource: Resource, object_id: str) -> Known:
    """The resource as the state holds it, at an address of its own."""
    return Known(f"registry.models/{object_id}", object_id, resource.model_dump(mode="json"))


def read(resource: Resource, object_id: str, client: ToolsClient) -> Any:
    """What a refresh would see of it."""
    item = known(resource, object_id)
    return type(resource).read_many(client, [item])[item.address]


def desired(resource: Resource) -> dict[str, Any]:
    """The fields that a diff would compare."""
    return {key: value for key, value in resource.model_dump(mode="json").items() if value not in (None, {})}


# -- registered models ------------------------------------------------------------------------------------------------


def test_a_made_model_reads_as_it_was_wanted(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(
        tracking_uri=mlflow.uri, name="fraud", description="scores", tags={"team": "risk"}, approval="manual"
    )
    assert model.locate(client, op) is None
    made = model.create(client, op)
    assert made.id == "fraud"
    assert read(model, "fraud", client) == desired(model)
    assert model.locate(client, op) == "fraud"
    assert mlflow.models["fraud"]["tags"]["mlinfra:address"] == op.address


def test_an_id_does_not_tell_the_port(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    port = mlflow.uri.rpartition(":")[2]
    ids = [
        RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op).id,
        Experiment(tracking_uri=mlflow.uri, name="trials").create(client, op).id,
    ]
    assert not any(port in object_id for object_id in ids)


def test_a_model_of_somebody_else_is_taken_over_only_on_request(
    mlflow: FakeMlflow, client: ToolsClient, op: Operation, tmp_path: Path
) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud", description="ours")
    model.create(client, operation(tmp_path, blueprint="other"))
    with pytest.raises(NotOurs) as refused:
        model.create(client, op)
    assert "--adopt registry.models/x" in refused.value.remedy
    model.create(client, operation(tmp_path, adopt=True))
    assert model.locate(client, op) == "fraud"


def test_a_create_whose_reply_was_lost_is_made_once(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    model.create(client, op)
    writes = len(mlflow.writes())
    assert model.create(client, op).id == "fraud"
    assert mlflow.writes()[writes:] == ["POST registered-models/create"], "nothing differs, so nothing else is sent"


def test_an_update_sends_what_differs_and_leaves_other_tags(
    mlflow: FakeMlflow, client: ToolsClient, op: Operation
) -> None:
    old = RegisteredModel(tracking_uri=mlflow.uri, name="fraud", tags={"team": "risk", "stage": "x"}, approval="manual")
    old.create(client, op)
    mlflow.models["fraud"]["tags"]["by-hand"] = "kept"
    new = RegisteredModel(tracking_uri=mlflow.uri, name="fraud", description="d", tags={"team": "core"})
    writes = len(mlflow.writes())
    changes = [
        FieldChange("description", None, "d"),
        FieldChange("tags.team", "risk", "core"),
        FieldChange("tags.stage", "x", None),
        FieldChange("approval", "manual", None),
    ]
    new.update(client, known(old, "fraud"), changes, op)
    assert len(mlflow.writes()) - writes == 4
    assert read(new, "fraud", client) == {**desired(new), "tags": {"team": "core", "by-hand": "kept"}}


def test_all_tags_reset_leaves_other_tags(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    old = RegisteredModel(tracking_uri=mlflow.uri, name="fraud", tags={"team": "risk"})
    old.create(client, op)
    mlflow.models["fraud"]["tags"]["by-hand"] = "kept"
    new = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    change = FieldChange("tags", {"team": "risk", "by-hand": "kept"}, {"by-hand": "kept"})
    new.update(client, known(old, "fraud"), [change], op)
    assert read(new, "fraud", client)["tags"] == {"by-hand": "kept"}


def test_another_address_of_the_server_is_no_call(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    model.create(client, op)
    writes = mlflow.writes()
    old = Known("a", "fraud", {**desired(model), "tracking_uri": "http://127.0.0.1:1"})
    model.update(client, old, [FieldChange("tracking_uri", "http://127.0.0.1:1", mlflow.uri)], op)
    assert mlflow.writes() == writes


def test_a_model_that_a_new_database_lacks_is_made_by_the_update(
    mlflow: FakeMlflow, client: ToolsClient, op: Operation
) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud", tags={"team": "risk"})
    model.update(client, known(model, "fraud"), [FieldChange("tags.team", "x", "risk")], op)
    assert read(model, "fraud", client) == desired(model)


def test_many_models_are_read_in_few_calls_and_missing_ones_are_gone(
    mlflow: FakeMlflow, client: ToolsClient, op: Operation
) -> None:
    mlflow.page = 40
    models = [RegisteredModel(tracking_uri=mlflow.uri, name=f"model-{number}") for number in range(100)]
    for model in models[:99]:
        model.create(client, op)
    before = client.calls
    found = RegisteredModel.read_many(client, [known(model, model.name) for model in models])
    assert client.calls - before == 4, "two filters of fifty names, two pages each"
    assert sum(fields is not None for fields in found.values()) == 99
    assert found["registry.models/model-99"] is None


def test_what_a_delete_would_lose_counts_versions(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    model.create(client, op)
    item = known(model, "fraud")
    assert RegisteredModel.would_lose(client, item) is None
    mlflow.add_version("fraud")
    assert RegisteredModel.would_lose(client, item) == "1 version of fraud"
    for _ in range(2):
        mlflow.add_version("fraud")
    mlflow.page = 2
    assert RegisteredModel.would_lose(client, item) == "3 versions of fraud"
    RegisteredModel.delete(client, item, op)
    assert read(model, "fraud", client) is None
    RegisteredModel.delete(client, item, op)


@pytest.mark.parametrize("name", ["", "a/b", "a:1"])
def test_names_that_mlflow_refuses_are_refused_before(name: str) -> None:
    with pytest.raises(ValidationError):
        RegisteredModel(tracking_uri="http://127.0.0.1:1", name=name)


def test_a_name_with_a_quote_is_read(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="o'brien")
    model.create(client, op)
    assert read(model, "o'brien", client) == desired(model)


# -- aliases ----------------------------------------------------------------------------------------------------------


def champion(mlflow: FakeMlflow, version: int | None = None) -> ModelAlias:
    """fraud@champion."""
    return ModelAlias(tracking_uri=mlflow.uri, model="fraud", alias="champion", version=version)


def test_an_alias_is_read_from_its_model(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    alias = champion(mlflow)
    assert read(alias, "fraud@champion", client) is None
    RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op)
    mlflow.add_version("fraud")
    assert alias.locate(client, op) is None
    mlflow.models["fraud"]["aliases"]["champion"] = 1
    assert alias.locate(client, op) == "fraud@champion"
    assert read(alias, "fraud@champion", client) == {**desired(alias), "version": 1}


def test_a_removed_alias_is_put_back(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op)
    mlflow.add_version("fraud")
    assert champion(mlflow, 1).create(client, op).id == "fraud@champion"
    assert mlflow.models["fraud"]["aliases"] == {"champion": 1}
    assert ModelAlias.explain([FieldChange("version", None, 1)]) == "removed outside mlinfra → version 1"


def test_an_alias_that_somebody_has_set_meanwhile_stays(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op)
    mlflow.models["fraud"]["aliases"]["champion"] = mlflow.add_version("fraud") + mlflow.add_version("fraud")
    champion(mlflow, 1).create(client, op)
    assert mlflow.models["fraud"]["aliases"] == {"champion": 3}


def test_an_alias_whose_version_is_gone_says_what_to_do(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op)
    with pytest.raises(ProviderError, match="version 1 of fraud, and that version is gone") as nothing:
        champion(mlflow, 1).create(client, op)
    assert "Run the training" in nothing.value.remedy
    mlflow.add_version("fraud")
    mlflow.add_version("fraud")
    del mlflow.versions["fraud"][1]
    with pytest.raises(ProviderError) as another:
        champion(mlflow, 1).create(client, op)
    assert "newest version is 2" in another.value.remedy


def test_an_alias_is_deleted_once(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op)
    mlflow.models["fraud"]["aliases"]["champion"] = mlflow.add_version("fraud")
    item = known(champion(mlflow), "fraud@champion")
    ModelAlias.delete(client, item, op)
    assert mlflow.models["fraud"]["aliases"] == {}
    ModelAlias.delete(client, item, op)
    del mlflow.models["fraud"]
    ModelAlias.delete(client, item, op)


@pytest.mark.parametrize("alias", ["latest", "v12", "a b", ""])
def test_aliases_that_mlflow_refuses_are_refused_before(alias: str) -> None:
    with pytest.raises(ValidationError):
        ModelAlias(tracking_uri="http://127.0.0.1:1", model="fraud", alias=alias)


# -- experiments ------------------------------------------------------------------------------------------------------


def test_an_experiment_is_made_deleted_and_brought_back(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    trials = Experiment(tracking_uri=mlflow.uri, name="trials", tags={"team": "risk"})
    trials.create(client, op)
    live = read(trials, "trials", client)
    assert live == {**desired(trials), "artifact_location": "mlflow-artifacts:/1", "experiment_id": "1"}
    Experiment.delete(client, known(trials, "trials"), op)
    assert read(trials, "trials", client) is None
    assert trials.locate(client, op) is None
    Experiment.delete(client, known(trials, "trials"), op)
    again = Experiment(tracking_uri=mlflow.uri, name="trials", tags={"team": "core"})
    again.create(client, op)
    assert read(again, "trials", client) == {**live, "tags": {"team": "core"}}


def test_a_deleted_experiment_of_somebody_else_is_not_taken(
    mlflow: FakeMlflow, client: ToolsClient, op: Operation, tmp_path: Path
) -> None:
    trials = Experiment(tracking_uri=mlflow.uri, name="trials")
    trials.create(client, operation(tmp_path, blueprint="other"))
    Experiment.delete(client, known(trials, "trials"), op)
    with pytest.raises(NotOurs, match="deleted but kept by MLflow"):
        trials.create(client, op)
    assert mlflow.experiments["trials"]["lifecycle_stage"] == "deleted"


def test_an_update_of_an_experiment_sends_what_differs(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    old = Experiment(tracking_uri=mlflow.uri, name="trials", tags={"team": "risk", "x": "y"})
    old.create(client, op)
    new = Experiment(tracking_uri=mlflow.uri, name="trials", tags={"team": "core"})
    writes = len(mlflow.writes())
    new.update(client, known(old, "trials"), [FieldChange("tags.x", "y", None), FieldChange("tags.team", "", "")], op)
    assert len(mlflow.writes()) - writes == 2
    assert read(new, "trials", client)["tags"] == {"team": "core"}


def test_many_experiments_are_read_in_pages(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    mlflow.page = 4
    trials = [Experiment(tracking_uri=mlflow.uri, name=f"trials-{number}") for number in range(6)]
    for one in trials:
        one.create(client, op)
    before = client.calls
    found = Experiment.read_many(client, [known(one, one.name) for one in trials])
    assert client.calls - before == 2
    assert None not in found.values()


# -- servers in trouble -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [RegisteredModel, ModelAlias, Experiment])
def test_a_server_that_is_down_leaves_things_unknown(model: type[Resource], client: ToolsClient) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        items = [Known(str(number), f"x{number}@y", {"tracking_uri": uri}) for number in range(5)]
        found = model.read_many(client, items)
    assert len(found) == 5
    assert all(isinstance(value, Unreachable) for value in found.values())


@pytest.mark.parametrize("status", [500, 503, 429, 302, 404])
def test_an_answer_that_is_not_mlflows_leaves_things_unknown(
    status: int, mlflow: FakeMlflow, client: ToolsClient
) -> None:
    mlflow.trouble = [status]
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    assert isinstance(read(model, "fraud", client), Unreachable)


def test_servers_are_told_apart(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    model.create(client, op)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        down = Known("down", "fraud", {"tracking_uri": f"http://127.0.0.1:{nobody.getsockname()[1]}"})
        found = RegisteredModel.read_many(client, [down, known(model, "fraud")])
    assert isinstance(found["down"], Unreachable)
    assert found["registry.models/fraud"] == desired(model)


def test_a_busy_server_is_asked_again_by_what_changes_things(
    mlflow: FakeMlflow, client: ToolsClient, op: Operation
) -> None:
    mlflow.trouble = [503, 500]
    RegisteredModel(tracking_uri=mlflow.uri, name="fraud").create(client, op)
    assert mlflow.calls == ["POST registered-models/create"] * 3
    mlflow.trouble = [503] * 9
    with pytest.raises(Unreachable, match="in trouble"):
        RegisteredModel(tracking_uri=mlflow.uri, name="other").create(client, op)
    assert len(mlflow.trouble) == 5


def test_connections_are_given_back_and_opened_again(mlflow: FakeMlflow, client: ToolsClient, op: Operation) -> None:
    model = RegisteredModel(tracking_uri=mlflow.uri, name="fraud")
    model.create(client, op)
    client.close()
    assert read(model, "fraud", client) == desired(model)
