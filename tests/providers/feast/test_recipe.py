"""What a feature store becomes: a volume, a server over it, its repository, a check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from mlinfra.kinds.compute import Resources
from mlinfra.kinds.feature_store import Entity, FeatureStore, Materialise, View
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.lowering import Handle
from mlinfra.sdk.refs import ref, references
from mlinfra.sdk.workload import Limits, Service, ServiceHandle, Volume, VolumeHandle
from mlinfra_tools.feast import recipe
from mlinfra_tools.feast.repository import FeastRepository

LAKE = ref("storage.lake/folder.lake", "url")


@dataclass
class Collected:
    """A lowering that keeps what it is given."""

    component: str = "feature_store.card-fraud"
    capabilities: frozenset[str] = frozenset()
    volumes: list[Volume] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    resources: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    offered: dict[str, Any] = field(default_factory=dict)
    checks: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def volume(self, volume: Volume) -> VolumeHandle:
        self.volumes.append(volume)
        return VolumeHandle(f"{self.component}/folder.{volume.name}", "", "")

    def service(self, service: Service) -> ServiceHandle:
        self.services.append(service)
        address = f"{self.component}/process.{service.name}"
        return ServiceHandle(address, {port: ref(address, f"urls.{port}") for port in service.ports})

    def password(self, name: str) -> str:
        return ref(f"{self.component}/secret.{name}", "value")

    def resource(self, type: str, name: str, fields: dict[str, Any], *, after: tuple[str, ...] = ()) -> Handle:
        self.resources[f"{type} {name}"] = (fields, after)
        return Handle(f"{self.component}/{type.rpartition('.')[2]}.{name}")

    def shared(self, component: str, name: str) -> Any:
        return (
            VolumeHandle("storage.lake/folder.lake", "", "")
            if (component, name) == ("storage.lake", "volume")
            else None
        )

    def share(self, name: str, handle: Any) -> None:
        self.offered[name] = handle

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes.append(f"{field}: {why}" if why else field)

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self.checks.append((name, function, arguments))


def store(view: dict[str, Any] | None = None, **given: Any) -> FeatureStore:
    told = {"source": f"{LAKE}/user_txn.parquet", "entity": "user", "ttl": "7d", "features": {"avg_amount": "float64"}}
    return FeatureStore.model_validate(
        {
            "entities": {"user": {"join_key": "user_id"}},
            "views": {"user_txn": told | (view or {})},
            "materialise": {"every": "1m"},
            **given,
        }
    )


def lowered(model: FeatureStore, *capabilities: str) -> tuple[Collected, Any]:
    lowering = Collected(capabilities=frozenset(capabilities))
    return lowering, recipe.lower(model, lowering)  # type: ignore[arg-type]  # has what the recipe uses


def repository(lowering: Collected) -> dict[str, Any]:
    fields, _ = lowering.resources["feast.repository card_fraud"]
    FeastRepository.model_validate(fields)
    return fields


def test_a_store_is_a_volume_a_server_and_a_repository() -> None:
    lowering, outputs = lowered(store())
    (service,) = lowering.services
    assert [volume.data for volume in lowering.volumes] == [False]
    assert [mount.name for mount in service.mounts] == ["store", "storage-lake"]
    assert service.mounts[1].read_only
    fields, after = lowering.resources["feast.repository card_fraud"]
    assert after == ("feature_store.card-fraud/process.server",)
    assert fields["views"]["user_txn"]["entities"] == ["user"]
    assert fields["views"]["user_txn"]["ttl"] == 604800.0
    assert fields["online"] is True
    assert fields["materialise"] == {"on_apply": True, "every": 60.0}
    assert {reference.address for reference in references(fields)} == {after[0], "storage.lake/folder.lake"}
    applied = ref("feature_store.card-fraud/repository.card_fraud", "url")
    assert outputs == {"url": applied, "name": "card_fraud"}
    assert lowering.checks == [("features", "mlinfra_tools.feast.check:read_features", {"url": fields["url"]})]
    assert lowering.notes == []
    assert set(lowering.offered) == {"volume"}
    FeastRepository.model_validate(fields)


def test_where_there_is_a_redis_it_is_the_online_store() -> None:
    lowering, outputs = lowered(store(), "images", "passwords", "redis")
    online, server = lowering.services
    url, password = ref("feature_store.card-fraud/process.online", "urls.redis"), lowering.password("password")
    assert (online.software.image, online.ports["redis"].private) == ("redis:7", True)
    assert online.secrets == {"password": password}
    assert server.secrets == {"redis": password}
    assert server.command[server.command.index("--redis") + 1] == url
    # In files only: in no command line and no variable.
    assert password not in (*online.command, *online.env.values(), *server.command, *server.env.values())
    assert [volume.data for volume in lowering.volumes] == [False, False]
    assert lowering.notes == []
    assert outputs["name"] == "card_fraud"
    (alone,) = lowered(store(online=False, materialise=False), "images", "passwords", "redis")[0].services
    assert alone.secrets == {}
    assert "--redis" not in alone.command


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (False, {"on_apply": False}),
        (True, {"on_apply": True}),
        ({"cron": "0 3 * * *", "window": "1d"}, {"on_apply": True, "cron": "0 3 * * *", "window": 86400.0}),
        ({"start": "2026-01-31", "on_apply": False}, {"on_apply": False, "start": "2026-01-31"}),
    ],
)
def test_when_rows_go_online_is_told_to_the_server(given: Any, sent: dict[str, Any]) -> None:
    lowering, _ = lowered(store(materialise=given))
    assert repository(lowering)["materialise"] == sent
    assert lowering.notes == []


def test_the_server_has_the_port_the_size_and_the_neighbours_that_were_asked_for() -> None:
    lowering, _ = lowered(store(port=6566, expose=True, resources={"cpu": 2, "memory": "1Gi"}))
    (service,) = lowering.services
    assert (service.ports["http"].number, service.ports["http"].exposed) == (6566, True)
    assert "--exposed" in service.command
    assert service.limits == Limits(cpu=2.0, memory=2**30)
    assert lowering.notes == []
    (plain,) = lowered(store())[0].services
    assert (plain.ports["http"].number, plain.ports["http"].exposed, plain.limits) == (None, False, Limits())
    assert "--exposed" not in plain.command


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({"resources": {"gpu": 1}}, "resources.gpu: a feature server uses none"),
        ({"resources": {"instance": "ml.t3.medium"}}, "resources.instance: it runs in this environment, which"),
        ({"online": False}, "materialise: nothing goes online"),
    ],
)
def test_what_cannot_be_done_is_said(given: dict[str, Any], note: str) -> None:
    lowering, _ = lowered(store(**given))
    (told,) = lowering.notes
    assert told.startswith(note)
    assert repository(lowering)["online"] is given.get("online", True)


def test_what_asks_for_nothing_is_not_said() -> None:
    lowering, _ = lowered(store(online=False, materialise=False, resources={"gpu": 0}))
    assert lowering.notes == []
    assert repository(lowering)["online"] is False


@pytest.mark.parametrize("field", ["entities", "views"])
def test_keys_that_only_an_apply_knows_are_refused(field: str) -> None:
    with pytest.raises(DiagnosticError, match=f"What stands in {field} can only be told by an apply"):
        lowered(store(**{field: LAKE}))


def test_every_field_of_the_kind_is_done_or_told() -> None:
    parts = {
        "": (FeatureStore, recipe.PARTS, ()),
        "entity": (Entity, recipe.ENTITY, ()),
        "view": (View, (*recipe.VIEW, "entity"), ()),
        "materialise": (Materialise, recipe.MATERIALISE, ()),
        "resources": (Resources, recipe.RESOURCES, ("gpu", "instance")),
    }
    for model, done, told in parts.values():
        assert set(model.model_fields) == {*done, *told}
