"""`docker.route`: what a gateway does with requests. It is a file in the gateway's container, put in anew and reloaded, so that a
change loses no request; containers that take the place of others come to answer step by step if a rollout is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field

from mlinfra.sdk.fields import REPLACE, keyed_by
from mlinfra.sdk.refs import UNKNOWN
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, Status
from mlinfra_docker import labels as own
from mlinfra_docker.containers import container_run as run
from mlinfra_docker.failures import told
from mlinfra_docker.gateway import control
from mlinfra_docker.gateway.haproxy import Settings, configuration, noted
from mlinfra_docker.gateway.rollout import roll_out
from mlinfra_docker.gateway.traffic import SETTLED, RouteHealth, RouteRollout, RouteTarget, Traffic, moving

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

HOW: Final = frozenset({"health", "sticky", "timeout", "hold", "repeat", "metrics", "rollout"})
"""Fields whose names tell by themselves what changes."""


class DockerRoute(Resource):
    """Weights, health checks, shadows and rollouts of a gateway.

    Example::

        resource:
          weights:
            type: docker.route
            name: shop-ci-gateway
            gateway: ${resource.gateway.id}
            port: 8080
            targets: [{ name: a, port: 80, weight: 90 }, { name: b, port: 80, weight: 10 }]
            servers: { a: ["${resource.a.id}"], b: ["${resource.b.id}"] }
    """

    type: ClassVar[str] = "docker.route"

    name: Annotated[str, REPLACE]
    """The name of the gateway's container."""
    gateway: str
    """Its id: a new one has to be told anew."""
    port: int = Field(ge=1, le=65535)
    """Where it listens in its container."""
    targets: Annotated[list[RouteTarget], keyed_by("name")]
    servers: dict[str, list[str]]
    """The ids of the containers that answer for each target."""
    health: RouteHealth = Field({}, validate_default=True)
    sticky: str | None = Field(None, pattern=r"^[A-Za-z0-9-]+$")
    """A request header whose value keeps a caller on one server."""
    timeout: float = Field(60.0, gt=0)
    """Seconds that a server may take to answer."""
    hold: float = Field(60.0, ge=0)
    """Seconds that a request waits while no server can take it."""
    repeat: bool = False
    """Whether a request that a server left unanswered is sent again whatever its method."""
    metrics: str | None = Field(None, pattern=r"^/[!-~]*$")
    """The path at which servers tell Prometheus metrics: there the gateway tells those of all."""
    rollout: RouteRollout | None = None
    """How containers that replace all of a target's come to answer; at once if left out."""
    phase: str = SETTLED
    """``settled``, or what a rollout that was cut off left."""

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, client: DockerClient, known: Known) -> Fields | None:
        name = known.id
        with told(client.host, f"the gateway {name} cannot be read"):
            text = control.read(client, name)
            if text is None:
                return None
            note = noted(text)
            try:
                traffic = Traffic.from_json(note["traffic"])
                spec = cls.model_validate({**note["route"], **_plain(traffic)})
                written = spec._text(traffic)
            except (KeyError, TypeError, ValueError):
                return {"name": name, "phase": "told nothing yet"}
            phase = spec._phase(traffic)
            if written != text:
                phase = "its file was changed"
        return {**spec.model_dump(mode="json"), "phase": phase}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        return self.name if control.read(client, self.name) is not None else None

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, client: DockerClient, op: Operation) -> Created:
        """Of a gateway that has traffic already the state was lost: what served there is known to nobody any more, so it goes."""
        before = _traffic(control.read(client, self.name))
        self._bring(client, op)
        if before is not None:
            control.drain(client, self.name, self._settings().longest, op)
            ours = {str(row["Id"]) for row in client.api.containers(all=True, filters=own.filters(client.owner))}
            left = before.used() - {server for ids in self.servers.values() for server in ids}
            for server in sorted(left & ours):
                run.remove(client, server, op)
        return Created(self.name)

    def update(
        self, client: DockerClient, known: Known, changes: Sequence[FieldChange], op: Operation
    ) -> Fields | None:
        self._bring(client, op)
        return None

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        """Have the gateway send requests nowhere, so that what is behind it may go."""
        with told(client.host, f"the gateway {known.id} cannot be changed"):
            if _traffic(control.read(client, known.id)) is not None:
                spec = cls.model_validate(known.fields)
                control.replace(client, known.id, configuration(Traffic((), {}), spec._settings()))

    def _bring(self, client: DockerClient, op: Operation) -> None:
        """Bring it about, rollout included. A rollout is no part of `ready`: one that was cut off must leave the state as it
        was, so that what served before is kept until the next one is over."""
        wanted = Traffic(tuple(self.targets), {name: tuple(ids) for name, ids in self.servers.items()})
        with told(client.host, f"the gateway {self.name} cannot be changed"):
            if self.rollout is not None:
                current = _traffic(control.read(client, self.name))
                alive = frozenset(str(row["Id"]) for row in client.api.containers(filters=own.filters(client.owner)))
                old = moving(current, wanted, alive)
                if old and current is not None:
                    put, look = self._means(client, op)
                    roll_out(wanted, old, current, self.rollout, put=put, look=look, op=op)
            control.put(client, self.name, self._text(wanted), op)

    @classmethod
    def ready(cls, client: DockerClient, known: Known, op: Operation) -> None:
        """Wait until nothing works by an older file any more: what only that uses is removed next."""
        spec = cls.model_validate(known.fields)
        with told(client.host, f"the gateway {spec.name} cannot be changed"):
            text = control.read(client, spec.name) or ""
            control.settle(client, spec.name, text, op)
            control.drain(client, spec.name, spec._settings().longest, op)

    def _means(
        self, client: DockerClient, op: Operation
    ) -> tuple[Callable[[Traffic], None], Callable[[], Mapping[str, control.Count] | None]]:
        """How a rollout changes the traffic, and how it sees what came of it."""
        text = ""

        def put(traffic: Traffic) -> None:
            nonlocal text
            text = self._text(traffic)
            control.put(client, self.name, text, op)

        def look() -> Mapping[str, control.Count] | None:
            return control.counts(client, self.name, text)

        return put, look

    # -- the file -----------------------------------------------------------------------------------------------------

    def _text(self, traffic: Traffic) -> str:
        route = self.model_dump(mode="json", exclude={"targets", "servers", "phase"})
        return configuration(traffic, self._settings(), {"route": route, "traffic": traffic.to_json()})

    def _settings(self) -> Settings:
        return Settings(
            port=self.port,
            health=self.health,
            sticky=self.sticky,
            timeout=self.timeout,
            hold=self.hold,
            repeat=self.repeat,
            metrics=self.metrics,
            slow=self.rollout.latency if self.rollout else None,
        )

    @staticmethod
    def _phase(traffic: Traffic) -> str:
        steps = {f"{name} {canary.percent} %" for name, canary in traffic.canary.items()}
        return f"canary {', '.join(sorted(steps))}" if steps else SETTLED

    # -- telling ------------------------------------------------------------------------------------------------------

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        told_: list[str] = []
        for change in changes:
            if change.path == "phase":
                if change.old != SETTLED:
                    told_.append(f"{change.old} → {change.new}")
            elif change.path == "targets" and isinstance(change.old, list) and isinstance(change.new, list):
                told_ += _moves(change.old, change.new)
            elif change.path.partition(".")[0] == "servers":
                told_.append("new containers take over" if change.new is UNKNOWN else "other containers answer")
            elif change.path == "gateway":
                told_.append("another gateway")
            elif change.path.partition(".")[0] in HOW:
                told_.append(change.path)
            elif not isinstance(change.old, list):
                return None
        return ", ".join(dict.fromkeys(told_)) or None

    @classmethod
    def status(cls, client: DockerClient, known: Known) -> Status | None:
        fields = cls.read(client, known)
        if fields is None or "targets" not in fields:
            return Status("failed", "the gateway is not there, or was told nothing yet")
        counts = control.counts(client, known.id, control.read(client, known.id) or "")
        if counts is None:
            return Status("failed", "the gateway does not answer")
        ill = sorted({name.rpartition(".")[0] for name, count in counts.items() if count.down and "." in name})
        if ill:
            return Status("failed", f"no answer from a server of {', '.join(ill)}")
        shown = ", ".join(f"{item['name']} {_weight(item)}" for item in fields["targets"])
        return Status("running", shown if fields["phase"] == SETTLED else f"{shown}; {fields['phase']}")


def _traffic(text: str | None) -> Traffic | None:
    """What a gateway with this text does with requests; None if it was told nothing yet."""
    try:
        return Traffic.from_json(noted(text or "")["traffic"])
    except (KeyError, TypeError, ValueError):
        return None


def _plain(traffic: Traffic) -> Fields:
    """The fields of a route that its traffic tells."""
    return {
        "targets": [target.model_dump() for target in traffic.targets],
        "servers": {name: list(ids) for name, ids in traffic.servers.items()},
    }


def _moves(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """``champion 100 → 90``: how each target changes."""
    before, after = {item["name"]: item for item in old}, {item["name"]: item for item in new}
    yield from (f"{name} {_weight(item)} → gone" for name, item in before.items() if name not in after)
    for name, item in after.items():
        was = before.get(name)
        if was is None:
            yield f"{name} joins with {_weight(item)}"
        elif _weight(was) != _weight(item):
            yield f"{name} {_weight(was)} → {_weight(item)}"


def _weight(item: Mapping[str, Any]) -> str:
    return "shadow" if item.get("shadow") else str(item.get("weight", 100))
