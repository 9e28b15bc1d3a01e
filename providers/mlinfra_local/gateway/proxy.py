"""Passing requests on: chosen target, retries that repeat nothing that was answered, bodies as they come, copies to shadows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from aiohttp import web
from multidict import CIMultiDict  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from yarl import URL  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment

from .metrics import Metrics
from .targets import Pool, Target

HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
     "transfer-encoding", "upgrade", "expect", "host", "proxy-connection"}
)  # fmt: skip
"""Headers between two neighbours, which are not passed on."""
BUFFER = 4 * 1024 * 1024
"""Bytes of a body that are kept so that it can be sent to another target; longer ones are passed on as they come, once."""
COPIES = 200
"""Copies for shadows that may wait; more are dropped."""


@dataclass
class Body:
    """A request's body: whole if it is short, else what was read of it and the stream of the rest."""

    start: bytes
    rest: aiohttp.StreamReader | None = None
    begun: bool = False

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent (again)."""
        return self.rest is None or not self.begun

    async def stream(self) -> AsyncIterator[bytes]:
        """All of it, once."""
        self.begun = True
        yield self.start
        assert self.rest is not None
        async for chunk in self.rest.iter_any():
            yield chunk


@dataclass
class Copy:
    """A request for a shadow."""

    target: Target
    method: str
    path: str
    headers: CIMultiDict[str]
    body: bytes


class Proxy:
    """Handles every request that is not for the gateway itself."""

    def __init__(self, pool: Pool, metrics: Metrics, session: aiohttp.ClientSession) -> None:
        self._pool = pool
        self._metrics = metrics
        self._session = session
        self._copies: asyncio.Queue[Copy] = asyncio.Queue(COPIES)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with what a target answers; 503 if none can take it in time."""
        began = time.perf_counter()
        pool = self._pool
        body = await self._body(request)
        headers = _passed(request)
        self._copy(request, headers, body)
        deadline = time.monotonic() + pool.config.hold
        failed: set[Target] = set()
        while True:
            key = request.headers.get(pool.config.sticky, "") if pool.config.sticky else None
            target = pool.pick(key or None, failed)
            if target is None and failed:
                failed.clear()
                target = pool.pick(key or None)
            if target is None:
                left = deadline - time.monotonic()
                if left <= 0 or pool.hopeless():
                    return self._refusal(began, 503, "no target can take this request now")
                self._metrics.waiting += 1
                try:
                    await pool.changed(left)
                finally:
                    self._metrics.waiting -= 1
                continue
            try:
                answer = await self._send(target, request.method, request.raw_path, headers, body)
            except aiohttp.ClientConnectorError:
                pool.mark(target, False, at_once=True)
                failed.add(target)
                if body.repeatable:
                    continue
                return self._refusal(began, 502, "the target went away")
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                # It closed the connection without a byte of an answer, as a server that is being stopped does.
                failed.add(target)
                again = pool.config.repeat or request.method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
                if again and body.repeatable and time.monotonic() < deadline:
                    await asyncio.sleep(0.02)
                    continue
                return self._refusal(began, 502, "the target closed the connection")
            except TimeoutError:
                return self._refusal(began, 504, "the target did not answer in time")
            except aiohttp.ClientError as error:
                return self._refusal(began, 502, f"the target's answer cannot be understood: {type(error).__name__}")
            return await self._answer(request, target, answer, began)

    async def _body(self, request: web.Request) -> Body:
        if not request.can_read_body:
            return Body(b"")
        start = bytearray()
        async for chunk in request.content.iter_any():
            start += chunk
            if len(start) > BUFFER:
                return Body(bytes(start), request.content)
        return Body(bytes(start))

    async def _send(
        self, target: Target, method: str, path: str, headers: CIMultiDict[str], body: Body
    ) -> aiohttp.ClientResponse:
        url = URL(target.config.url + path, encoded=True)
        data = body.start or None if body.rest is None else body.stream()
        return await self._session.request(method, url, headers=headers, data=data, allow_redirects=False)

    async def _answer(
        self, request: web.Request, target: Target, answer: aiohttp.ClientResponse, began: float
    ) -> web.StreamResponse:
        """Pass an answer on as it comes."""
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        dropped = HOP | {part.strip().lower() for part in answer.headers.get("Connection", "").split(",")}
        for name, value in answer.headers.items():
            if name.lower() not in dropped:
                response.headers.add(name, value)
        response.headers["x-mlinfra-target"] = target.config.name
        try:
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        except (aiohttp.ClientError, TimeoutError):
            if request.transport is not None:  # half an answer must not look like a whole one
                request.transport.abort()
        except ConnectionError:
            pass  # the caller has gone
        finally:
            answer.release() if answer.content.at_eof() else answer.close()
            self._metrics.answered(target.config.name, answer.status, time.perf_counter() - began)
        return response

    def _refusal(self, began: float, code: int, why: str) -> web.Response:
        self._metrics.answered("", code, time.perf_counter() - began)
        headers = {"Retry-After": "1"} if code == 503 else {}
        return web.json_response({"error": why}, status=code, headers=headers)

    # -- shadows ------------------------------------------------------------------------------------------------------

    def _copy(self, request: web.Request, headers: CIMultiDict[str], body: Body) -> None:
        for target in self._pool.shadows():
            name = target.config.name
            if body.rest is not None:
                self._metrics.copies[name, "too long"] += 1
                continue
            try:
                self._copies.put_nowait(Copy(target, request.method, request.raw_path, headers, body.start))
            except asyncio.QueueFull:
                self._metrics.copies[name, "dropped"] += 1

    async def send_copies(self) -> None:
        """Send copies to shadows, for ever."""
        while True:
            copy = await self._copies.get()
            name = copy.target.config.name
            try:
                answer = await self._send(copy.target, copy.method, copy.path, copy.headers, Body(copy.body))
                await answer.read()
                self._metrics.copies[name, "sent" if answer.status < 500 else "failed"] += 1
            except (aiohttp.ClientError, TimeoutError):
                self._metrics.copies[name, "failed"] += 1


def _passed(request: web.Request) -> CIMultiDict[str]:
    """The headers for the target."""
    dropped = HOP | {part.strip().lower() for part in request.headers.get("Connection", "").split(",")}
    headers = CIMultiDict((n, v) for n, v in request.headers.items() if n.lower() not in dropped | {"content-length"})
    peer = request.remote or ""
    headers["X-Forwarded-For"] = ", ".join(filter(None, [request.headers.get("X-Forwarded-For"), peer]))
    headers["X-Forwarded-Host"] = request.headers.get("X-Forwarded-Host", request.host)
    headers.setdefault("X-Forwarded-Proto", request.scheme)
    headers.setdefault("User-Agent", "")
    return headers
