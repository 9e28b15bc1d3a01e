"""A store in memory that can fail or stop at any of its calls, a clock that is turned by hand, and short ways to say things."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mlinfra.state.backend import StateBackend
from mlinfra.state.entries import Created, Deleted, Done, Intent
from mlinfra.state.snapshot import ResourceState
from mlinfra.state.store import PreconditionFailed, Stored


class Crash(BaseException):
    """The process is gone: nothing that runs afterwards in it counts."""


@dataclass
class MemoryStore:
    """``before`` is called ahead of each call with its verb and key, ``after`` behind each that changes something."""

    held: dict[str, Stored] = field(default_factory=dict)
    before: Callable[[str, str], None] = lambda verb, key: None
    after: Callable[[str, str], None] = lambda verb, key: None
    calls: list[tuple[str, str]] = field(default_factory=list)
    number: int = 0
    lock: Any = field(default_factory=threading.RLock)

    def get(self, key: str) -> Stored | None:
        self.before("get", key)
        return self.held.get(key)

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        self.before("put", key)
        with self.lock:
            found = self.held.get(key)
            if (if_absent and found) or (if_match is not None and (found is None or found.etag != if_match)):
                raise PreconditionFailed(key)
            self.number += 1
            etag = str(self.number)
            self.held[key] = Stored(data, etag)
            self.calls.append(("put", key))
        self.after("put", key)
        return etag

    def list(self, prefix: str) -> list[str]:
        self.before("list", prefix)
        with self.lock:
            return sorted(key for key in self.held if key.startswith(prefix))

    def delete(self, key: str | Sequence[str], *, if_match: str | None = None) -> None:
        for name in [key] if isinstance(key, str) else key:
            self._delete(name, if_match)

    def _delete(self, key: str, if_match: str | None) -> None:
        self.before("delete", key)
        with self.lock:
            found = self.held.get(key)
            if found is not None and if_match is not None and found.etag != if_match:
                raise PreconditionFailed(key)
            self.held.pop(key, None)
            self.calls.append(("delete", key))
        self.after("delete", key)

    def close(self) -> None:
        pass


@dataclass
class Clock:
    """Time that passes only when it is told to, or slept."""

    now: float = 1_800_000_000.0
    slept: list[float] = field(default_factory=list)
    sleeping: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.sleeping()


def backend(store: Any, clock: Clock | None = None) -> StateBackend:
    clock = clock or Clock()
    return StateBackend(store, "shop", "test", clock=clock, sleep=clock.sleep)


def resource(address: str, object_id: str = "", **more: Any) -> ResourceState:
    return ResourceState(address, "fake.thing", "fake", object_id or f"id-{address}", {"size": 1}, {"size": 1}, **more)


def intent(address: str, action: str = "create") -> Intent:
    return Intent(address, action, "fake.thing", "", f"token-{address}", {"size": 1})


def created(address: str) -> Created:
    return Created(address, f"id-{address}")


def done(address: str, action: str = "create", **more: Any) -> Done:
    return Done(address, action, resource(address, **more))


def deleted(address: str) -> Deleted:
    return Deleted(address)
