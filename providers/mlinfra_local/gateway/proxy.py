"""Passing requests on: the chosen target, what is sent again and what is not, answers as they come.

A request is sent again only if it is safe: nobody took it (the connection was refused, or the target said 503 with
Retry-After), or it is one that may be asked twice and its target gave no whole answer.
"""

from __future__ import annotations

import asyncio
import time
from uuid import uuid4

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from aiohttp import web
from multidict import CIMultiDict  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from yarl import URL  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment

from .bodies import Bodies, Body
from .copies import Copies
from .metrics import Metrics
from .targets import Pool, Target

HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "trailers",
     "transfer-encoding", "upgrade", "expect", "host", "proxy-connection"}
)  # fmt: skip
"""Headers between two neighbours, which are not passed on."""
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
WHOLE = 1024 * 1024
"""Bytes of an answer that are read before any is passed on, so that a target which dies midway costs nobody an answer."""
TRIES = 3
"""How often a request is sent that its targets leave unanswered: one that kills its server must not kill them all."""
PAUSE = 0.05
"""Seconds before a request is sent again, times how often it was: a server that ends soon takes no connection any more."""
CONNECT = 5.0
"""Seconds until a target must take a connection."""


class NotTaken(Exception):
    """The target did not take the request: it cannot be reached, or says that it is not ready."""

    def __init__(self, why: str, *, surely: bool = True) -> None:
        super().__init__(why)
        self.surely = surely


class Unanswered(Exception):
    """The target took the request, perhaps, and gave no whole answer."""


