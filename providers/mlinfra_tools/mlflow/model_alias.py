"""``mlflow.model_alias``: a name (champion) that points at a version of a registered model.

Training runs and people set aliases, mlinfra never moves one: it waits for it, tells where it points, and puts it back if
it was removed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

from pydantic import field_validator

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.fields import OWNED, REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.registered_model import valid_model, versions
from mlinfra_tools.mlflow.rest import Missing, Mlflow, by_server

_ALIAS = re.compile(r"[A-Za-z0-9_\-]+")


class ModelAlias(Resource):
    """An alias of a registered model.

    ::

        resource:
          champion:
            type: mlflow.model_alias
            tracking_uri: https://mlflow.example.com
            model: fraud
            alias: champion
    """

    type: ClassVar[str] = "mlflow.model_alias"
    noun: ClassVar[str] = "alias"
    external: ClassVar[bool] = True

    tracking_uri: str
    """Where the MLflow server answers."""
    model: Annotated[str, REPLACE]
    alias: Annotated[str, REPLACE]
    version: Annotated[int | None, OWNED] = None
    """The version it points at. Whoever moves the alias decides; what refers to it follows."""

    _model = field_validator("model")(valid_model)

    @field_validator("alias")
    @classmethod
    def _valid_alias(cls, alias: str) -> str:
        # MLflow's rule: mlflow/utils/validation.py, _validate_model_alias_name.
        if not _ALIAS.fullmatch(alias):
            raise ValueError("an alias has letters, digits, _ and - only")
        if alias.lower() == "latest" or re.fullmatch(r"v\d+", alias, re.IGNORECASE):
            raise ValueError('"latest" and "v" with a number mean versions, so they cannot be aliases')
        return alias

    @classmethod
    def read_many(cls, client: ToolsClient, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        found: dict[str, Fields | Unreachable | None] = {}
        for uri, items in by_server(known).items():
            places = {item.address: item.id.rpartition("@") for item in items}
            try:
                models = Mlflow(client, uri).models([model for model, _, _ in places.values()])
            except Unreachable as error:
                found.update(dict.fromkeys(places, error))
                continue
            for address, (model, _, alias) in places.items():
                version = _version(models.get(model), alias)
                fields: Fields = {"tracking_uri": uri, "model": model, "alias": alias, "version": version}
                found[address] = None if version is None else fields
        return found

    def locate(self, client: ToolsClient, op: Operation) -> str | None:
        held = _version(Mlflow(client, self.tracking_uri).model(self.model), self.alias)
        return None if held is None else self._id()

    def create(self, client: ToolsClient, op: Operation) -> Created:
        """Put the alias back on the version that it pointed at. One that somebody has set meanwhile is left alone."""
        server = Mlflow(client, self.tracking_uri)
        if _version(server.model(self.model), self.alias) is not None:
            return Created(self._id())
        if self.version is None:
            raise ProviderError(
                f"no version of {self.model} is known that {self.alias} should point at",
                remedy=f"Run the training that produces {self.model}@{self.alias}, or set the alias in MLflow.",
            )
        body = {"name": self.model, "alias": self.alias, "version": str(self.version)}
        try:
            server.call("POST", "registered-models/alias", body, op)
        except Missing:
            raise ProviderError(
                f"{self.alias} pointed at version {self.version} of {self.model}, and that version is gone",
                remedy=self._remedy(server),
            ) from None
        return Created(self._id())

    def update(self, client: ToolsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> None:
        """Nothing but the server's address can change, and that is no call."""

    @classmethod
    def delete(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        model, _, alias = known.id.rpartition("@")
        try:
            Mlflow(client, known.fields["tracking_uri"]).call(
                "DELETE", "registered-models/alias", {"name": model, "alias": alias}, op
            )
        except Missing:
            return

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        for change in changes:
            if change.path == "version" and change.old is None and change.new is not None:
                return f"removed outside mlinfra → version {change.new}"
        return None

    def _id(self) -> str:
        return f"{self.model}@{self.alias}"

    def _remedy(self, server: Mlflow) -> str:
        rest = versions(server, self.model)
        if not rest:
            return (
                f"Run the training that produces {self.model}@{self.alias}: it registers a version and sets the alias."
            )
        return (
            f"The newest version is {rest[0]['version']}: set {self.alias} to it (or to another one) at "
            f"{server.uri}/#/models/{self.model}, or run the training that produces {self.model}@{self.alias}."
        )


def _version(model: Mapping[str, object] | None, alias: str) -> int | None:
    """The version that an alias of a registered model (as MLflow tells it) points at, or None."""
    aliases = (model or {}).get("aliases") or ()
    assert isinstance(aliases, list | tuple)
    return next((int(item["version"]) for item in aliases if item["alias"] == alias), None)
