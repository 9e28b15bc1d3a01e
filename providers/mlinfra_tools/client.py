"""How the tools' resource types reach their servers: one HTTP connection pool for a run, made when it is first needed.

Knows no tool. What a tool's API looks like stands in the tool's own folder.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import httpx

from mlinfra.sdk.provider import Place

CONNECT = 2.0
"""Seconds until a server that does not take the connection counts as unreachable; it is on this machine or near."""
ANSWER = 30.0
"""Seconds that one answer may take: a tool's server on SQLite can stand still while it writes."""


@dataclass(slots=True)
class ToolsClient:
    """What resource types of tools are given. ``calls`` counts the requests made, for the cost line of a plan.
    ``transport`` takes the place of the network in tests."""

    place: Place | None = None
    transport: httpx.BaseTransport | None = None
    calls: int = 0
    _http: httpx.Client | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """One request; options are those of ``httpx.Client.request``. Any status is an answer.

        Errors: httpx.TransportError if nothing answers, or not in time.
        """
        with self._lock:
            self.calls += 1
            if self._http is None:
                self._http = self._connected()
            http = self._http
        return http.request(method, url, **options)

    def _connected(self) -> httpx.Client:
        # Proxies of the user's environment are left aside: the servers of an environment are its own machines.
        return httpx.Client(
            timeout=httpx.Timeout(ANSWER, connect=CONNECT),
            limits=httpx.Limits(max_connections=16),
            transport=self.transport,
            trust_env=False,
        )

    def close(self) -> None:
        """Give the connections back. The next request opens them again."""
        with self._lock:
            http, self._http = self._http, None
        if http is not None:
            http.close()


def connect(place: Place) -> ToolsClient:
    """The client of one environment. Nothing is opened yet."""
    return ToolsClient(place)
