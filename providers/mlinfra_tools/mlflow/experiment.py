"""``mlflow.experiment``: where the runs of a training are recorded.

MLflow never deletes an experiment for good: a deleted one keeps its name and its runs. Making it again brings it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import field_validator

from mlinfra.sdk.errors import NotOurs, Unreachable
from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.mlflow.rest import Exists, Missing, Mlflow, by_server, declared, owned, tag_list, tags_of

_FEW = 3
"""Up to so many experiments of one server are asked for by name; more of them are looked up in its list."""


class Experiment(Resource):
    """An experiment. Other tags than the declared ones are left as they are.

    ::

        resource:
          trials:
            type: mlflow.experiment
            tracking_uri: https://mlflow.example.com
            name: fraud-trials
            tags: { team: risk }
    """

    type: ClassVar[str] = "mlflow.experiment"

    tracking_uri: str
    """Where the MLflow server answers."""
    name: Annotated[str, REPLACE]
    tags: dict[str, str] = {}
    artifact_location: Annotated[str | None, REPLACE] = None
    """Where its runs' files go; None: the server decides."""
    experiment_id: Annotated[str | None, COMPUTED] = None

    @field_validator("name")
    @classmethod
    def _not_empty(cls, name: str) -> str:
        if not name.strip():
            raise ValueError("an experiment's name is not empty")
        return name

    @classmethod
    def read_many(cls, client: ToolsClient, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        found: dict[str, Fields | Unreachable | None] = {}
        for uri, items in by_server(known).items():
            try:
                live = _experiments(Mlflow(client, uri), {item.id for item in items})
            except Unreachable as error:
                found.update(dict.fromkeys((item.address for item in items), error))
                continue
            for item in items:
                one = live.get(item.id)
                found[item.address] = None if one is None else _fields(one, uri)
        return found

    def locate(self, client: ToolsClient, op: Operation) -> str | None:
        live = _by_name(Mlflow(client, self.tracking_uri), self.name)
        return self.name if live is not None and _active(live) and owned(tags_of(live), op.owner) else None

    def create(self, client: ToolsClient, op: Operation) -> Created:
        server = Mlflow(client, self.tracking_uri)
        wanted = {**self.tags, **op.owner}
        body: dict[str, Any] = {"name": self.name, "tags": tag_list(wanted)}
        if self.artifact_location:
            body["artifact_location"] = self.artifact_location
        try:
            server.call("POST", "experiments/create", body, op)
        except Exists:
            live = _by_name(server, self.name) or {}
            if not op.adopt and not owned(tags_of(live), op.owner):
                deleted = "" if _active(live) else ", deleted but kept by MLflow,"
                raise NotOurs(
                    f'MLflow at {server.uri} has an experiment "{self.name}"{deleted} that somebody else made',
                    remedy=f"Take it over with --adopt {op.address}, or choose another name.",
                ) from None
            if not _active(live):
                op.say("bringing the deleted experiment back")
                server.call("POST", "experiments/restore", {"experiment_id": live["experiment_id"]}, op)
            _set_tags(server, live, wanted, op)
        return Created(self.name)

    def update(self, client: ToolsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> None:
        server = Mlflow(client, self.tracking_uri)
        live = _by_name(server, known.id)
        if live is None or not _active(live):
            # The server is another one, or its database is new: what holds the experiment was replaced under it.
            self.create(client, op)
            return
        gone = {change.path.removeprefix("tags.") for change in changes if change.path.startswith("tags.")}
        gone |= {key for c in changes if c.path == "tags" for key in {*(c.old or ())} - {*(c.new or ())}}
        for key in sorted((gone - set(self.tags)) & set(tags_of(live))):
            body = {"experiment_id": live["experiment_id"], "key": key}
            server.call("POST", "experiments/delete-experiment-tag", body, op)
        _set_tags(server, live, {**self.tags, **op.owner}, op)

    @classmethod
    def delete(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        server = Mlflow(client, known.fields["tracking_uri"])
        live = _by_name(server, known.id)
        if live is None or not _active(live):
            return
        try:
            server.call("POST", "experiments/delete", {"experiment_id": live["experiment_id"]}, op)
        except Missing:
            return


def _experiments(server: Mlflow, names: set[str]) -> dict[str, dict[str, Any]]:
    """Active experiments by name."""
    if len(names) <= _FEW:
        found = {name: _by_name(server, name) for name in names}
        return {name: live for name, live in found.items() if live is not None and _active(live)}
    live_by_name: dict[str, dict[str, Any]] = {}
    query = {"view_type": "ACTIVE_ONLY", "max_results": 1000}
    for live in server.pages("POST", "experiments/search", query, "experiments"):
        if live["name"] in names:
            live_by_name[live["name"]] = live
            if len(live_by_name) == len(names):
                break
    return live_by_name


def _by_name(server: Mlflow, name: str) -> dict[str, Any] | None:
    """An experiment, a deleted one included, or None."""
    try:
        found: dict[str, Any] = server.call("GET", "experiments/get-by-name", {"experiment_name": name})["experiment"]
    except Missing:
        return None
    return found


def _active(live: Mapping[str, Any]) -> bool:
    return live.get("lifecycle_stage") == "active"


def _set_tags(server: Mlflow, live: Mapping[str, Any], tags: Mapping[str, str], op: Operation) -> None:
    present = tags_of(live)
    for key, value in tags.items():
        if present.get(key) != value:
            body = {"experiment_id": live["experiment_id"], "key": key, "value": value}
            server.call("POST", "experiments/set-experiment-tag", body, op)


def _fields(live: Mapping[str, Any], uri: str) -> Fields:
    fields: Fields = {
        "name": live["name"],
        "tracking_uri": uri,
        "tags": declared(tags_of(live)),
        "artifact_location": live.get("artifact_location"),
        "experiment_id": live["experiment_id"],
    }
    return {key: value for key, value in fields.items() if value not in (None, {})}
