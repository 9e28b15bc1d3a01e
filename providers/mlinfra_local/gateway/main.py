"""Starts the gateway: ``--host --port --config FILE``. The file may be missing at first: requests wait until it is there.

SIGHUP reads the file at once; SIGTERM takes no new request and answers those under way.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from aiohttp import web

from .config import parse
from .metrics import Metrics
from .proxy import Proxy
from .targets import Pool, Target

log = logging.getLogger("gateway")
LOOK = 0.2
"""Seconds between looks at the configuration file, and at a target that does not answer."""
CHECK = 2.0
"""Seconds between looks at a target that does."""
GRACE = 30.0
SENDERS = 8


class Gateway:
    """The configuration file, the checks of the targets, and what the gateway tells of itself."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Any = None
        self._error = ""
        self.pool = Pool()
        self.metrics = Metrics()
        self._checks: dict[Target, asyncio.Task[None]] = {}

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
        while True:
            self.look()
            for target in self.pool.targets:
                if target not in self._checks:
                    self._checks[target] = asyncio.create_task(self._check(target, session))
            for target in [t for t in self._checks if t not in self.pool.targets]:
                self._checks.pop(target).cancel()
            await asyncio.sleep(LOOK)

    async def _check(self, target: Target, session: aiohttp.ClientSession) -> None:
        timeout = aiohttp.ClientTimeout(total=5.0)
        while True:
            url = target.config.url + self.pool.config.health
            try:
                async with session.get(url, timeout=timeout, allow_redirects=False) as answer:
                    self.pool.mark(target, answer.status < 400, at_once=True)
            except aiohttp.ClientConnectorError:
                self.pool.mark(target, False, at_once=True)
            except (aiohttp.ClientError, TimeoutError):
                self.pool.mark(target, False)
            await asyncio.sleep(CHECK if target.healthy and not target.failures else LOOK)

    async def config(self, request: web.Request) -> web.Response:
        """Which configuration is in force, and what is wrong with the file if it is not that."""
        return web.json_response({"digest": self.pool.config.digest, "error": self._error or None})

    async def health(self, request: web.Request) -> web.Response:
        """That the gateway works, and how its targets do."""
        return web.json_response({"status": "ok", "targets": self._healthy()})

    async def metrics_text(self, request: web.Request) -> web.Response:
        """Prometheus text."""
        return web.Response(text=self.metrics.text(self._healthy()), content_type="text/plain")

    def _healthy(self) -> dict[str, bool]:
        return {target.config.name: bool(target.healthy) for target in self.pool.targets}


async def serve(host: str, port: int, path: Path) -> None:
    """Serve until a signal ends it."""
    gateway = Gateway(path)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, gateway.look)
    timeout = aiohttp.ClientTimeout(total=None, connect=5.0, sock_read=300.0)
    # A connection for each request: one that is kept may be closed by its server while a request is on its way.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
        proxy = Proxy(gateway.pool, gateway.metrics, session)
        app = web.Application(client_max_size=0)
        app.router.add_get("/-/config", gateway.config)
        app.router.add_get("/-/health", gateway.health)
        app.router.add_get("/-/metrics", gateway.metrics_text)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE)
        await runner.setup()
        gateway.look()
        tasks = [asyncio.create_task(gateway.watch(session))]
        tasks += [asyncio.create_task(proxy.send_copies()) for _ in range(SENDERS)]
        await web.TCPSite(runner, host, port).start()
        log.info("listening on %s:%s, process %s", host, port, os.getpid())
        await ended.wait()
        await runner.cleanup()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal ends it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="gateway", description="Spreads requests over targets.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    try:
        asyncio.run(serve(options.host, options.port, options.config))
    except OSError as error:
        log.error("%s", error)
        return 1
    return 0
