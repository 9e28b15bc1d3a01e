"""Answers several requests that arrive together with one call of the model. Must not know what a model is.

Requests are joined if their ``batch_key`` is equal. If the joined call fails, each is asked alone, so that a bad
request spoils no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


class Joinable(Protocol):
    """A parsed request."""

    @property
    def rows(self) -> int:
        """How many rows it has."""

    @property
    def batch_key(self) -> Hashable | None:
        """Requests with equal keys may be joined; None: never."""


@dataclass(slots=True)
class _Waiting:
    request: Any
    answer: asyncio.Future[Any]


class Batcher:
    """Joins requests for one loaded model. ``ask`` answers one request, ``ask_joined`` answers several in order."""

    def __init__(
        self,
        ask: Callable[[Any], Awaitable[Any]],
        ask_joined: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
        *,
        max_rows: int,
        max_wait: float,
        observe: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._ask = ask
        self._ask_joined = ask_joined
        self._max_rows = max_rows
        self._max_wait = max_wait
        self._observe = observe
        self._open: dict[Hashable, list[_Waiting]] = {}
        self._timers: dict[Hashable, asyncio.TimerHandle] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, request: Joinable) -> Any:
        """The answer to one request, after at most ``max_wait`` seconds of waiting for others."""
        key = request.batch_key
        if key is None or request.rows >= self._max_rows:
            return await self._ask(request)
        waiting = self._open.get(key, [])
        if waiting and sum(item.request.rows for item in waiting) + request.rows > self._max_rows:
            self._send(key)
        loop = asyncio.get_running_loop()
        mine = _Waiting(request, loop.create_future())
        group = self._open.setdefault(key, [])
        group.append(mine)
        if sum(item.request.rows for item in group) >= self._max_rows:
            self._send(key)
        elif len(group) == 1:
            self._timers[key] = loop.call_later(self._max_wait, self._send, key)
        return await mine.answer

    def _send(self, key: Hashable) -> None:
        group = self._open.pop(key, [])
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        if group:
            task = asyncio.get_running_loop().create_task(self._run(group))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _run(self, group: list[_Waiting]) -> None:
        self._observe(sum(item.request.rows for item in group))
        if len(group) > 1:
            try:
                answers = await self._ask_joined([item.request for item in group])
            except Exception:  # whatever the model raises: the requests are asked one by one below, each gets its own
                pass
            else:
                for item, answer in zip(group, answers, strict=True):
                    if not item.answer.done():
                        item.answer.set_result(answer)
                return
        await asyncio.gather(*(self._alone(item) for item in group))

    async def _alone(self, item: _Waiting) -> None:
        try:
            answer = await self._ask(item.request)
        except Exception as error:  # handed on to whoever waits for this answer
            if not item.answer.done():
                item.answer.set_exception(error)
        else:
            if not item.answer.done():
                item.answer.set_result(answer)
