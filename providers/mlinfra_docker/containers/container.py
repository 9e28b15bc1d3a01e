"""`docker.container`: a program on an engine, with what it needs. Limits, restart policy, networks, name and live files change
in place; all else makes it anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from mlinfra.kinds.units import Bytes, Cpu
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, SECRET, UNORDERED, VOLATILE, WRITE_ONLY, keyed_by
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, Status
from mlinfra_docker import labels as own
from mlinfra_docker.containers import container_body as body
from mlinfra_docker.containers import container_run as run
from mlinfra_docker.containers.container_files import Placed, secrets
from mlinfra_docker.containers.container_parts import (
    Endpoint,
    FileText,
    Healthcheck,
    LiveFile,
    Mount,
    Pairs,
    Ports,
    RestartPolicy,
    Words,
    absolute,
    capability,
    endpoints,
    paths,
)
from mlinfra_docker.containers.reading import read_containers
from mlinfra_docker.failures import EngineError, told
from mlinfra_docker.images.image import pull, remove_superseded

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

LIMITS = frozenset({"memory", "memory_swap", "cpus", "cpu_shares", "cpuset_cpus", "pids_limit"})


class DockerContainer(Resource):
    """A program on an engine, with what it needs.

    Example::

        resource:
          cache:
            type: docker.container
            name: fraud-ci-cache
            image: redis:7
            ports: { "6379": 16379 }
            memory: 256Mi
            restart_policy: unless-stopped
    """

    type: ClassVar[str] = "docker.container"

    name: str = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
    image: Annotated[str, REPLACE]
    """The name or id of an image; pulled if it is not there. ``${resource.NAME.id}`` follows a docker.image."""
    command: Annotated[Words, REPLACE] = []
    """What to run, or its arguments if there is an entrypoint; the image's own if left out."""
    entrypoint: Annotated[Words, REPLACE] = []
    environment: Annotated[Pairs, REPLACE] = {}
    user: Annotated[str | None, REPLACE] = None
    """Name or number, with a group after a colon if need be; the image's own if left out."""
    working_dir: Annotated[str | None, REPLACE] = None
    hostname: Annotated[str | None, REPLACE] = None
    labels: Annotated[Pairs, REPLACE] = {}
    ports: Annotated[Ports, REPLACE] = {}
    """Published ports: ``"80": 8080`` reaches its port 80 at 127.0.0.1:8080. Other machines reach it with host_ip 0.0.0.0 only."""
    mounts: Annotated[list[Mount], REPLACE, keyed_by("target")] = []
    tmpfs: Annotated[dict[str, str], REPLACE] = {}
    """Folders in memory: path → options such as ``size=64m``."""
    files: Annotated[dict[str, FileText], REPLACE, WRITE_ONLY] = {}
    """Files that are put into it before it starts, by path: their text, or ``content`` and ``mode``."""
    live_files: Annotated[dict[str, LiveFile], WRITE_ONLY] = {}
    """The same for files that the program reads again: a change puts them in and sends ``signal``, and nothing restarts."""
    secrets: Annotated[dict[str, str], REPLACE, SECRET, WRITE_ONLY] = {}
    """Secrets, each the file ``/run/secrets/<name>``, which only the container's user can read."""
    networks: Annotated[list[Endpoint], keyed_by("name")] = []
    """The networks that it is on, by name or with aliases; the engine's default one if left out."""
    network_mode: Annotated[Literal["host", "none"] | None, REPLACE] = None
    memory: Bytes | None = None
    memory_swap: Bytes | None = None
    """Memory and swap together; twice the memory if left out."""
    cpus: Cpu | None = None
    cpu_shares: int | None = Field(None, ge=2)
    cpuset_cpus: str | None = None
    pids_limit: int | None = Field(None, ge=1)
    shm_size: Annotated[Bytes | None, REPLACE] = None
    gpus: Annotated[int | Literal["all"] | None, REPLACE] = None
    restart_policy: RestartPolicy | None = None
    healthcheck: Annotated[Healthcheck | None, REPLACE] = None
    """With it, the container counts as made when it is healthy."""
    read_only: Annotated[bool, REPLACE] = False
    """Whether its root cannot be written. Folders of its files and secrets then are volumes, which go with it."""
    init: Annotated[bool | None, REPLACE] = None
    """Whether a small init passes signals on and reaps children."""
    cap_add: Annotated[list[str], REPLACE, UNORDERED] = []
    cap_drop: Annotated[list[str], REPLACE, UNORDERED] = []
    extra_hosts: Annotated[dict[str, str], REPLACE] = {}
    """Names that it resolves besides those of its networks: name → address, or ``host-gateway``."""
    stop_signal: Annotated[str | None, REPLACE] = None
    stop_timeout: Annotated[int | None, REPLACE] = Field(None, ge=0)
    """Seconds to end by itself before it is killed; the engine's 10 if left out."""
    running: bool = True
    id: Annotated[str | None, COMPUTED] = None
    image_id: Annotated[str | None, COMPUTED] = None
    """The image that it really runs."""
    bound: Annotated[dict[str, int], VOLATILE] = {}
    """The number under which each published port is reached: ``80/tcp`` → 8080."""
    urls: Annotated[dict[str, str], VOLATILE] = {}
    ip_addresses: Annotated[dict[str, str], VOLATILE] = {}
    """Its address on each network."""
    inspected_at: Annotated[str | None, VOLATILE] = None
    """The engine's time when all of it was last read."""

    @field_validator("labels")
    @classmethod
    def _allowed(cls, value: dict[str, str]) -> dict[str, str]:
        return dict(own.allowed(value))

    @field_validator("files", "live_files", "tmpfs")
    @classmethod
    def _paths(cls, value: dict[str, Any]) -> dict[str, Any]:
        return paths(value)

    @field_validator("working_dir")
    @classmethod
    def _absolute(cls, value: str | None) -> str | None:
        return value if value in (None, "/") else absolute(str(value))

    @field_validator("cap_add", "cap_drop")
    @classmethod
    def _capability(cls, value: list[str]) -> list[str]:
        return capability(value)

    @field_validator("networks", mode="before")
    @classmethod
    def _endpoints(cls, value: Any) -> Any:
        return endpoints(value)

    @field_validator("secrets")
    @classmethod
    def _secret_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if absolute(f"/{name}") != f"/{name}" or "/" in name:
                raise ValueError(f"{name!r} cannot be the name of a file")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.network_mode is not None and (self.networks or self.ports):
            raise ValueError(f"network_mode {self.network_mode} leaves no room for networks or ports")
        if self.memory_swap is not None and (self.memory is None or self.memory_swap < self.memory):
            raise ValueError("memory_swap needs a memory that is not larger")
        twice = sorted(self.files.keys() & self.live_files.keys())
        if twice:
            raise ValueError(f"{twice[0]} is in files and in live_files")
        return self

    def placed(self) -> list[Placed]:
        """All files that are put into it."""
        texts = {**self.files, **self.live_files}
        plain = [Placed(path, text.content, int(text.mode, 8)) for path, text in sorted(texts.items())]
        return plain + secrets(self.secrets)

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def read_many(cls, client: DockerClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return read_containers(client, known, cls._whole)

    @classmethod
    def _whole(cls, fields: Mapping[str, Any]) -> bool:
        """Whether fields are all that an inspect call told: some kept as a fingerprint of a secret are not."""
        if not fields.get("inspected_at"):
            return False
        try:
            cls.model_validate(fields)
        except ValidationError:
            return False
        return True

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        rows = client.api.containers(all=True, filters=own.filters(op.owner))
        return next((str(row["Id"]) for row in rows if row["State"] != "removing"), None)

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, client: DockerClient, op: Operation) -> Created:
        wanted = body.create(self, op.owner)
        with told(client.host, f"the container {self.name} cannot be made"):
            for _ in range(run.TRIES):
                try:
                    return Created(client.api.ask("POST", "/containers/create", body=wanted, name=self.name)["Id"])
                except EngineError as error:
                    if error.gone and "no such image" in error.said.lower():
                        op.say(f"pulling {self.image}")
                        pull(client, self.image)
                    elif error.status == 409 and "already in use" in error.said:
                        found = self._there(client, op, wanted["Labels"][own.SHAPE])
                        if found is not None:
                            return Created(found)
                    else:
                        raise
                op.wait(run.POLL)
        raise ProviderError(
            f"the name {self.name} is taken by a container that cannot be found",
            remedy="Wait until the engine is done with it, then apply again.",
        )

    def _there(self, client: DockerClient, op: Operation, shape: str) -> str | None:
        """The container that has the name, if it can be taken as made; None if the name should be free now, or soon.

        Errors: NotOurs.
        """
        try:
            found = client.api.inspect_container(self.name)
        except EngineError as error:
            if not error.gone:
                raise
            return None  # a create that was cut off is still at work, or a removal
        labels = found["Config"]["Labels"]
        if op.adopt:
            return str(found["Id"])
        if not own.ours(labels, op.owner):
            raise own.not_ours(
                f"a container named {self.name}",
                labels,
                op,
                adopting="it runs on as it is; the next plan tells what differs",
            )
        if labels.get(own.SHAPE) == shape:
            return str(found["Id"])
        run.remove(client, found["Id"], op)  # ours, of an older blueprint, and the state does not know it
        return None

    def update(
        self, client: DockerClient, known: Known, changes: Sequence[FieldChange], op: Operation
    ) -> Fields | None:
        heads = {change.path.partition(".")[0] for change in changes}
        with told(client.host, f"the container {self.name} cannot be changed"):
            if "name" in heads:
                client.api.rename(known.id, self.name)
            if heads & LIMITS or "restart_policy" in heads:
                self._limit(client, known.id, changes)
            if "networks" in heads:
                run.connect(client, known.id, self.networks or [Endpoint(name=body.DEFAULT_NETWORK)], exactly=True)
            if "live_files" in heads:
                self._put(client, known.id, changes)
            if "running" in heads:
                if self.running:
                    run.start(client, known.id, self)
                else:
                    client.api.stop(known.id)
        return None

    def _limit(self, client: DockerClient, container: str, changes: Sequence[FieldChange]) -> None:
        heads = {change.path.partition(".")[0] for change in changes}
        reset = sorted(name for name in heads & LIMITS if getattr(self, name) is None)
        wanted = body.resources(self, reset, client.machine()) if heads & LIMITS else {}
        if "restart_policy" in heads:
            wanted["RestartPolicy"] = body.restart(self)
        client.api.ask("POST", f"/containers/{container}/update", body=wanted)

    def _put(self, client: DockerClient, container: str, changes: Sequence[FieldChange]) -> None:
        """Put live files in again and tell the program. A file that left the blueprint cannot be taken out."""
        gone = [
            c.path.removeprefix("live_files.") for c in changes if c.path.startswith("live_files.") and c.new is None
        ]
        gone = [
            path
            for path in gone
            if path.rpartition(".")[2] not in LiveFile.model_fields and path not in self.live_files
        ]
        if gone or any(change.path == "live_files" and not self.live_files for change in changes):
            raise ProviderError(
                f"a file cannot be taken out of a container that runs ({', '.join(gone) or 'live_files'})",
                remedy="Have the container made anew: mlinfra apply --replace ADDRESS.",
            )
        run.put(client, container, self)
        moved = {change.path for change in changes}
        signals = {
            file.signal
            for path, file in self.live_files.items()
            if file.signal and any(p == "live_files" or p.startswith(f"live_files.{path}") for p in moved)
        }
        for signal in sorted(signals):
            client.api.kill(container, signal)

    @classmethod
    def ready(cls, client: DockerClient, known: Known, op: Operation) -> None:
        spec = cls.model_validate(known.fields)
        if spec.running:
            run.start(client, known.id, spec)
            run.wait_until_well(client, known.id, spec.name, op)
        else:
            run.complete(client, known.id, spec)

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        run.remove(client, known.id, op)
        if str(known.fields.get("image", "")).startswith("sha256:"):
            remove_superseded(client, str(known.fields["image"]))

    # -- telling ------------------------------------------------------------------------------------------------------

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        told: list[str] = []
        for change in changes:
            if change.path == "running":
                told.append("stopped → start" if change.new else "running → stop")
            elif change.path == "networks" and isinstance(change.old, list) and isinstance(change.new, list):
                before, after = _names(change.old), _names(change.new)
                told += [f"not on {name} → connect" for name in sorted(after - before)]
                told += [f"on {name} → disconnect" for name in sorted(before - after)]
                if before == after:
                    return None
            else:
                return None
        return ", ".join(told) or None

    @classmethod
    def status(cls, client: DockerClient, known: Known) -> Status | None:
        try:
            found = client.api.inspect_container(known.id)
        except EngineError as error:
            if error.gone:
                return Status("stopped", "removed outside mlinfra")
            raise
        return run.status(found)

    @classmethod
    def logs(cls, client: DockerClient, known: Known, *, tail: int, follow: bool) -> Iterator[str]:
        with told(client.host, f"the log of {known.address} cannot be read"):
            yield from run.lines(client.api.logs(known.id, stream=True, follow=follow, tail=tail))


def _names(items: Sequence[Any]) -> set[str]:
    return {str(item["name"]) for item in items}
