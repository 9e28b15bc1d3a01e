"""Bodies of requests: kept while they are short, so that they can be sent to another target; passed on as they come if not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp  # type: ignore[import-not-found,unused-ignore]  # only in the gateway's own environment
from aiohttp import web

LONGEST = 12 * 1024 * 1024
"""Bytes of a body that are kept; a longer one can be sent once only."""
TOGETHER = 256 * 1024 * 1024
"""Bytes of all bodies that are kept at a time; above it new ones are passed on as they come."""


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


class Bodies:
    """Reads bodies and counts what is kept of them."""

    def __init__(self) -> None:
        self.kept = 0

    @contextlib.asynccontextmanager
    async def of(self, request: web.Request) -> AsyncIterator[Body]:
        """The body of a request, kept until the block ends."""
        start = bytearray()
        rest = None
        try:
            if request.can_read_body:
                async for chunk in request.content.iter_any():
                    start += chunk
                    self.kept += len(chunk)
                    if len(start) > LONGEST or self.kept > TOGETHER:
                        rest = request.content
                        break
            yield Body(bytes(start), rest)
        finally:
            self.kept -= len(start)
