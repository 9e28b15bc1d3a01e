"""How mlinfra talks to a Docker engine: one client a run, which counts its calls. What calls mean stands in the resource types.

Which engine: the environment's ``host``, else DOCKER_HOST, else the context that the docker command uses, else the socket.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import requests
from docker import APIClient
from docker.context import ContextAPI
from docker.errors import DockerException
from docker.utils import kwargs_from_env

from mlinfra.sdk.provider import Place
from mlinfra_docker.failures import Slow, explained, timed_out, unreachable

CONNECT: Final = 10.0
"""Seconds that an engine has to take a connection. An answer may take longer: `ANSWER`."""
ANSWER: Final = 120
"""Whole seconds; the SDK adds to it."""
POOL: Final = 32
SOCKET: Final = "unix:///var/run/docker.sock"


class Api(APIClient):
    """The SDK's low-level client: it counts calls, tells connecting from answering, and has the calls that the SDK lacks."""

    calls: int

    def __init__(self, host: str, **options: Any) -> None:
        self.calls = 0
        self._host = host
        self._counting = threading.Lock()
        super().__init__(version="auto", timeout=ANSWER, max_pool_size=POOL, use_ssh_client=True, **options)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> requests.Response:
        with self._counting:
            self.calls += 1
        seconds = options.get("timeout")
        if isinstance(seconds, int | float):
            options["timeout"] = (CONNECT, seconds)
        try:
            return super().request(method, url, *args, **options)
        except requests.RequestException as error:
            if timed_out(error) and not isinstance(error, requests.ConnectTimeout):
                raise Slow(f"the Docker engine at {self._host} takes too long to answer") from error
            raise unreachable(error, self._host) from error

    def _raise_for_status(self, response: requests.Response) -> None:
        """The SDK asks this of each answer."""
        if response.status_code < 400:
            return
        try:
            said = str(response.json()["message"])
        except (ValueError, KeyError, TypeError):
            said = response.text.strip() or response.reason
        raise explained(said, response.status_code)

    def ask(
        self, method: str, path: str, *, body: Any = None, timeout: float = ANSWER, raw: bool = False, **query: Any
    ) -> Any:
        """One call of the Engine's API by its path; gives the JSON that it answers, or its text if ``raw``.

        Errors: EngineError.
        """
        url = f"{self.base_url}/v{self.api_version}{path}"
        answer = self.request(method, url, json=body, params=query, timeout=timeout)
        self._raise_for_status(answer)
        if raw:
            return answer.text
        return answer.json() if answer.content else None


@dataclass
class DockerClient:
    """What resource types of this provider are given. ``owner`` are the labels of everything of this environment."""

    api: Api
    place: Place
    host: str
    owner: Mapping[str, str]
    severed: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Network name → what was connected to a network of that name when it was deleted in this run, by container id: the
    one that replaces it gets them back."""
    chosen: set[int] = field(default_factory=set)
    """Ports of the engine's machine that were chosen in this run, under `choosing`."""
    choosing: threading.Lock = field(default_factory=threading.Lock)
    _info: Mapping[str, Any] | None = None
    _usage: Mapping[str, Any] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def calls_made(self) -> int:
        """How many calls of the Engine's API were made."""
        return self.api.calls

    def machine(self) -> Mapping[str, Any]:
        """What the engine says of its machine (NCPU, MemTotal), asked once."""
        with self._lock:
            if self._info is None:
                self._info = self._asked()
            return self._info

    def clock(self) -> str:
        """The engine's own time, RFC 3339 with nanoseconds."""
        info = self._asked()
        self._info = info
        return str(info["SystemTime"])

    def _asked(self) -> Mapping[str, Any]:
        info: Mapping[str, Any] = self.api.info()
        return info

    def usage(self) -> Mapping[str, Any]:
        """What takes how much room on the engine, asked once: it is a slow call."""
        with self._lock:
            if self._usage is None:
                self._usage = self.api.df()
            return self._usage

    def close(self) -> None:
        """Close the connections."""
        self.api.close()


def connect(place: Place) -> DockerClient:
    """The client of one environment. One call: the engine says which version of the API it speaks.

    Errors: Unreachable, saying why, if no engine can be asked.
    """
    options = _options(place)
    host = str(options.get("base_url") or SOCKET)
    try:
        _knock(host)
        api = Api(host, **options)
    except (DockerException, OSError) as error:
        raise unreachable(error, host) from error
    owner = {"mlinfra:blueprint": place.blueprint, "mlinfra:environment": place.environment}
    return DockerClient(api, place, host, owner)


def _knock(host: str) -> None:
    """See whether a socket of this machine takes connections. The SDK would tell as well, but leaves sockets open then.

    Errors: OSError.
    """
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(CONNECT)
            asking.connect(host.removeprefix("unix://"))


def _options(place: Place) -> dict[str, Any]:
    """What names the engine, in the words of the SDK."""
    environ = dict(os.environ)
    if place.settings.get("host"):
        environ["DOCKER_HOST"] = str(place.settings["host"])
    try:
        found: dict[str, Any] = {**kwargs_from_env(environ)}
        if "base_url" in found:
            return found
        context = ContextAPI.get_context(environ.get("DOCKER_CONTEXT"))
    except DockerException as error:  # certificates that are not there, a damaged context
        raise unreachable(error, environ.get("DOCKER_HOST") or SOCKET) from error
    if context is not None and context.Host:
        found["base_url"] = context.Host
        if context.TLSConfig is not None:
            found["tls"] = context.TLSConfig
    return found
