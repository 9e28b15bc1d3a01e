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

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from aiohttp import web

from .own import Own
from .proxy import Proxy

log = logging.getLogger("gateway")
GRACE = 30.0
"""Seconds for requests under way at the end."""
BACKLOG = 1024
"""Connections that may wait to be taken when many come at once."""


async def serve(host: str, port: int, path: Path) -> None:
    """Serve until a signal ends it."""
    own = Own(path)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, own.look)
    # A connection for each request: one that is kept may be closed by its server while a request is on its way.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        # What is sent again is decided in one place; aiohttp (whose version is pinned) has no public way to say so.
        session._retry_connection = False
        proxy = Proxy(own.pool, own.metrics, session)
        app = web.Application(client_max_size=0)
        for name, answer in own.paths().items():
            app.router.add_get(name, answer)
        app.router.add_route("*", "/{path:.*}", own.or_metrics(proxy))
        runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=GRACE, handler_cancellation=True, auto_decompress=False
        )
        await runner.setup()
        own.look()
        watching = asyncio.create_task(own.watch(session))
        await web.TCPSite(runner, host, port, backlog=BACKLOG).start()
        log.info("listening on %s:%s, process %s", host, port, os.getpid())
        await ended.wait()
        await runner.cleanup()
        proxy.copies.close()
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


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
