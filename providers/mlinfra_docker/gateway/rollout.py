"""A rollout: new containers get more and more of their target's requests, are watched at each step, and lose them again if they
do badly. Each step is in the gateway's file before it is in force, so a run that is cut off leaves a mixture that can be read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Operation
from mlinfra_docker.gateway.control import Count
from mlinfra_docker.gateway.traffic import RouteRollout, Traffic, before, mixture, server_name

LOOK: Final = 1.0
"""Seconds between two looks at the counts."""
ENOUGH: Final = 20
"""Requests after which a share of them says something before the step is over."""
SLOW: Final = 0.05
"""The share of answers that may take longer than the latency that is asked for: it is one for 95 % of them."""
DOWN: Final = 3
"""Looks in a row at which a server fails its health checks until it counts."""
TELL: Final = 10.0
"""Seconds between two lines about one step."""

Put = Callable[[Traffic], None]
Look = Callable[[], Mapping[str, Count] | None]


@dataclass(frozen=True, slots=True)
class Seen:
    """What the new containers of one target did within a step."""

    requests: int = 0
    failed: int = 0
    slow: int = 0

    @classmethod
    def of(cls, counts: Iterable[Count]) -> Seen:
        """The sum of some containers' counts."""
        found = list(counts)
        return cls(sum(c.requests for c in found), sum(c.failed for c in found), sum(c.slow for c in found))

    def told(self) -> str:
        """``120 requests, 0 errors``."""
        errors = "1 error" if self.failed == 1 else f"{self.failed} errors"
        return f"{self.requests} request{'' if self.requests == 1 else 's'}, {errors}"


def failing(seen: Seen, limits: RouteRollout, *, over: bool) -> str | None:
    """Why a step must not go on, or None. ``over``: its time has passed, so that also few requests count."""
    if not seen.requests or (seen.requests < ENOUGH and not over):
        return None
    if limits.error_rate is not None and seen.failed / seen.requests > limits.error_rate:
        return (
            f"{seen.failed} of {seen.requests} requests failed "
            f"({_percent(seen.failed / seen.requests)}, more than {_percent(limits.error_rate)})"
        )
    if limits.latency is not None and seen.slow / seen.requests > SLOW:
        return (
            f"{seen.slow} of {seen.requests} answers took longer than {limits.latency:g} s "
            f"({_percent(seen.slow / seen.requests)}, more than {_percent(SLOW)})"
        )
    return None


def roll_out(
    wanted: Traffic,
    old: Mapping[str, tuple[str, ...]],
    current: Traffic,
    limits: RouteRollout,
    *,
    put: Put,
    look: Look,
    op: Operation,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Take the targets in ``old`` from their old containers to those in ``wanted``, step by step. Afterwards all of their
    requests are at the new ones; the old ones are still there. A step that a run before was cut off in is watched anew.

    Errors: ProviderError with the reason after all requests are back at the old ones; Cancelled, leaving the step as it is.
    """
    for percent in _steps(limits.steps, wanted, old, current):
        put(mixture(wanted, old, percent))
        why = _watch(wanted, old, percent, limits, look, op, clock)
        if why is not None:
            put(before(wanted, old))
            op.say(f"rolled back: {why}")
            raise ProviderError(
                f"rolled back at {percent} %: {why}",
                remedy=f"What served before goes on serving. `mlinfra logs {op.address.partition('/')[0]}` tells more; "
                "mend it, then apply again.",
            )


def _steps(
    steps: Iterable[int], wanted: Traffic, old: Mapping[str, tuple[str, ...]], current: Traffic
) -> Iterable[int]:
    """The steps that are left: from the one that the same containers had reached, if a run was cut off."""
    reached = [
        current.canary[name].percent
        for name in old
        if name in current.canary and current.canary[name].servers == wanted.servers[name]
    ]
    least = min(reached) if len(reached) == len(old) else 0
    return [step for step in steps if step >= least]


def _watch(
    wanted: Traffic,
    old: Mapping[str, tuple[str, ...]],
    percent: int,
    limits: RouteRollout,
    look: Look,
    op: Operation,
    clock: Callable[[], float],
) -> str | None:
    """Look at the new containers until the step's time has passed; the reason if one of them does badly."""
    began, told = clock(), 0.0
    ill: dict[str, int] = {}
    while True:
        waited = clock() - began
        over = waited >= limits.bake
        counts = look()
        if counts is not None:
            lines = []
            for name in old:
                servers = [server_name(name, server) for server in wanted.servers[name]]
                seen = Seen.of(counts[server] for server in servers if server in counts)
                lines.append(f"{name} canary {percent} %: {seen.told()}")
                why = failing(seen, limits, over=over)
                for server in servers:
                    ill[server] = ill.get(server, 0) + 1 if counts.get(server, Count()).down else 0
                    if ill[server] >= DOWN:
                        why = why or "it fails its health checks"
                if why is not None:
                    return f"{name}: {why}"
            if over or waited >= told + TELL:
                told = waited
                rest = "" if over else f" ({waited:.0f} of {limits.bake:.0f} s)"
                op.say("; ".join(lines) + rest)
            if over:
                return None
        op.wait(LOOK)


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
