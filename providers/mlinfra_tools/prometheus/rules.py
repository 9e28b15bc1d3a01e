"""``prometheus.rules``: the rules that a Prometheus has in force.

Its files are put beside it by whoever runs it; this has it read them again, and asks it what came of that. Must not write them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

import httpx

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.fields import UNORDERED, WRITE_ONLY
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_tools.client import ToolsClient

STEP: Final = 0.2
"""Seconds between two looks."""
LIMIT: Final = 60.0
"""Seconds until rules that it took are in force."""


class Rules(Resource):
    """The alerting rules that a Prometheus has in force.

    ::

        resource:
          rules: { type: prometheus.rules, url: http://127.0.0.1:9090, alerts: [monitor.drift/MonitorBreach] }
    """

    type: ClassVar[str] = "prometheus.rules"
    noun: ClassVar[str] = "rules"

    url: str
    """Where Prometheus answers. It must take requests to read its files again (``--web.enable-lifecycle``)."""
    alerts: Annotated[list[str], UNORDERED] = []
    """All alerts that its files name, each as ``group/name``."""
    content: Annotated[str, WRITE_ONLY] = ""
    """A digest of its files: with another one it reads them again."""

    @classmethod
    def read(cls, client: ToolsClient, known: Known) -> Fields | None:
        url = str(known.fields["url"])
        return {"url": url, "alerts": _in_force(client, url)}

    def locate(self, client: ToolsClient, op: Operation) -> str | None:
        try:
            return self.url if sorted(self.alerts) == _in_force(client, self.url) else None
        except Unreachable:
            return None

    def create(self, client: ToolsClient, op: Operation) -> Created:
        """It may run already, with older files."""
        _reload(client, self.url, op)
        return Created(self.url)

    def update(self, client: ToolsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> None:
        _reload(client, self.url, op)

    @classmethod
    def delete(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        """They go with their Prometheus."""

    @classmethod
    def ready(cls, client: ToolsClient, known: Known, op: Operation) -> None:
        """Wait until they are in force.

        Errors: ProviderError if they are not in time.
        """
        url, wanted, waited = str(known.fields["url"]), sorted(known.fields.get("alerts") or []), 0.0
        while (found := _in_force(client, url)) != wanted:
            if waited >= LIMIT:
                different = sorted(set(found) ^ set(wanted)) or ["the number of alerts"]
                raise ProviderError(
                    f"Prometheus has other rules in force than its files should name: {different[0]}",
                    remedy=f"Its log says more: `{_log(op)}`.",
                )
            op.wait(STEP)
            waited += STEP

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        by_field = {change.path.partition(".")[0]: change for change in changes}
        if set(by_field) == {"content"}:
            return "changed → read again"
        return None


def answers(told: Any) -> Any:
    """The data of an answer of Prometheus' API.

    Errors: ValueError with its reason if it is an error, or no answer of Prometheus.
    """
    if not isinstance(told, Mapping) or told.get("status") != "success":
        raise ValueError(told["error"] if isinstance(told, Mapping) and "error" in told else "it is no Prometheus")
    return told["data"]


def _in_force(client: ToolsClient, url: str) -> list[str]:
    """The alerts that it judges by, each as ``group/name``.

    Errors: Unreachable if nothing answers, or something that is no Prometheus.
    """
    try:
        groups = answers(client.request("GET", f"{url}/api/v1/rules", params={"type": "alert"}).json())["groups"]
    except httpx.TransportError as error:
        raise Unreachable(f"the Prometheus at {url} does not answer ({error or type(error).__name__})") from error
    except ValueError as error:
        raise Unreachable(f"what answers at {url} tells no rules ({error})") from error
    return sorted(f"{group['name']}/{rule['name']}" for group in groups for rule in group["rules"])


def _log(op: Operation) -> str:
    return f"mlinfra logs {op.address.partition('/')[0]}"


def _reload(client: ToolsClient, url: str, op: Operation) -> None:
    """Have it read its files.

    Errors: Unreachable; ProviderError if it does not take them. Of rules its answer does not tell which is wrong; its log does.
    """
    try:
        answer = client.request("POST", f"{url}/-/reload")
    except httpx.TransportError as error:
        raise Unreachable(f"the Prometheus at {url} does not answer ({error or type(error).__name__})") from error
    if answer.is_error:
        raise ProviderError(
            f"Prometheus does not take its new files: {answer.text.strip()}",
            remedy=f"It goes on with the rules before. Its log says what is wrong: `{_log(op)}`.",
        )
