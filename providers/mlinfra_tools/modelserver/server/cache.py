"""Keeps answers to equal requests for a while. Must not know what an answer is."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


def key(*parts: bytes) -> bytes:
    """A short key of a request; the lengths of the parts count, so that no two requests share one."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


class Answers(Generic[T]):
    """At most ``entries`` answers, each for ``ttl`` seconds; the one used longest ago goes first. For one thread."""

    def __init__(self, ttl: float, entries: int, clock: Callable[[], float]) -> None:
        self._ttl = ttl
        self._entries = entries
        self._clock = clock
        self._kept: OrderedDict[bytes, tuple[float, T]] = OrderedDict()

    def get(self, key: bytes) -> T | None:
        """The answer kept under ``key``, or None if there is none or it is too old."""
        found = self._kept.get(key)
        if found is None:
            return None
        if self._clock() >= found[0]:
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: bytes, answer: T) -> None:
        """Keep an answer."""
        self._kept[key] = (self._clock() + self._ttl, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > self._entries:
            self._kept.popitem(last=False)
