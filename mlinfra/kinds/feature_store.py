"""Kind ``feature_store``: features of entities, for training and, online, for serving. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from mlinfra.kinds.compute import PortNumber, Resources
from mlinfra.kinds.kind import Kind, Open, Part, opaque
from mlinfra.kinds.schedule import Scheduled
from mlinfra.kinds.units import Duration

PLAIN_TYPES: Final = ("bool", "bytes", "float32", "float64", "int32", "int64", "string", "timestamp")
FeatureType = Literal[
    "bool", "bytes", "float32", "float64", "int32", "int64", "string", "timestamp",
    "list<bool>", "list<bytes>", "list<float32>", "list<float64>", "list<int32>", "list<int64>", "list<string>", "list<timestamp>",
]  # fmt: skip
"""The type of a feature or of an entity's key."""
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
"""Names of entities, views, features and columns: letters, digits and _, a letter first."""


def _check_time(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise ValueError('must be a date or time such as 2026-01-31 or "2026-01-31T12:00:00+00:00"') from None
    return text


class Entity(Part):
    """What features are of: a user, a card, a shop."""

    join_key: Name = Field(description="The column that identifies it: user_id.")
    type: Literal["int32", "int64", "string"] = Field("string", description="The type of that column. Default: string.")
    description: str | None = Field(None, description="What it is.")


class View(Part):
    """Features that come from one source and are kept fresh together."""

    source: str = Field(
        min_length=1,
        description="Where the rows are: path or URL of a Parquet file, or of a folder of them: "
        "${storage.lake.url}/user_txn.parquet",
    )
    entity: str | None = Field(None, description="The entity that the features are of. Either this or `entities`.")
    entities: list[Open[str]] = Field([], description="The entities that a row is about, if it is more than one.")
    features: dict[Name, Open[FeatureType]] = Field(
        min_length=1,
        description="The features, by the name of their column: bool, bytes, float32, float64, int32, int64, string, timestamp, or "
        "list<…> of one of these.",
    )
    ttl: Duration | None = Field(
        None, description="How long a value is good: 7d. An older one is not served. Default: for ever."
    )
    timestamp_field: Name = Field(
        "event_timestamp", description="The column that says from when on a row holds. Default: event_timestamp."
    )
    created_field: Name | None = Field(
        None, description="The column that says when a row was written; of two rows for one time the later one holds."
    )
    description: str | None = Field(None, description="What the features tell.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.entity is None) == (self.entities == []):
            raise ValueError('a view needs the entity it is about: either "entity" or "entities"')
        if isinstance(self.features, dict):
            for field in ("timestamp_field", "created_field"):
                if getattr(self, field) in self.features:
                    raise ValueError(f'the column {getattr(self, field)} is the "{field}" and cannot be a feature too')
        return self

    def about(self) -> list[str]:
        """The entities that it names, `entity` or `entities`."""
        return [self.entity] if self.entity is not None else list(self.entities)


class Materialise(Scheduled):
    """When rows of the sources go to the online store."""

    on_apply: bool = Field(True, description="Whether an apply that changes the store does it. Default: true.")
    start: Annotated[str, AfterValidator(_check_time)] | None = Field(
        None, description="From when on rows are taken the first time: 2026-01-31. Default: the oldest row."
    )
    window: Duration | None = Field(
        None, description="How far back later runs look: 1d. Default: to the end of the run before."
    )


class FeatureStore(Kind):
    """Features of entities: their history for training, their latest values online for serving.

    ::

        feature_store:
          fraud:
            entities: { user: { join_key: user_id, type: string } }
            views:
              user_txn:
                source: ${storage.lake.url}/user_txn.parquet
                entity: user
                ttl: 7d
                features: { txn_count_7d: int64, avg_amount: float64 }
            materialise: { every: 1h }
    """

    kind: ClassVar[str] = "feature_store"
    outputs: ClassVar[Mapping[str, str]] = {
        "url": "the URL of its server, which serves features online",
        "name": "its name within the tool (Feast's project)",
    }

    entities: dict[Name, Open[Entity]] = Field({}, description="What features are of, by name.")
    views: dict[Name, Open[View]] = Field({}, description="Groups of features that come from one source, by name.")
    online: bool = Field(
        True, description="Whether the latest values are served. Without it there is only the history. Default: true."
    )
    materialise: Materialise = Field(
        {},
        validate_default=True,
        description="When rows go to the online store. Default: whenever an apply changes the store. `false`: never by itself.",
    )
    port: PortNumber | None = Field(
        None, description="The port of its server. Default: one that the runtime chooses and keeps."
    )
    expose: bool = Field(
        False,
        description="Whether other machines reach it. Default: only this machine, or the environment's own network.",
    )
    resources: Resources | None = Field(None, description="What its server may use. Default: the tool's usual size.")

    @field_validator("materialise", mode="before")
    @classmethod
    def _plain_yes(cls, value: Any) -> Any:
        return {"on_apply": value} if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _entities_exist(self) -> Self:
        if opaque(self.entities) or opaque(self.views):
            return self
        keys: dict[str, list[str]] = {}
        for name, entity in self.entities.items():
            if not opaque(entity) and not opaque(entity.join_key):
                keys.setdefault(entity.join_key, []).append(name)
        for key, names in keys.items():
            if len(names) > 1:
                raise ValueError(f"the entities {' and '.join(names)} have the same join_key {key}")
        for name, view in self.views.items():
            if opaque(view) or opaque(view.entities):
                continue
            for entity_name in view.about():
                if opaque(entity_name):
                    continue
                if entity_name not in self.entities:
                    known = ", ".join(self.entities) or "none"
                    raise ValueError(
                        f'the view {name} is about the entity "{entity_name}", which is not declared (there are: {known})'
                    )
                entity = self.entities[entity_name]
                if not opaque(entity) and isinstance(view.features, dict) and entity.join_key in view.features:
                    raise ValueError(
                        f"the view {name} has the feature {entity.join_key}, which is the join_key of {entity_name}"
                    )
        return self
