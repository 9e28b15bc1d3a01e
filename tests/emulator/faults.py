"""Faults: calls that fail, are slow, or work and then say that they did not. Given by operation."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .calls import Call


@dataclass(slots=True)
class Fault:
    """What happens to calls of ``service`` and ``operation`` (patterns with ``*``).

    Without ``code`` the call is only slow (``latency``, seconds). ``times`` ends the fault after so many calls; ``rate`` is the
    share of calls it befalls; ``skip`` lets so many calls pass first. ``worked`` carries the call out before it is answered
    with the error; ``cut`` closes the connection in the place of an answer. ``once_each`` befalls each different call (operation
    and parameters) once.
    """

    service: str = "*"
    operation: str = "*"
    code: str = ""
    message: str = "injected by the emulator"
    status: int = 400
    times: int | None = None
    rate: float = 1.0
    skip: int = 0
    latency: float = 0.0
    worked: bool = False
    cut: bool = False
    once_each: bool = False
    hits: int = 0
    """How many calls it befell."""
    _seen: set[str] = field(default_factory=set)

    def status_for(self, call: Call) -> int:
        """The status as this service sends it."""
        return 503 if (self.code, call.protocol) == ("Throttling", "rest-xml") else self.status

    def code_for(self, call: Call) -> str:
        """The code as this service spells it."""
        return _SPELLINGS.get((self.code, call.protocol), self.code)


_SPELLINGS: Final[Mapping[tuple[str, str], str]] = {
    ("Throttling", "json"): "ThrottlingException",
    ("Throttling", "rest-json"): "ThrottlingException",
    ("Throttling", "smithy-rpc-v2-cbor"): "ThrottlingException",
    ("Throttling", "rest-xml"): "SlowDown",
    ("ExpiredToken", "json"): "ExpiredTokenException",
    ("ExpiredToken", "rest-json"): "ExpiredTokenException",
    ("ExpiredToken", "smithy-rpc-v2-cbor"): "ExpiredTokenException",
    ("InternalFailure", "rest-xml"): "InternalError",
    ("InternalFailure", "query"): "ServiceFailure",
}
"""Code of a fault and protocol → the code that services of the protocol send."""


def throttled(rate: float = 0.2, **more: Any) -> Fault:
    """A share of calls is told to slow down."""
    return Fault(code="Throttling", message="Rate exceeded", rate=rate, **more)


def lost_reply(service: str = "*", operation: str = "*", **more: Any) -> Fault:
    """Each different call works and is answered with 500, once."""
    more = {"worked": True, "once_each": True, **more}
    return Fault(service, operation, code="InternalFailure", message="internal error", status=500, **more)


def broken_line(service: str = "*", operation: str = "*", **more: Any) -> Fault:
    """Each different call works, and the connection breaks before it is answered, once."""
    more = {"worked": True, "cut": True, "once_each": True, **more}
    return Fault(service, operation, code="Cut", status=500, **more)


def expired(**more: Any) -> Fault:
    """The credentials have expired."""
    message = "The security token included in the request is expired"
    return Fault(code="ExpiredToken", message=message, status=403, **more)


@dataclass(slots=True)
class Faults:
    """The faults in force. ``seed`` makes rates repeatable. Only callers whose user agent has ``agent`` in it are struck."""

    seed: int = 1
    agent: str = ""
    active: list[Fault] = field(default_factory=list)
    _random: random.Random = field(default_factory=lambda: random.Random(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> Fault:
        """Put a fault in force; returns it, to look at its ``hits``."""
        with self._lock:
            self.active.append(fault)
        return fault

    def clear(self) -> None:
        """No faults any more."""
        with self._lock:
            self.active.clear()
            self._random = random.Random(self.seed)

    def strike(self, call: Call) -> list[Fault]:
        """The faults that befall this call, counted: slow ones, and at most one that fails it."""
        found: list[Fault] = []
        if self.agent not in call.agent:
            return found
        with self._lock:
            for fault in self.active:
                if any(other.code for other in found) and fault.code:
                    continue
                if call.matches(fault.service, fault.operation) and self._befalls(fault, call):
                    fault.hits += 1
                    found.append(fault)
        return found

    def _befalls(self, fault: Fault, call: Call) -> bool:
        if fault.times is not None and fault.hits >= fault.times:
            return False
        if fault.rate < 1.0 and self._random.random() >= fault.rate:
            return False
        if fault.once_each:
            key = f"{call.operation} {json.dumps(call.params, sort_keys=True, default=str)}"
            if key in fault._seen:
                return False
            fault._seen.add(key)
        if fault.skip > 0:
            fault.skip -= 1
            return False
        return True
