"""``feast.repository``: entities and feature views as they are registered and served by a feature server.

Its truth is the server's live registry and online store, which `.server.probe` looks at; Feast's own plan does not.
Must not import Feast: the server applies with Feast's command line in its own environment.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, Status
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.feast.server.feature_types import TYPES
from mlinfra_tools.feast.server_api import FeatureServer

READY = "ready"
_DEFINITION = ("project", "entities", "views", "online", "materialise")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def valid_name(name: str) -> str:
    """Names become names of tables and of Python variables.

    Errors: ValueError.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValueError(f'"{name}" is no name for Feast: letters, digits and underscores, a letter first')
    return name


def valid_type(name: str) -> str:
    """One of Feast's types, as a blueprint names them.

    Errors: ValueError.
    """
    if name not in TYPES:
        raise ValueError(f'"{name}" is no type of a feature; there are: {", ".join(TYPES)}')
    return name


class Entity(BaseModel):
    """What features are of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    join_key: str
    type: str = "string"
    description: str | None = None

    _type = field_validator("type")(valid_type)


class View(BaseModel):
    """A table of features: where it comes from and how long a value is good."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entities: list[str] = Field(min_length=1)
    source: str
    """Path or URL of a Parquet file or a folder of them."""
    timestamp_field: str = "event_timestamp"
    created_field: str | None = None
    ttl: float | None = None
    """Seconds; none: for ever."""
    features: dict[str, str] = Field(min_length=1)
    """Name → type."""
    description: str | None = None

    @field_validator("features")
    @classmethod
    def _typed(cls, features: dict[str, str]) -> dict[str, str]:
        for name, kind in features.items():
            valid_name(name)
            valid_type(kind)
        return features


class Materialise(BaseModel):
    """When rows go online."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    on_apply: bool = True
    start: str | None = None
    """ISO time; none: everything that the source holds."""
    every: float | None = None
    """Seconds between materialisations of what is new; none, and no ``cron``: only on apply."""
    cron: str | None = None
    """When to materialise what is new: five fields, UTC."""
    window: float | None = None
    """Seconds that a scheduled materialisation looks back; none: everything of a file that changed."""


class FeastRepository(Resource):
    """Entities and feature views in Feast, applied and materialised.

    ::

        resource:
          fraud:
            type: feast.repository
            url: ${feature_store.fraud.url}
            project: fraud
            entities: { user: { join_key: user_id, type: string } }
            views:
              user_txn:
                entities: [user]
                source: /data/user_txn.parquet
                ttl: 604800
                features: { txn_count_7d: int64, avg_amount: float64 }
    """

    type: ClassVar[str] = "feast.repository"
    noun: ClassVar[str] = "feature repository"
    holds_data: ClassVar[bool] = True

    url: str
    """Where the feature server answers. May change (a port does)."""
    project: Annotated[str, REPLACE]
    entities: dict[str, Entity] = {}
    views: dict[str, View] = {}
    online: bool = True
    """Whether the latest values are served; without it there are only the definitions and their history."""
    materialise: Materialise = Materialise()
    store: str = READY
    """``ready``, or in words what is wrong with the registry, the online store or the rendered files."""

    _project = field_validator("project")(valid_name)

    @field_validator("entities", "views")
    @classmethod
    def _named(cls, items: dict[str, Any]) -> dict[str, Any]:
        for name in items:
            valid_name(name)
        return items

    @model_validator(mode="after")
    def _known_entities(self) -> FeastRepository:
        for name, view in self.views.items():
            missing = [entity for entity in view.entities if entity not in self.entities]
            if missing:
                raise ValueError(f'view "{name}" is of an entity that is not declared: {", ".join(missing)}')
        return self

    # -- reading ----------------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, client: ToolsClient, known: Known) -> Fields | None:
        url = known.fields["url"]
        told = FeatureServer(client, url).repository()
        if told is None:
            return None
        if "project" not in told:
            # The server's record is gone. `store` says so, and mends it; the fields are those of the last look.
            return {**known.fields, "store": told["store"]}
        return {"url": url, **{name: told.get(name) for name in (*_DEFINITION, "store")}}

    def locate(self, client: ToolsClient, op: Operation) -> str | None:
        told = FeatureServer(client, self.url).repository()
        return self.project if told is not None and told.get("project") in (self.project, None) else None

    # -- changing -----------------------------------------------------------------------------------------------------------

    def create(self, client: ToolsClient, op: Operation) -> Created:
        FeatureServer(client, self.url).apply(self._definition())
        return Created(self.project)

    def update(self, client: ToolsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> None:
        if any(change.path != "url" for change in changes):
            FeatureServer(client, self.url).apply(self._definition())

    @classmethod
    def delete(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        server = FeatureServer(client, known.fields["url"])
        if server.repository() is None:
            return
        server.remove()
        server.finish(op)

    @classmethod
    def ready(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        FeatureServer(client, known.fields["url"]).finish(op)

    def _definition(self) -> Fields:
        return self.model_dump(mode="json", include=set(_DEFINITION), exclude_none=True)

    # -- telling --------------------------------------------------------------------------------------------------------------

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        views = fields.get("views")
        if not isinstance(views, dict):
            return fields
        return {**fields, "views": {name: _plain(view) for name, view in views.items()}}

    @classmethod
    def would_lose(cls, client: ToolsClient, known: Known) -> str | None:
        told = FeatureServer(client, known.fields["url"]).repository(count=True) or {}
        counts = told.get("counts", {})
        if counts is None:
            return f"online values (how many cannot be told: {told['store']})"
        online = {view: count for view, count in counts.items() if count}
        if not online:
            return None
        held = ", ".join(f"{count:,} of {view}" for view, count in online.items())
        return f"online values (entities: {held}); pushed ones cannot be made again, the rest comes from its sources"

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        wrong = next((str(change.old) for change in changes if change.path == "store" and change.old), None)
        return None if wrong is None else f"{wrong} → {_remedy(wrong)}"

    @classmethod
    def status(cls, client: ToolsClient, known: Known) -> Status | None:
        url = known.fields["url"]
        try:
            told = FeatureServer(client, url).repository()
        except (ProviderError, Unreachable) as error:
            return Status("unknown", str(error))
        if told is None:
            return Status("failed", "nothing is applied")
        if told["store"] != READY:
            return Status("failed", told["store"])
        when = told.get("materialised")
        what = f"materialised {when}" if when else "nothing materialised"
        if not told.get("online", True):
            what = "not online"
        waits = [f"{view}: {why}" for view, why in told.get("missing", {}).items()]
        return Status("ready", "; ".join([", ".join(told["views"]) or "no views", what, *waits]), url)


def _plain(view: Any) -> Any:
    """A view with its source as Feast keeps it: Feast takes ``file://`` for part of a path."""
    source = view.get("source") if isinstance(view, dict) else None
    if not isinstance(source, str) or not source.startswith("file://"):
        return view
    return {**view, "source": url2pathname(urlsplit(source).path)}


def _remedy(wrong: str) -> str:
    if "edited" in wrong:
        return "render and apply again"
    if wrong.endswith("not materialised yet"):
        return "materialise"
    return "apply and materialise again"
