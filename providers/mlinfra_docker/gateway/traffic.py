"""Who gets which share of a route's requests: targets, the containers that answer for each, and a mixture of old and new ones
while a rollout is under way. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

SHORT: Final = 12
"""Characters of a container's id under which the engine's name server knows it."""
FULL: Final = 64
SETTLED: Final = "settled"
"""The phase of a route that is what it shall be."""


class RoutePart(BaseModel):
    """A part of a route's fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RouteTarget(RoutePart):
    """One service behind a route. Weights are relative; 0 gets no request; a shadow gets copies only."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    port: int = Field(ge=1, le=65535)
    weight: int = Field(100, ge=0)
    shadow: bool = False


class RouteHealth(RoutePart):
    """How each server is asked whether it can answer: any answer below 400. Times are seconds."""

    path: str = Field("/health", pattern=r"^/[!-~]*$")
    every: float = Field(5.0, gt=0)
    timeout: float = Field(2.0, gt=0)
    failures: int = Field(3, ge=1)


class RouteRollout(RoutePart):
    """How containers that take the place of others come to answer: their shares in percent, how many seconds each is watched,
    and what ends it."""

    steps: list[int] = Field(min_length=1)
    bake: float = Field(ge=0)
    error_rate: float | None = None
    latency: float | None = None
    """Seconds within which 95 % of the answers must come."""


@dataclass(frozen=True, slots=True)
class Canary:
    """Containers that are on the way to take a target over, and their share of its requests in percent."""

    servers: tuple[str, ...]
    percent: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Where requests go. ``servers`` are ids of containers by target, ``canary`` those that are on the way."""

    targets: tuple[RouteTarget, ...]
    servers: Mapping[str, tuple[str, ...]]
    canary: Mapping[str, Canary] = field(default_factory=dict)

    def used(self) -> frozenset[str]:
        """The ids of all containers that may get a request or a copy."""
        groups = [*self.servers.values(), *(canary.servers for canary in self.canary.values())]
        return frozenset(server for group in groups for server in group)

    def shares(self) -> list[Share]:
        """What each container that answers gets, in the order of the targets."""
        found: list[Share] = []
        for target in self.targets:
            if target.shadow:
                continue
            canary = self.canary.get(target.name)
            new = canary.percent / 100 if canary else 0.0
            found += _split(target, self.servers.get(target.name, ()), target.weight * (1 - new))
            if canary:
                found += _split(target, canary.servers, target.weight * new)
        return found

    def to_json(self) -> dict[str, Any]:
        """JSON values that `from_json` understands."""
        return {
            "targets": [target.model_dump() for target in self.targets],
            "servers": {name: list(ids) for name, ids in self.servers.items()},
            "canary": {
                name: {"servers": list(canary.servers), "percent": canary.percent}
                for name, canary in self.canary.items()
            },
        }

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Traffic:
        """The inverse of `to_json`.

        Errors: KeyError, TypeError or ValueError for what is no traffic.
        """
        return cls(
            tuple(RouteTarget.model_validate(target) for target in told["targets"]),
            {name: tuple(ids) for name, ids in told["servers"].items()},
            {name: Canary(tuple(canary["servers"]), int(canary["percent"])) for name, canary in told["canary"].items()},
        )


@dataclass(frozen=True, slots=True)
class Share:
    """One container behind a route: its name there, where it answers, and its part of the requests."""

    name: str
    target: str
    host: str
    port: int
    part: float


def host(server: str) -> str:
    """The name by which a container is found on its network."""
    return server[:SHORT] if len(server) == FULL else server


def server_name(target: str, server: str) -> str:
    """What a container is called in HAProxy: the target before the last dot."""
    return f"{target}.{host(server)}"


def moving(current: Traffic | None, wanted: Traffic, alive: frozenset[str]) -> dict[str, tuple[str, ...]]:
    """The targets whose containers are all replaced while one of the old ones still answers, with those that answer. What is
    only joined by others, got no requests, or has nobody left that could go on answering, needs no rollout."""
    if current is None:
        return {}
    before = {target.name: target for target in current.targets}
    found: dict[str, tuple[str, ...]] = {}
    for target in wanted.targets:
        was = before.get(target.name)
        new = frozenset(wanted.servers.get(target.name, ()))
        old = tuple(server for server in current.servers.get(target.name, ()) if server in alive)
        if was is None or was.shadow or target.shadow or not was.weight or not target.weight:
            continue
        if old and new and not new & frozenset(old):
            found[target.name] = old
    return found


def mixture(wanted: Traffic, old: Mapping[str, tuple[str, ...]], percent: int) -> Traffic:
    """The traffic with ``percent`` of the targets in ``old`` at their new containers and the rest at the old ones."""
    canary = {name: Canary(wanted.servers[name], percent) for name in old}
    return replace(wanted, servers={**wanted.servers, **old}, canary=canary)


def before(wanted: Traffic, old: Mapping[str, tuple[str, ...]]) -> Traffic:
    """The traffic with the targets in ``old`` at their old containers alone."""
    return replace(wanted, servers={**wanted.servers, **old}, canary={})


def _split(target: RouteTarget, servers: Sequence[str], part: float) -> list[Share]:
    return [
        Share(server_name(target.name, server), target.name, host(server), target.port, part / len(servers))
        for server in servers
    ]
