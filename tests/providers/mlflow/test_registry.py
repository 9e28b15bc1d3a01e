"""What a registry becomes: a server with its data, its models and aliases; and who may reach it."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.kinds.registry import Registry
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.refs import has_token, ref, slot
from mlinfra.sdk.workload import Limits
from mlinfra_tools.mlflow import registry as recipe

from .collected import Collected

MODELS = {
    "fraud": {"aliases": ["champion", "challenger"], "description": "scores", "tags": {"team": "risk"}},
    "churn": {"aliases": ["champion"], "approval": "manual"},
}


def lowered(*capabilities: str, **fields: Any) -> tuple[Collected, Any]:
    """A registry with these fields, and its outputs."""
    lowering = Collected("registry.models", frozenset(capabilities))
    return lowering, recipe.lower(Registry.model_validate(fields), lowering)


def option(lowering: Collected, name: str) -> str | None:
    """The value of an option in the server's command."""
    command = lowering.services["server"].command
    return command[command.index(name) + 1] if name in command else None


def test_a_registry_is_a_server_with_its_data_models_and_aliases() -> None:
    lowering, outputs = lowered(models=MODELS)
    assert lowering.volumes["data"].data
    server = "registry.models/process.server"
    fraud = lowering.resources["registry.models/registered_model.fraud"]
    assert fraud.after == (server,)
    assert fraud.fields == {
        "tracking_uri": ref(server, "urls.http"),
        "name": "fraud",
        "description": "scores",
        "tags": {"team": "risk"},
        "approval": "auto",
    }
    alias = lowering.resources["registry.models/model_alias.fraud@challenger"]
    assert alias.after == ("registry.models/registered_model.fraud",)
    assert "version" not in alias.fields, "whoever moves the alias decides"
    assert outputs["url"] == ref(server, "urls.http")
    assert outputs["models"]["fraud"]["challenger"] == ref("registry.models/model_alias.fraud@challenger", "version")
    assert lowering.notes == {}
    assert lowering.checks == ["mlinfra_tools.mlflow.registry:read_models"]


def test_an_alias_that_a_person_sets_is_called_so() -> None:
    lowering, _ = lowered(models=MODELS)
    assert lowering.resources["registry.models/model_alias.fraud@champion"].label == "fraud@champion"
    assert lowering.resources["registry.models/model_alias.churn@champion"].label == "churn@champion (set by a person)"


def test_trainings_find_how_a_model_is_declared() -> None:
    lowering, _ = lowered(models=MODELS)
    shared = lowering.shared("registry.models", recipe.SHARED)
    assert shared["churn"] == recipe.Declared(
        "registry.models/registered_model.churn", {"champion": "registry.models/model_alias.churn@champion"}, "manual"
    )


def test_a_server_is_reached_from_this_machine_only() -> None:
    lowering, _ = lowered()
    port = lowering.services["server"].ports["http"]
    assert (port.number, port.exposed) == (None, False)
    hosts = option(lowering, "--allowed-hosts")
    assert hosts is not None
    assert "*" not in hosts.split(",")
    assert option(lowering, "--cors-allowed-origins") is None


def test_an_exposed_server_answers_under_any_name_on_its_port() -> None:
    lowering, _ = lowered(expose=True, port=5055)
    port = lowering.services["server"].ports["http"]
    assert (port.number, port.exposed) == (5055, True)
    assert option(lowering, "--allowed-hosts") == "*"
    assert option(lowering, "--cors-allowed-origins") == f"http://*:{slot('port:http')},http://*:5055"


def test_where_services_have_names_of_their_own_the_server_answers_to_them() -> None:
    lowering, _ = lowered("images")
    assert option(lowering, "--allowed-hosts") == "*"
    assert option(lowering, "--cors-allowed-origins") is None


def test_where_it_can_the_server_has_a_database_of_its_own() -> None:
    lowering, _ = lowered("images", "passwords", "postgresql")
    database, server = lowering.services["database"], lowering.services["server"]
    password = ref("registry.models/secret.password", "value")
    assert lowering.volumes["database"].data
    assert database.ports["sql"].private
    assert database.secrets == {"password": password}
    assert server.secrets == {"pgpass": f"*:*:*:mlflow:{password}"}
    url = ref("registry.models/process.database", "urls.sql")
    assert option(lowering, "--backend-store-uri") == f"{url}/mlflow?user=mlflow&passfile={slot('secret:pgpass')}"
    open_to_all = [*server.command, *database.command, *server.env.values(), *database.env.values()]
    assert not any(password in text for text in open_to_all)
    assert "sqlite" in str(option(lowered("images")[0], "--backend-store-uri"))


def test_what_the_server_may_use() -> None:
    lowering, _ = lowered(resources={"cpu": 2, "memory": "1Gi"})
    assert lowering.services["server"].limits == Limits(2, 1024**3, None)
    assert lowering.notes == {}
    lowering, _ = lowered(resources={"gpu": 1})
    assert list(lowering.notes) == ["resources.gpu"]
    assert lowered("gpu", resources={"gpu": 1})[0].notes == {}
    lowering, _ = lowered(resources={"instance": "ml.m5.large"})
    assert list(lowering.notes) == ["resources.instance"]


def test_values_may_be_unknown_but_names_may_not() -> None:
    later = ref("storage.lake/folder.folder", "url")
    lowering, _ = lowered(models={"fraud": {"description": later, "tags": {"where": later}}})
    assert has_token(lowering.resources["registry.models/registered_model.fraud"].fields["description"])
    for models in ({"fraud": later}, {"fraud": {"aliases": ["champion", later]}}):
        with pytest.raises(DiagnosticError, match="only an apply can tell"):
            lowered(models=models)
