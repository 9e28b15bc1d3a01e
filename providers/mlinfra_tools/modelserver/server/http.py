"""The little of HTTP that the server needs on top of ASGI: a request, an answer, a table of routes. Must know no model."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from .errors import RequestError

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Gone(Exception):
    """The caller closed the connection while it sent its request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request: ``path`` holds the parts of the path that the route names."""

    method: str
    headers: Mapping[str, str]
    path: Mapping[str, str]
    id: str
    receive: Receive

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Errors: RequestError (413) above ``limit`` bytes; Gone.
        """
        announced = self.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            await discard(
                self.receive
            )  # else the answer may meet a connection that breaks while its caller still sends
            raise RequestError(f"the body has {announced} bytes; at most {limit} are taken", 413)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                if message.get("more_body"):
                    await discard(self.receive)
                raise RequestError(f"the body has more than {limit} bytes", 413)
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts)


@dataclass(slots=True)
class Response:
    """An answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Awaitable[Response]]


def json_response(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def request_of(scope: Scope, path: Mapping[str, str], receive: Receive) -> Request:
    """The request of an ASGI scope; its id is the caller's ``x-request-id``, or a new one."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    given = headers.get("x-request-id", "")
    known = given if 0 < len(given) <= 200 and given.isprintable() else uuid4().hex
    return Request(scope["method"], headers, path, known, receive)


async def discard(receive: Receive) -> None:
    """Read a body to its end and keep none of it.

    Errors: Gone.
    """
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        if not message.get("more_body"):
            return


class Routes:
    """Methods and path patterns (``/v2/models/{model}``) to handlers."""

    def __init__(self, table: Mapping[tuple[str, str], Handler]) -> None:
        self._table = [
            (method, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?"), handler)
            for (method, path), handler in table.items()
        ]

    def find(self, method: str, path: str) -> tuple[Handler, Mapping[str, str]]:
        """The handler for a request and the named parts of its path.

        Errors: RequestError (404 or 405).
        """
        allowed: list[str] = []
        for known, pattern, handler in self._table:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            if known == method or (method == "HEAD" and known == "GET"):
                return handler, {name: unquote(value) for name, value in match.groupdict().items()}
            allowed.append(known)
        if allowed:
            raise RequestError(f"{path} takes {', '.join(allowed)}, not {method}", 405)
        raise RequestError(f"there is nothing at {path}", 404)


async def send(response: Response, send: Send, *, head: bool = False) -> None:
    """Send an answer."""
    headers = {"content-type": response.content_type, "content-length": str(len(response.body)), **response.headers}
    pairs = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": pairs})
    await send({"type": "http.response.body", "body": b"" if head else response.body})
