"""The feature server's own routes as the resource type and the check need them, its errors in our words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import Operation
from mlinfra_tools.client import ToolsClient

_POLL: Final = 0.2
"""Seconds between looks at a run."""


class FeatureServer:
    """One feature server. Safe to use from several threads."""

    def __init__(self, client: ToolsClient, url: str) -> None:
        self._client = client
        self._url = url.rstrip("/")

    def repository(self, *, count: bool = False) -> dict[str, Any] | None:
        """What the live repository is, or None if none was applied. With ``count`` how many entities are
        online, by view, under ``counts``.

        Errors: Unreachable.
        """
        response = self._request("GET", "/-/repository" + ("?count=1" if count else ""))
        return None if response.status_code == httpx.codes.NOT_FOUND else self._told(response)

    def apply(self, definition: Mapping[str, Any]) -> None:
        """Start to make the repository like ``definition``; `finish` waits for it.

        Errors: Unreachable, ProviderError.
        """
        self._told(self._request("PUT", "/-/repository", json=dict(definition)))

    def remove(self) -> None:
        """Start to remove the repository; `finish` waits for it.

        Errors: Unreachable, ProviderError.
        """
        self._told(self._request("DELETE", "/-/repository"))

    def finish(self, op: Operation) -> None:
        """Wait for the last run, telling its steps.

        Errors: Cancelled, Unreachable; ProviderError with Feast's words if it failed.
        """
        step = ""
        while True:
            run = self._told(self._request("GET", "/-/run"))
            if run["step"] and run["step"] != step:
                step = run["step"]
                op.say(step)
            if run["status"] != "running":
                break
            op.wait(_POLL)
        for note in run.get("notes", ()):
            op.say(note)
        if run["failed"]:
            raise ProviderError(
                f"Feast failed at “{run['step']}”: {run['failed']}",
                remedy="The feature server's log holds all that Feast said: mlinfra logs <feature store>.",
            )

    def sample(self, view: str) -> dict[str, Any] | None:
        """The join keys of some entity that is online in ``view``, or None if there is none."""
        response = self._request("GET", "/-/sample", params={"view": view})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        entity: dict[str, Any] = self._told(response)["entity"]
        return entity

    def features(self, view: str, names: list[str], entity: Mapping[str, Any]) -> dict[str, Any]:
        """Features of one entity by name, asked as any client of Feast asks.

        Errors: Unreachable, ProviderError.
        """
        body = {
            "features": [f"{view}:{name}" for name in names],
            "entities": {key: [value] for key, value in entity.items()},
        }
        told = self._told(self._request("POST", "/get-online-features", json=body))
        values = [result["values"][0] for result in told["results"]]
        return dict(zip(told["metadata"]["feature_names"], values, strict=True))

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, self._url + path, **options)
        except httpx.HTTPError as error:
            raise Unreachable(f"the feature server at {self._url} does not answer ({error})") from error

    def _told(self, response: httpx.Response) -> dict[str, Any]:
        try:
            body = response.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise Unreachable(f"what answers at {self._url} is no feature server (HTTP {response.status_code})")
        if response.is_error:
            raise ProviderError(str(body.get("detail", f"HTTP {response.status_code}")))
        return body