class Proxy:
    """Handles every request that is not for the gateway itself."""

    def __init__(self, pool: Pool, metrics: Metrics, session: aiohttp.ClientSession) -> None:
        self._pool = pool
        self._metrics = metrics
        self._session = session
        self._bodies = Bodies()
        self.copies = Copies(metrics)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request with what a target answers; 503 if none can take it in time."""
        began = time.perf_counter()
        try:
            async with self._bodies.of(request) as body:
                return await self._handled(request, body, began)
        except asyncio.CancelledError:
            self._metrics.answered("", 499, time.perf_counter() - began)
            raise

    async def _handled(self, request: web.Request, body: Body, began: float) -> web.StreamResponse:
        pool = self._pool
        headers = _passed(request)
        self._copy(request, headers, body)
        # Whoever asks how it does wants to know now.
        hold = 0.0 if request.path == pool.config.health.path else pool.config.hold
        deadline = time.monotonic() + hold
        failed: set[Target] = set()
        tries = 0
        while True:
            target = await self._target(request, failed, deadline)
            if target is None:
                return self._refusal(headers, began, 503, "no target can take this request now")
            try:
                answer, whole = await self._ask(target, request, headers, body)
            except NotTaken as error:
                pool.mark(target, False, at_once=error.surely)
                failed.add(target)
                if not body.repeatable:
                    return self._refusal(headers, began, 502, str(error))
            except Unanswered as error:
                failed.add(target)
                tries += 1
                again = pool.config.repeat or request.method in IDEMPOTENT
                if not (again and body.repeatable and tries < TRIES):
                    return self._refusal(headers, began, 502, str(error))
                await asyncio.sleep(tries * PAUSE)
            except TimeoutError:
                why = f"the target did not answer within {pool.config.timeout:g} s"
                return self._refusal(headers, began, 504, why)
            except aiohttp.ClientError as error:
                why = f"the target's answer cannot be understood: {type(error).__name__}"
                return self._refusal(headers, began, 502, why)
            else:
                return await self._answer(request, target, answer, whole, began)
            self._metrics.repeats[target.config.name] += 1

    async def _target(self, request: web.Request, failed: set[Target], deadline: float) -> Target | None:
        """The target for a request, waiting for one until the deadline. Those that failed it come last, and not after that."""
        pool = self._pool
        while True:
            key = request.headers.get(pool.config.sticky, "") if pool.config.sticky else ""
            target = pool.pick(key or None, failed)
            if target is not None:
                return target
            left = deadline - time.monotonic()
            if left <= 0 or pool.hopeless():
                return None
            if failed:
                failed.clear()
                continue
            self._metrics.waiting += 1
            try:
                await pool.changed(left)
            finally:
                self._metrics.waiting -= 1

    async def _ask(
        self, target: Target, request: web.Request, headers: CIMultiDict[str], body: Body
    ) -> tuple[aiohttp.ClientResponse, bytes | None]:
        """A target's answer, and its body if that is short.

        Errors: NotTaken, Unanswered, TimeoutError, aiohttp.ClientError.
        """
        try:
            answer = await self.send(target, request.method, _path(request), headers, body)
            if answer.status == 503 and "Retry-After" in answer.headers and body.repeatable:
                answer.close()
                raise NotTaken("the target is not ready")
            length = answer.content_length
            if request.method != "HEAD" and (length is None or length > WHOLE):
                return answer, None
            return answer, await answer.read()
        except aiohttp.ConnectionTimeoutError as error:
            raise NotTaken("the target took no connection", surely=False) from error
        except aiohttp.ClientConnectorError as error:
            raise NotTaken("the target went away") from error
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, aiohttp.ClientPayloadError) as error:
            raise Unanswered("the target closed the connection without an answer") from error

    async def send(
        self, target: Target, method: str, path: str, headers: CIMultiDict[str], body: Body
    ) -> aiohttp.ClientResponse:
        """One request to a target."""
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT, sock_read=self._pool.config.timeout)
        url = URL(target.config.url + path, encoded=True)
        data = body.start or None if body.rest is None else body.stream()
        return await self._session.request(
            method, url, headers=headers, data=data, allow_redirects=False, timeout=timeout
        )

    async def _answer(
        self, request: web.Request, target: Target, answer: aiohttp.ClientResponse, whole: bytes | None, began: float
    ) -> web.StreamResponse:
        """Pass an answer on: whole, or as it comes."""
        response = web.StreamResponse(status=answer.status, reason=answer.reason)
        dropped = HOP | {part.strip().lower() for part in answer.headers.get("Connection", "").split(",")}
        for name, value in answer.headers.items():
            if name.lower() not in dropped:
                response.headers.add(name, value)
        response.headers["x-mlinfra-target"] = target.config.name
        try:
            await response.prepare(request)
            if whole:
                await response.write(whole)
            elif whole is None:
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

    def _refusal(self, headers: CIMultiDict[str], began: float, code: int, why: str) -> web.Response:
        self._metrics.answered("", code, time.perf_counter() - began)
        said = {"X-Request-Id": headers["X-Request-Id"]} | ({"Retry-After": "1"} if code == 503 else {})
        return web.json_response({"error": why}, status=code, headers=said)

    def _copy(self, request: web.Request, headers: CIMultiDict[str], body: Body) -> None:
        for target in self._pool.shadows():
            if body.rest is not None:
                self._metrics.copies[target.config.name, "too long"] += 1
                continue
            method, path, copied = request.method, _path(request), Body(body.start)

            async def send(
                to: Target, method: str = method, path: str = path, body: Body = copied
            ) -> aiohttp.ClientResponse:
                return await self.send(to, method, path, headers, body)

            self.copies.send(target, len(body.start), send)


def _path(request: web.Request) -> str:
    """The path and query as they came."""
    raw: str = request.raw_path
    return raw if raw.startswith("/") else str(request.rel_url.relative())


def _passed(request: web.Request) -> CIMultiDict[str]:
    """The headers for the target. Every request has an id, the same for a target and its shadows."""
    dropped = HOP | {part.strip().lower() for part in request.headers.get("Connection", "").split(",")}
    headers = CIMultiDict((n, v) for n, v in request.headers.items() if n.lower() not in dropped | {"content-length"})
    peer = request.remote or ""
    headers["X-Forwarded-For"] = ", ".join(filter(None, [request.headers.get("X-Forwarded-For"), peer]))
    headers["X-Forwarded-Host"] = request.headers.get("X-Forwarded-Host", request.host)
    headers.setdefault("X-Forwarded-Proto", request.scheme)
    headers.setdefault("User-Agent", "")
    given = headers.get("X-Request-Id", "")
    if not (0 < len(given) <= 200 and given.isprintable()):
        headers["X-Request-Id"] = uuid4().hex
    return headers
