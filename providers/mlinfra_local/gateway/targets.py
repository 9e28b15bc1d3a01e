"""Which target takes the next request: by weight among the healthy ones, or by a caller's key. Sends no request itself."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass, field

from .config import Config, TargetConfig


@dataclass(eq=False)
class Target:
    """A target and how it does. ``healthy`` is None until it was asked once."""

    config: TargetConfig
    healthy: bool | None = None
    failures: int = 0
    turn: float = 0.0
    """Its place in the smooth weighted round robin."""
    _ill: asyncio.Event = field(default_factory=asyncio.Event)

    async def rest(self, seconds: float) -> bool:
        """Wait before its health is asked again. False, and sooner, if a request finds meanwhile that it does not answer."""
        self._ill.clear()
        try:
            await asyncio.wait_for(self._ill.wait(), seconds)
        except TimeoutError:
            return True
        return False

    def fell_ill(self) -> None:
        """Have its health asked again soon."""
        self._ill.set()


class Pool:
    """The targets of the configuration in force."""

    def __init__(self) -> None:
        self.config = Config()
        self.targets: list[Target] = []
        self._changed = asyncio.Event()

    def use(self, config: Config) -> None:
        """Take over a configuration. Targets that stay keep what is known of them."""
        known = {(target.config.name, target.config.url): target for target in self.targets}
        targets = []
        for item in config.targets:
            target = known.get((item.name, item.url)) or Target(item)
            target.config = item
            target.turn = 0.0
            targets.append(target)
        self.config, self.targets = config, targets
        self.wake()

    def mark(self, target: Target, answered: bool, *, at_once: bool = False) -> None:
        """Note how a check or a request ended. ``at_once``: there is no doubt, as when its connection is refused."""
        before = target.healthy
        target.failures = 0 if answered else target.failures + 1
        if answered:
            target.healthy = True
        elif at_once or before is not True or target.failures >= self.config.health.failures:
            target.healthy = False
        if target.healthy != before:
            target.turn = 0.0
            if before:
                target.fell_ill()
            self.wake()

    def wake(self) -> None:
        """Have those look again who wait for a target."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, timeout: float) -> None:
        """Wait for a change, but not longer than ``timeout`` seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout)

    def shadows(self) -> list[Target]:
        """The healthy targets that get copies."""
        return [target for target in self.targets if target.config.shadow and target.healthy]

    def hopeless(self) -> bool:
        """Whether no target could ever take a request under this configuration."""
        return bool(self.targets) and not any(t.config.weight and not t.config.shadow for t in self.targets)

    def pick(self, key: str | None, without: Collection[Target] = ()) -> Target | None:
        """The target for the next request, or None while none is healthy. One of weight 0 is never picked."""
        able = [
            target
            for target in self.targets
            if target.config.weight and not target.config.shadow and target.healthy and target not in without
        ]
        if not able:
            return None
        if key is not None:
            return max(able, key=lambda target: _affinity(key, target.config))
        total = 0
        for target in able:
            target.turn += target.config.weight
            total += target.config.weight
        best = max(able, key=lambda target: target.turn)
        best.turn -= total
        return best


def _affinity(key: str, target: TargetConfig) -> float:
    """Weighted rendezvous: the same key finds the same target, and as many keys a target as its weight says."""
    number = int.from_bytes(hashlib.blake2b(f"{target.name}\0{key}".encode(), digest_size=8).digest(), "big")
    # Half a step up: neither 0 nor, by rounding, 1, whose logarithms cannot be divided by.
    return -target.weight / math.log((number / 2**11 + 0.5) / 2**53)
