"""Copies of requests for shadows. Nobody waits for them: what a shadow cannot take is dropped and counted."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment

from .metrics import Metrics
from .targets import Target

UNDER_WAY = 64
"""Copies that one shadow may have unanswered."""
BYTES = 64 * 1024 * 1024
"""Bytes that all copies under way may have together."""

Send = Callable[[Target], Awaitable[aiohttp.ClientResponse]]


class Copies:
    """The copies under way."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tasks: set[asyncio.Task[None]] = set()
        self._unanswered: Counter[Target] = Counter()
        self._bytes = 0

    def send(self, target: Target, size: int, send: Send) -> None:
        """Send a copy of ``size`` bytes, if there is room for it. Returns at once."""
        if self._unanswered[target] >= UNDER_WAY or self._bytes + size > BYTES:
            self._metrics.copies[target.config.name, "dropped"] += 1
            return
        self._unanswered[target] += 1
        self._bytes += size
        task = asyncio.create_task(self._run(target, size, send))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()

    async def _run(self, target: Target, size: int, send: Send) -> None:
        result = "failed"
        try:
            answer = await send(target)
            async with answer:
                async for _ in answer.content.iter_any():
                    pass
            result = "sent" if answer.status < 500 else "failed"
        except (aiohttp.ClientError, TimeoutError):
            pass
        finally:
            self._metrics.copies[target.config.name, result] += 1
            self._bytes -= size
            self._unanswered[target] -= 1
            if not self._unanswered[target]:
                del self._unanswered[target]
