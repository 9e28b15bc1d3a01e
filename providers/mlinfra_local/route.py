"""`local.route`: what a running gateway shall do. It is a file that the gateway reads again, so a change loses no request."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, keyed_by
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, Status
from mlinfra_local import marks
from mlinfra_local.client import LocalClient
from mlinfra_local.file import claimed, remove, rewrite
from mlinfra_local.paths import inside, refused

MODE: Final = 0o600
SETTINGS: Final = frozenset({"health", "sticky", "timeout", "hold", "repeat", "metrics"})
"""Fields whose values tell by themselves what changes."""
PATIENCE: Final = 30.0
"""Seconds until the gateway must have taken a configuration over; it looks five times a second."""


class RouteTarget(BaseModel):
    """One server behind a route. Weights are relative; 0 gets no request; a shadow gets copies only."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    url: str
    weight: int = Field(100, ge=0)
    shadow: bool = False


class RouteHealth(BaseModel):
    """How each server is asked whether it can answer: any answer below 400. Times are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field("/health", pattern=r"^/")
    every: float = Field(5.0, gt=0)
    timeout: float = Field(2.0, gt=0)
    failures: int = Field(3, ge=1)
    """Failures in a row until it gets no request. A refused connection counts as all of them."""


class LocalRoute(Resource):
    """Weights, health checks and shadows of a running gateway."""

    type: ClassVar[str] = "local.route"

    path: Annotated[str, REPLACE]
    """The gateway's configuration file, relative to the blueprint's folder."""
    url: str
    """Where the gateway listens."""
    targets: Annotated[list[RouteTarget], keyed_by("name")]
    health: RouteHealth = Field({}, validate_default=True)
    sticky: str | None = None
    """A request header whose value keeps a caller on one target."""
    timeout: float = Field(60.0, gt=0)
    """Seconds that a target may take to answer."""
    hold: float = Field(60.0, ge=0)
    """Seconds that a request waits while no target can take it, as during a restart."""
    repeat: bool = False
    """Whether a request that a target left unanswered is sent again whatever its method; GET, HEAD, OPTIONS, PUT and DELETE
    always are. Only where asking twice changes nothing."""
    metrics: str | None = Field(None, pattern=r"^/")
    """The path at which targets tell Prometheus metrics: there the gateway tells those of all."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        return {**fields, "path": inside(fields["path"], place)}

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        path = Path(known.id)
        try:
            text = path.read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return {"path": known.id} if marks.find(client, known.id) else None
        except OSError as error:
            raise refused(error, path) from error
        mark = marks.find(client, known.id)
        told = {"path": known.id, "url": mark.notes.get("url") if mark else None}
        try:
            config = json.loads(text)
        except ValueError:
            config = None
        return {**config, **told} if isinstance(config, dict) else told

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        return self.path if marks.ours(marks.find(client, self.path), op) else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        claimed(client, self.path, self._config(), MODE, op)
        self._note(client, op)
        return Created(self.path)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        rewrite(client, known.id, self._config(), MODE)
        self._note(client, op)
        return None

    def _config(self) -> bytes:
        config = self.model_dump(mode="json", exclude={"path", "url"}, exclude_none=True)
        return (json.dumps(config, indent=1, sort_keys=True) + "\n").encode()

    def _note(self, client: LocalClient, op: Operation) -> None:
        """Remember where the gateway listens, which is none of its business."""
        marks.put(client, marks.Mark(self.path, dict(op.owner), notes={"url": self.url}))

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        remove(client, known.id)

    @classmethod
    def ready(cls, client: LocalClient, known: Known, op: Operation) -> None:
        """Wait until the gateway works by this very file."""
        digest = hashlib.sha256(Path(known.id).read_bytes()).hexdigest()
        url = str(known.fields["url"])
        waited = 0.0
        while True:
            told = _ask(url, "/-/config")
            if told is not None and told.get("digest") == digest:
                return
            if told is not None and told.get("error"):
                raise ProviderError(f"the gateway refuses its configuration: {told['error']}")
            if waited >= PATIENCE:
                said = "still works by an older configuration" if told else "does not answer"
                raise ProviderError(f"the gateway at {url} {said}", remedy="Look at its log with `mlinfra logs`.")
            op.wait(0.05)
            waited += 0.05

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        told: list[str] = []
        if any(change.path == "targets" and change.old is None for change in changes):
            return "its file was deleted or is damaged → written again"
        for change in changes:
            if change.path.partition(".")[0] in SETTINGS:
                told.append(f"{change.path} {_shown(change.old)} → {_shown(change.new)}")
                continue
            if change.path != "targets" or not isinstance(change.old, list) or not isinstance(change.new, list):
                return None
            told += _moves(change.old, change.new)
        return ", ".join(told) or None

    @classmethod
    def status(cls, client: LocalClient, known: Known) -> Status | None:
        url = str(known.fields.get("url") or "")
        told = _ask(url, "/-/health") if url else None
        if told is None:
            return Status("failed", "the gateway does not answer", url)
        ill = sorted(name for name, healthy in told.get("targets", {}).items() if not healthy)
        weights = ", ".join(f"{item['name']} {_weight(item)}" for item in known.fields.get("targets", ()))
        if ill:
            return Status("failed", f"no answer from {', '.join(ill)}", url)
        return Status("running", weights, url)


def _moves(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[str]:
    """``champion 100 → 90``: how each target changes."""
    before, after = {item["name"]: item for item in old}, {item["name"]: item for item in new}
    told = [f"{name} {_weight(item)} → gone" for name, item in before.items() if name not in after]
    for name, item in after.items():
        was = before.get(name)
        if was is None:
            told.append(f"{name} joins with {_weight(item)}")
        elif _weight(was) != _weight(item):
            told.append(f"{name} {_weight(was)} → {_weight(item)}")
        elif was != item:
            told.append(f"{name} moves to {item['url']}")
    return told


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _weight(item: Mapping[str, Any]) -> str:
    return "shadow" if item.get("shadow") else str(item.get("weight", 100))


def _ask(url: str, path: str) -> dict[str, Any] | None:
    """What the gateway tells at a path of its own, or None if it does not answer."""
    parts = urlsplit(url)
    if not parts.hostname or not parts.port:
        return None
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        return told if answer.status == 200 and isinstance(told, dict) else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
