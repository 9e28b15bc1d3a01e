"""``modelserver.deployment``: which version of a model a server has in force.

The server loads by itself what its configuration file names; this asks it, and waits until it is so. Must not write that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import httpx
from pydantic import Field

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_tools.client import ToolsClient

STEP: Final = 0.2
"""Seconds between two looks."""


class Deployment(Resource):
    """The version that a model server serves.

    ::

        resource:
          served: { type: modelserver.deployment, url: http://127.0.0.1:8080, model: fraud, version: 3 }
    """

    type: ClassVar[str] = "modelserver.deployment"
    noun: ClassVar[str] = "version served"

    url: str
    """Where the server answers."""
    model: str
    version: str
    start: float = Field(180.0, gt=0)
    """Seconds that loading it may take."""

    @classmethod
    def read(cls, client: ToolsClient, known: Known) -> Fields | None:
        url = str(known.fields["url"])
        told = _ask(client, url)
        serving = told.get("in_force") or {}
        found = {"url": url, "model": serving.get("model"), "version": serving.get("version")}
        return {**found, "start": known.fields.get("start")}

    def locate(self, client: ToolsClient, op: Operation) -> str | None:
        try:
            return self._id() if _ask(client, self.url).get("in_force") else None
        except Unreachable:
            return None

    def create(self, client: ToolsClient, op: Operation) -> Created:
        """Nothing to do but to wait, which is `ready`: the server does it."""
        return Created(self._id())

    def update(self, client: ToolsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> None:
        """As `create`."""

    @classmethod
    def delete(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        """It goes with its server."""

    @classmethod
    def ready(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        """Wait until the version is in force.

        Errors: ProviderError with the server's reason if it cannot load it, or does not in time.
        """
        url, limit = str(known.fields["url"]), float(known.fields.get("start") or 180.0)
        wanted = _wanted(known.fields)
        waited, told = 0.0, 0
        while True:
            status = _ask(client, url)
            if status["state"] == "ready" and _version(status.get("in_force")) == wanted:
                return
            if status["state"] == "failed" and _version(status.get("wanted")) == wanted:
                raise ProviderError(
                    status.get("failure") or f"{' version '.join(wanted)} cannot be loaded",
                    remedy=f"{_still(status)} The server's log says more: `mlinfra logs {op.address.partition('/')[0]}`.",
                )
            if waited >= limit:
                raise ProviderError(
                    f"{' version '.join(wanted)} is not in force after {limit:.0f} s",
                    remedy=f"{_still(status)} `mlinfra apply` goes on waiting; health.start says how long.",
                )
            if waited >= told + 5:
                told = int(waited)
                op.say(f"loading version {wanted[1]} ({told} s)")
            op.wait(STEP)
            waited += STEP

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        by_field = {change.path: change for change in changes}
        if set(by_field) == {"version"}:
            change = by_field["version"]
            return f"version {change.old or 'none'} → {change.new}"
        return None

    def _id(self) -> str:
        return self.url


def _wanted(fields: Mapping[str, Any]) -> tuple[str, str]:
    return (str(fields["model"]), str(fields["version"]))


def _version(told: Any) -> tuple[str, str] | None:
    return (str(told["model"]), str(told["version"])) if isinstance(told, Mapping) else None


def _still(status: Mapping[str, Any]) -> str:
    serving = _version(status.get("in_force"))
    return f"{' version '.join(serving)} goes on serving." if serving else "Nothing serves."


def _ask(client: ToolsClient, url: str) -> Mapping[str, Any]:
    """What a server tells of itself.

    Errors: Unreachable if nothing answers, or something that is no model server.
    """
    try:
        answer = client.request("GET", f"{url}/ready")
        told = answer.json()
    except httpx.TransportError as error:
        raise Unreachable(f"the model server at {url} does not answer ({error or type(error).__name__})") from error
    except ValueError:
        told = None
    if not isinstance(told, dict) or "state" not in told:
        raise Unreachable(f"what answers at {url} is not a model server")
    return told
