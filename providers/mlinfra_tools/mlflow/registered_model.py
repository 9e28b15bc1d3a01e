"""``mlflow.registered_model``: a model's name in an MLflow registry, under which training runs register versions.

Its versions and aliases are not its fields: versions are data, aliases are ``mlflow.model_alias``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import field_validator

from mlinfra.sdk.errors import NotOurs, Unreachable
from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.rest import Exists, Missing, Mlflow, by_server, declared, owned, tag_list, tags_of

APPROVAL = "mlinfra.approval"
"""The tag that says how a new version comes to its alias; on a version: ``pending`` until somebody approved it."""


def valid_model(name: str) -> str:
    """MLflow's rule for model names (mlflow/store/model_registry: neither ``/`` nor ``:``).

    Errors: ValueError.
    """
    if not name.strip() or "/" in name or ":" in name:
        raise ValueError("a model's name is not empty and has neither / nor :")
    return name


class RegisteredModel(Resource):
    """A registered model. Other tags than the declared ones are left as they are.

    ::

        resource:
          fraud:
            type: mlflow.registered_model
            tracking_uri: https://mlflow.example.com
            name: fraud
            description: scores card payments
            tags: { team: risk }
    """

    type: ClassVar[str] = "mlflow.registered_model"
    noun: ClassVar[str] = "model"
    holds_data: ClassVar[bool] = True

    tracking_uri: str
    """Where the MLflow server answers. May change (a port does); the model is then looked for at the new place."""
    name: Annotated[str, REPLACE]
    description: str | None = None
    tags: dict[str, str] = {}
    approval: str | None = None
    """How a new version comes to its alias, ``auto`` or ``manual``; kept as the tag ``mlinfra.approval``."""

    _name = field_validator("name")(valid_model)

    @classmethod
    def read_many(cls, client: ToolsClient, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        found: dict[str, Fields | Unreachable | None] = {}
        for uri, items in by_server(known).items():
            try:
                models = Mlflow(client, uri).models([item.id for item in items])
            except Unreachable as error:
                found.update(dict.fromkeys((item.address for item in items), error))
                continue
            for item in items:
                model = models.get(item.id)
                found[item.address] = None if model is None else _fields(model, uri)
        return found

    def locate(self, client: ToolsClient, op: Operation) -> str | None:
        model = Mlflow(client, self.tracking_uri).model(self.name)
        return self.name if model is not None and owned(tags_of(model), op.owner) else None

    def create(self, client: ToolsClient, op: Operation) -> Created:
        server = Mlflow(client, self.tracking_uri)
        wanted = {**self._tags(), **op.owner}
        body = {"name": self.name, "description": self.description or "", "tags": tag_list(wanted)}
        try:
            server.call("POST", "registered-models/create", body, op)
        except Exists:
            model = server.model(self.name) or {}
            if not op.adopt and not owned(tags_of(model), op.owner):
                raise NotOurs(
                    f'the registry at {server.uri} has a model "{self.name}" that somebody else made',
                    remedy=f"Take it over with --adopt {op.address}, or choose another name.",
                ) from None
            self._make_so(server, model, wanted, op)
        return Created(self.name)

    def update(self, client: ToolsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> None:
        server = Mlflow(client, self.tracking_uri)
        model = server.model(known.id)
        if model is None:
            # The server is another one, or its database is new: what holds the model was replaced under it.
            self.create(client, op)
            return
        gone = {change.path.removeprefix("tags.") for change in changes if change.path.startswith("tags.")}
        gone |= {key for c in changes if c.path == "tags" for key in {*(c.old or ())} - {*(c.new or ())}}
        gone |= {APPROVAL for change in changes if change.path == "approval"}
        for key in sorted((gone - set(self._tags())) & set(tags_of(model))):
            server.call("DELETE", "registered-models/delete-tag", {"name": self.name, "key": key}, op)
        self._make_so(server, model, {**self._tags(), **op.owner}, op)

    @classmethod
    def delete(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        try:
            Mlflow(client, known.fields["tracking_uri"]).call(
                "DELETE", "registered-models/delete", {"name": known.id}, op
            )
        except Missing:
            return

    @classmethod
    def would_lose(cls, client: ToolsClient, known: Known) -> str | None:
        server = Mlflow(client, known.fields["tracking_uri"])
        count = len(versions(server, known.id))
        return f"{count} version{'s' if count > 1 else ''} of {known.id}" if count else None

    def _tags(self) -> dict[str, str]:
        return {**self.tags, **({APPROVAL: self.approval} if self.approval else {})}

    def _make_so(self, server: Mlflow, model: Mapping[str, Any], tags: Mapping[str, str], op: Operation) -> None:
        """Description and tags as they should be, with calls only for what differs."""
        if (model.get("description") or "") != (self.description or ""):
            body = {"name": self.name, "description": self.description or ""}
            server.call("PATCH", "registered-models/update", body, op)
        live = tags_of(model)
        for key, value in tags.items():
            if live.get(key) != value:
                body = {"name": self.name, "key": key, "value": value}
                server.call("POST", "registered-models/set-tag", body, op)


def versions(server: Mlflow, model: str) -> list[dict[str, Any]]:
    """All versions of a registered model, newest first."""
    quote = '"' if "'" in model else "'"
    query = {"filter": f"name = {quote}{model}{quote}", "max_results": 1000, "order_by": ["version_number DESC"]}
    return list(server.pages("GET", "model-versions/search", query, "model_versions"))


def _fields(model: Mapping[str, Any], uri: str) -> Fields:
    tags = tags_of(model)
    fields: Fields = {
        "name": model["name"],
        "tracking_uri": uri,
        "description": model.get("description") or None,
        "tags": declared(tags, APPROVAL),
        "approval": tags.get(APPROVAL),
    }
    return {key: value for key, value in fields.items() if value not in (None, {})}
