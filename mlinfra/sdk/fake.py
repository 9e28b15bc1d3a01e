"""A provider in memory: for tests of the engine, for benchmarks, and as the smallest complete example of a provider.

Its world is an object that a test holds: it can look into it, change things behind mlinfra's back, and make calls fail.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from mlinfra.sdk.discovery import Found, Scope
from mlinfra.sdk.errors import NotOurs, ProviderError, Unreachable
from mlinfra.sdk.fields import COMPUTED, OWNED, REPLACE, SECRET, UNORDERED, VOLATILE
from mlinfra.sdk.provider import Place, Provider
from mlinfra.sdk.refs import slot
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, RunResult
from mlinfra.sdk.workload import Job, JobHandle, Route, RouteHandle, Service, ServiceHandle, Volume, VolumeHandle


@dataclass
class World:
    """What is really there. ``objects`` maps an id to its fields; ``calls`` lists (verb, id) of every call that changes
    something; ``before`` and ``after`` are called around each such call with its verb and id and may raise."""

    objects: dict[str, Fields] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    before: Callable[[str, str], None] = lambda verb, object_id: None
    after: Callable[[str, str], None] = lambda verb, object_id: None
    unreachable: set[str] = field(default_factory=set)
    reads: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    generation: int = 0

    def next_generation(self) -> int:
        """A number that was not given before."""
        with self.lock:
            self.generation += 1
            return self.generation


class FakeResource(Resource):
    """What all types of this provider have in common: an object with a name, made and removed in one call each."""

    name: Annotated[str, REPLACE]
    generation: Annotated[int | None, VOLATILE] = None

    def object_id(self) -> str:
        """The id under which the world holds it."""
        return f"{self.type}:{self.name}"

    def _fields(self, world: World) -> Fields:
        fields = {k: v for k, v in self.model_dump(mode="json").items() if v not in (None, {}, [])}
        return {**fields, "generation": world.next_generation()}

    @classmethod
    def read_many(cls, client: World, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        client.reads += 1
        found: dict[str, Fields | Unreachable | None] = {}
        for item in known:
            live = client.objects.get(item.id)
            if item.id in client.unreachable:
                found[item.address] = Unreachable(f"{item.id} does not answer")
            else:
                found[item.address] = None if live is None else {k: v for k, v in live.items() if k != "owner"}
        return found

    def locate(self, client: World, op: Operation) -> str | None:
        if self.object_id() in client.unreachable:
            raise Unreachable(f"{self.object_id()} does not answer")
        live = client.objects.get(self.object_id())
        return self.object_id() if live is not None and live["owner"] == op.owner else None

    def create(self, client: World, op: Operation) -> Created:
        client.before("create", self.object_id())
        client.calls.append(("create", self.object_id()))
        existing = client.objects.get(self.object_id())
        if existing is not None and existing["owner"] != op.owner and not op.adopt:
            raise NotOurs(
                f"{self.object_id()} exists and is not ours", remedy=f"Take it over with --adopt {op.address}."
            )
        fields = self._fields(client)
        client.objects[self.object_id()] = {**fields, "owner": op.owner}
        client.after("create", self.object_id())
        return Created(self.object_id(), fields)

    def update(self, client: World, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields:
        client.before("update", known.id)
        client.calls.append(("update", known.id))
        if known.id not in client.objects:
            raise ProviderError(f"{known.id} is gone")
        fields = self._fields(client)
        client.objects[known.id] = {**fields, "owner": op.owner}
        client.after("update", known.id)
        return fields

    @classmethod
    def delete(cls, client: World, known: Known, op: Operation) -> None:
        client.before("delete", known.id)
        client.calls.append(("delete", known.id))
        client.objects.pop(known.id, None)
        client.after("delete", known.id)


class Thing(FakeResource):
    """An object with a field of every policy."""

    type: ClassVar[str] = "fake.thing"

    size: int = 1
    tags: dict[str, str] = {}
    zones: Annotated[list[str], UNORDERED] = []
    uses: list[str] = []
    password: Annotated[str | None, SECRET] = None
    replicas: Annotated[int | None, OWNED] = None
    url: Annotated[str | None, COMPUTED] = None

    def _fields(self, world: World) -> Fields:
        return {**super()._fields(world), "url": f"fake://{self.name}"}


class Twin(Thing):
    """A thing whose successor can exist beside it, if it has another name."""

    type: ClassVar[str] = "fake.twin"

    @classmethod
    def beside(cls, changes: Sequence[FieldChange]) -> bool:
        return any(change.path == "name" for change in changes)


class Store(FakeResource):
    """An object that holds data: as many rows as the world says."""

    type: ClassVar[str] = "fake.store"
    holds_data: ClassVar[bool] = True

    rows: Annotated[int | None, COMPUTED] = None

    @classmethod
    def would_lose(cls, client: World, known: Known) -> str | None:
        rows = client.objects.get(known.id, {}).get("rows")
        return f"{rows} rows" if rows else None


class Alias(FakeResource):
    """A name for a version of something: made by a job or by a person, never by mlinfra, which only restores it."""

    type: ClassVar[str] = "fake.alias"
    external: ClassVar[bool] = True

    version: Annotated[int | None, OWNED] = None

    def locate(self, client: World, op: Operation) -> str | None:
        return self.object_id() if self.object_id() in client.objects else None


class FakeJob(FakeResource):
    """A job whose run makes the alias that ``makes`` names, or gives it its next version."""

    type: ClassVar[str] = "fake.job"

    makes: str = ""

    def run(self, client: World, known: Known, op: Operation) -> RunResult:
        client.before("run", known.id)
        client.calls.append(("run", known.id))
        object_id = f"fake.alias:{self.makes}"
        version = client.objects.get(object_id, {}).get("version", 0) + 1
        client.objects[object_id] = {"name": self.makes, "version": version, "owner": {}}
        client.after("run", known.id)
        return RunResult(True, outputs={"version": version})


class FakeRuntime:
    """Realises every workload as a `Thing`, so that recipes of tools can be tried without anything running."""

    capabilities: frozenset[str] = frozenset()

    def __init__(self, place: Place) -> None:
        self.place = place

    def volume(self, volume: Volume, lowering: Any) -> VolumeHandle:
        handle = lowering.resource("fake.thing", volume.name, {"name": f"{lowering.component}-{volume.name}"})
        return VolumeHandle(handle.address, f"/fake/{volume.name}", handle.ref("url"))

    def service(self, service: Service, lowering: Any) -> ServiceHandle:
        handle = lowering.resource(
            "fake.thing", service.name, {"name": f"{lowering.component}-{service.name}"}, after=service.after
        )
        return ServiceHandle(handle.address, {port: handle.ref("url") for port in service.ports})

    def job(self, job: Job, lowering: Any) -> JobHandle:
        handle = lowering.resource("fake.job", job.name, {"name": f"{lowering.component}-{job.name}"}, after=job.after)
        return JobHandle(handle.address, (slot("python"),))

    def route(self, route: Route, lowering: Any) -> RouteHandle:
        targets = [target.service.address for target in route.targets]
        handle = lowering.resource(
            "fake.thing", route.name, {"name": f"{lowering.component}-{route.name}"}, after=targets
        )
        return RouteHandle(handle.address, handle.ref("url"))


def discover(client: World, scope: Scope) -> Iterator[Found]:
    """What carries the tags of an environment; newer objects have larger generations."""
    for object_id, live in list(client.objects.items()):
        if scope.mine(live["owner"]):
            made = f"{live['generation']:08d}"
            yield Found(object_id.partition(":")[0], object_id, live["owner"]["mlinfra:address"], made)


def provider(world: World) -> Provider:
    """The provider whose live objects are in ``world``."""
    return Provider(
        name="fake",
        version="1",
        resources={
            "fake.thing": "mlinfra.sdk.fake:Thing",
            "fake.twin": "mlinfra.sdk.fake:Twin",
            "fake.store": "mlinfra.sdk.fake:Store",
            "fake.alias": "mlinfra.sdk.fake:Alias",
            "fake.job": "mlinfra.sdk.fake:FakeJob",
        },
        runtime="mlinfra.sdk.fake:FakeRuntime",
        connect=lambda place: world,
        discover="mlinfra.sdk.fake:discover",
        about="objects in memory, for tests",
    )
