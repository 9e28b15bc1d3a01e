"""MLflow's REST API as the resource types need it: calls, pages, and its errors in our words. Holds no resource type.

API: https://mlflow.org/docs/latest/api_reference/rest-api.html (2.0 paths, which 3.x servers keep).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import httpx

from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.resource import Operation
from mlinfra_tools.client import ToolsClient

OWNER_PREFIX: Final = "mlinfra:"
"""Keys of ownership tags; a blueprint's own tags do not begin so."""
_API: Final = "/api/2.0/mlflow/"
_TRIES: Final = 4
_AT_ONCE: Final = 50
"""Names in one search filter, so that the address of the request stays short."""


class Missing(ProviderError):
    """What the call is about does not exist on this server."""


class Exists(ProviderError):
    """An object of that name exists already."""


class Mlflow:
    """One MLflow server. Safe to use from several threads."""

    def __init__(self, client: ToolsClient, uri: str) -> None:
        self.uri = uri.rstrip("/")
        self._client = client

    def call(self, method: str, path: str, values: Mapping[str, Any], op: Operation | None = None) -> dict[str, Any]:
        """One call; ``values`` go into the query of a GET and into the JSON body of anything else.

        A server that is busy (429, 5xx) is asked again a few times if ``op`` is given, to wait with.

        Errors: Missing, Exists; Unreachable if no MLflow server answers; ProviderError with the server's own words.
        """
        for attempt in range(_TRIES):
            try:
                return self._once(method, path, values)
            except Unreachable:
                if op is None or attempt == _TRIES - 1:
                    raise
                op.wait(min(8.0, 0.5 * 2**attempt) * random.uniform(0.5, 1.0))
        raise AssertionError("the last try returns or raises")

    def pages(self, method: str, path: str, values: Mapping[str, Any], key: str) -> Iterator[dict[str, Any]]:
        """All objects under ``key`` of a search, page by page."""
        token = ""
        while True:
            page = self.call(method, path, {**values, **({"page_token": token} if token else {})})
            yield from page.get(key, ())
            token = page.get("next_page_token", "")
            if not token:
                return

    def models(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Registered models by name, aliases and tags included; those that do not exist are left out. One call for fifty."""
        found: dict[str, dict[str, Any]] = {}
        plain = sorted({name for name in names if "'" not in name})
        for at in range(0, len(plain), _AT_ONCE):
            listed = ", ".join(f"'{name}'" for name in plain[at : at + _AT_ONCE])
            query = {"filter": f"name IN ({listed})", "max_results": 1000}
            for model in self.pages("GET", "registered-models/search", query, "registered_models"):
                found[model["name"]] = model
        for name in set(names) - set(plain):
            # A quote cannot be escaped within a search filter.
            single = self.model(name)
            if single is not None:
                found[name] = single
        return found

    def model(self, name: str) -> dict[str, Any] | None:
        """One registered model, or None."""
        try:
            found: dict[str, Any] = self.call("GET", "registered-models/get", {"name": name})["registered_model"]
        except Missing:
            return None
        return found

    def _once(self, method: str, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        sent: dict[str, Any] = {"params": dict(values)} if method == "GET" else {"json": dict(values)}
        try:
            response = self._client.request(method, f"{self.uri}{_API}{path}", **sent)
        except httpx.TransportError as error:
            raise Unreachable(
                f"MLflow at {self.uri} does not answer ({error or type(error).__name__})",
                remedy="`mlinfra status` shows whether its server runs, `mlinfra logs` what it said.",
            ) from error
        except httpx.InvalidURL as error:
            raise ProviderError(f"{self.uri!r} is not the address of an MLflow server: {error}") from error
        body = _json(response)
        if response.status_code == 200 and body is not None:
            return body
        raise self._refusal(response, body)

    def _refusal(self, response: httpx.Response, body: dict[str, Any] | None) -> ProviderError:
        code = str((body or {}).get("error_code", ""))
        text = str((body or {}).get("message", "")).partition(" Error: (")[0]
        if response.status_code >= 500 or response.status_code == 429:
            return Unreachable(f"MLflow at {self.uri} is in trouble ({response.status_code}: {text or 'no reason'})")
        if code == "RESOURCE_DOES_NOT_EXIST":
            return Missing(text)
        if code == "RESOURCE_ALREADY_EXISTS":
            return Exists(text)
        if body is None or not code:
            return Unreachable(
                f"what answers at {self.uri} is not MLflow's API (status {response.status_code})",
                remedy="Another server may have taken the port, or MLflow does not allow this host name.",
            )
        return ProviderError(f"MLflow: {text or code}")


def _json(response: httpx.Response) -> dict[str, Any] | None:
    try:
        body = response.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def tags_of(thing: Mapping[str, Any]) -> dict[str, str]:
    """MLflow's list of tags as a map."""
    return {tag["key"]: tag.get("value", "") for tag in thing.get("tags", ())}


def declared(tags: Mapping[str, str], *reserved: str) -> dict[str, str]:
    """Tags without those that mlinfra and MLflow put there themselves."""
    return {
        key: value
        for key, value in tags.items()
        if not key.startswith((OWNER_PREFIX, "mlflow.")) and key not in reserved
    }


def owned(tags: Mapping[str, str], owner: Mapping[str, str]) -> bool:
    """Whether the ownership tags say that this resource of this environment is the object's owner."""
    return all(tags.get(key) == value for key, value in owner.items())


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """A map of tags as MLflow takes them."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def by_server(known: Sequence[Any]) -> dict[str, list[Any]]:
    """Known resources by the server they are on."""
    servers: dict[str, list[Any]] = {}
    for item in known:
        servers.setdefault(str(item.fields["tracking_uri"]), []).append(item)
    return servers
