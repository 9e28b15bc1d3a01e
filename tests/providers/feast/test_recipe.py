"""What a feature store becomes: a volume, a server over it, its repository, a check."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from mlinfra.sdk.lowering import Handle
from mlinfra.sdk.refs import ref, references
from mlinfra.sdk.workload import Service, ServiceHandle, Volume, VolumeHandle
from mlinfra_tools.feast import recipe
from mlinfra_tools.feast.repository import FeastRepository

LAKE = ref("storage.lake/folder.lake", "url")


class EntityModel(BaseModel):
    join_key: str
    type: str = "string"


class ViewModel(BaseModel):
    source: str
    entity: str
    ttl: float | None = None
    features: dict[str, str]
    stream: str | None = None


class MaterialiseModel(BaseModel):
    every: float | None = None


class StoreModel(BaseModel):
    entities: dict[str, EntityModel] = {}
    views: dict[str, ViewModel] = {}
    materialise: MaterialiseModel = MaterialiseModel()


@dataclass
class Collected:
    """A lowering that keeps what it is given."""

    component: str = "feature_store.card-fraud"
    volumes: list[Volume] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    resources: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    checks: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def volume(self, volume: Volume) -> VolumeHandle:
        self.volumes.append(volume)
        return VolumeHandle(f"{self.component}/folder.{volume.name}", "", "")

    def service(self, service: Service) -> ServiceHandle:
        self.services.append(service)
        address = f"{self.component}/process.{service.name}"
        return ServiceHandle(address, {"http": ref(address, "urls.http")})

    def resource(self, type: str, name: str, fields: dict[str, Any], *, after: tuple[str, ...] = ()) -> Handle:
        self.resources[f"{type} {name}"] = (fields, after)
        return Handle(f"{self.component}/{type.rpartition('.')[2]}.{name}")

    def shared(self, component: str, name: str) -> Any:
        return (
            VolumeHandle("storage.lake/folder.lake", "", "")
            if (component, name) == ("storage.lake", "volume")
            else None
        )

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes.append(field)

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self.checks.append((name, function, arguments))


def store(**view: Any) -> StoreModel:
    told = {
        "source": f"{LAKE}/user_txn.parquet",
        "entity": "user",
        "ttl": 604800,
        "features": {"avg_amount": "float64"},
    }
    return StoreModel.model_validate(
        {
            "entities": {"user": {"join_key": "user_id"}},
            "views": {"user_txn": told | view},
            "materialise": {"every": 60},
        }
    )


def lowered(model: StoreModel) -> tuple[Collected, Any]:
    lowering = Collected()
    return lowering, recipe.lower(model, lowering)  # type: ignore[arg-type]


def test_a_store_is_a_volume_a_server_and_a_repository() -> None:
    lowering, outputs = lowered(store())
    (service,) = lowering.services
    assert [volume.data for volume in lowering.volumes] == [False]
    assert [mount.name for mount in service.mounts] == ["store", "storage-lake"]
    assert service.mounts[1].read_only
    fields, after = lowering.resources["feast.repository card_fraud"]
    assert after == ("feature_store.card-fraud/process.server",)
    assert fields["views"]["user_txn"]["entities"] == ["user"]
    assert fields["materialise"] == {"every": 60.0}
    assert {reference.address for reference in references(fields)} == {after[0], "storage.lake/folder.lake"}
    assert outputs == {"url": fields["url"], "name": "card_fraud"}
    assert lowering.checks == [("features", "mlinfra_tools.feast.check:read_features", {"url": fields["url"]})]
    assert lowering.notes == []
    FeastRepository.model_validate(fields)


def test_what_feast_is_not_given_is_said() -> None:
    lowering, _ = lowered(store(stream="kafka://x"))
    assert lowering.notes == ["views.user_txn.stream"]
