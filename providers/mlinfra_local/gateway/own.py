"""What the gateway does besides passing requests on: reads its configuration, asks how targets do, tells of itself.

``/-/config``, ``/-/health`` and ``/-/metrics`` are answered on this machine only.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from aiohttp import web
from multidict import CIMultiDict  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment

from .bodies import Body
from .config import parse
from .exposition import joined
from .metrics import Metrics
from .proxy import Proxy
from .targets import Pool, Target

log = logging.getLogger("gateway")
LOOK = 0.2
"""Seconds between looks at the configuration file, and at a target that does not answer."""
METRICS = "text/plain; version=0.0.4; charset=utf-8"
GATHER = 5.0
"""Seconds that the metrics of one target may take."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Own:
    """The configuration file, the checks of the targets, and what the gateway tells of itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Any = None
        self._error = ""
        self.pool = Pool()
        self.metrics = Metrics()
        self._checks: dict[Target, asyncio.Task[None]] = {}

    # -- the configuration and the targets ----------------------------------------------------------------------------

    def look(self) -> None:
        """Read the configuration if the file is another one; what is wrong is kept out, the old one stays in force."""
        try:
            told = self._path.stat()
            sign = (told.st_mtime_ns, told.st_size, told.st_ino)
        except OSError:
            return
        if sign == self._seen:
            return
        try:
            config = parse(self._path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            self._error = str(error)
            log.error("%s: %s; the configuration before it stays in force", self._path, error)
        else:
            self._error = ""
            self.pool.use(config)
            log.info("configuration %s in force", config.digest[:12])
        self._seen = sign

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Look at the file for ever, and have each target checked."""
        try:
            while True:
                self.look()
                for target in self.pool.targets:
                    if target not in self._checks:
                        self._checks[target] = asyncio.create_task(self._check(target, session))
                for target in [t for t in self._checks if t not in self.pool.targets]:
                    self._checks.pop(target).cancel()
                await asyncio.sleep(LOOK)
        finally:
            for task in self._checks.values():
                task.cancel()

    async def _check(self, target: Target, session: aiohttp.ClientSession) -> None:
        pool = self.pool
        while True:
            asked = pool.config.health
            timeout = aiohttp.ClientTimeout(total=asked.timeout)
            try:
                async with session.get(
                    target.config.url + asked.path, timeout=timeout, allow_redirects=False
                ) as answer:
                    pool.mark(target, answer.status < 400)
            except aiohttp.ClientConnectorError:
                pool.mark(target, False, at_once=True)
            except (aiohttp.ClientError, TimeoutError):
                pool.mark(target, False)
            # A target that does not answer may be back any moment, and requests may wait for it.
            soon = min(LOOK, asked.every)
            if target.healthy and await target.rest(asked.every):
                continue
            await asyncio.sleep(soon)

    # -- what it tells ------------------------------------------------------------------------------------------------

    def paths(self) -> dict[str, Handler]:
        """The gateway's own paths."""
        return {
            "/-/config": _near(self._config),
            "/-/health": _near(self._health),
            "/-/metrics": _near(self._metrics),
        }

    def or_metrics(self, proxy: Proxy) -> Handler:
        """A handler of all other requests: those for metrics are answered for all targets, the rest is passed on."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if request.method == "GET" and request.path == self.pool.config.metrics:
                return await self._gathered(request, proxy)
            return await proxy.handle(request)

        return handle

    async def _config(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"digest": self.pool.config.digest, "error": self._error or None})

    async def _health(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok", "targets": self._healthy()})

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.metrics.text(self._healthy()), headers={"Content-Type": METRICS})

    async def _gathered(self, request: web.Request, proxy: Proxy) -> web.StreamResponse:
        """The metrics of all targets and the gateway's own. Who may not ask a target may not ask here."""
        headers = CIMultiDict((name, request.headers[name]) for name in ("Authorization",) if name in request.headers)
        targets = [target for target in self.pool.targets if target.healthy]
        found = await asyncio.gather(*(self._page(target, request.path, headers, proxy) for target in targets))
        for status, page in found:
            if status in (401, 403):
                return web.Response(status=status, text=page, content_type="application/json")
        pages = {t.config.name: page for t, (status, page) in zip(targets, found, strict=True) if status == 200}
        if not pages:  # nobody has said that this caller may ask
            return web.json_response({"error": "no target tells its metrics now"}, status=503)
        text = joined(pages) + self.metrics.text(self._healthy())
        return web.Response(text=text, headers={"Content-Type": METRICS})

    async def _page(self, target: Target, path: str, headers: CIMultiDict[str], proxy: Proxy) -> tuple[int, str]:
        try:
            async with asyncio.timeout(GATHER):
                async with await proxy.send(target, "GET", path, headers, Body(b"")) as answer:
                    return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError, UnicodeDecodeError):
            return 0, ""

    def _healthy(self) -> dict[str, bool]:
        return {target.config.name: bool(target.healthy) for target in self.pool.targets}


def _near(answer: Handler) -> Handler:
    """The handler, for callers on this machine only: others need not know what stands behind the gateway."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            near = ipaddress.ip_address(request.remote or "").is_loopback
        except ValueError:
            near = False
        if not near:
            raise web.HTTPNotFound
        return await answer(request)

    return handle
