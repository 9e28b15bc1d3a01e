"""`docker.job`: something that runs once when it is asked for, in a container made for that run.

The job itself is a description: the engine has nothing of it until it runs. The container of the last run stays, with its log
and its end, until the next one takes its place.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import Field

from mlinfra.kinds.units import Bytes, Cpu
from mlinfra.sdk.fields import REPLACE, SECRET, WRITE_ONLY, keyed_by
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, RunResult, Status
from mlinfra_docker import labels as own
from mlinfra_docker.containers import container_run as run
from mlinfra_docker.containers import job_run
from mlinfra_docker.containers.container import DockerContainer
from mlinfra_docker.containers.container_parts import Endpoint, FileText, Mount, Pairs, Words
from mlinfra_docker.failures import EngineError, told
from mlinfra_docker.folders import source, walk

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

FOLDER: Final = "/mlinfra/work"
"""The working folder of a run, which has the files of its source."""
OWN: Final = ("source", "timeout", "retries")
"""What a container has no field for."""


class DockerJob(Resource):
    """A command that is run in a container by `mlinfra run`, or by a plan that needs what it makes.

    Example::

        resource:
          report:
            type: docker.job
            name: fraud-ci-report
            image: python:3.11-slim
            command: [python3, report.py]
            source: jobs
            memory: 1Gi
            timeout: 600
    """

    type: ClassVar[str] = "docker.job"
    looks_outside: ClassVar[bool] = True

    name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
    """The name of its container."""
    image: str
    command: Words = Field(min_length=1)
    environment: Annotated[Pairs, WRITE_ONLY] = {}
    files: Annotated[dict[str, FileText], WRITE_ONLY] = {}
    """Files that are put into it, by path."""
    secrets: Annotated[dict[str, str], SECRET, WRITE_ONLY] = {}
    """Secrets, each the file ``/run/secrets/<name>``."""
    mounts: Annotated[list[Mount], keyed_by("target")] = []
    networks: Annotated[list[Endpoint], keyed_by("name")] = []
    source: str | None = None
    """A folder, relative to the blueprint's, whose files a run has in its working folder, as they are when it begins."""
    memory: Bytes | None = None
    cpus: Cpu | None = None
    gpus: int | None = None
    cap_drop: list[str] = []
    timeout: float | None = Field(None, gt=0)
    """Seconds that a run may take."""
    retries: int = Field(0, ge=0, le=100)
    """How often a failed run is tried again."""

    @classmethod
    def normalise(cls, fields: Fields, place: Place) -> Fields:
        if fields["source"] is not None:
            source(fields["source"], place, "source")
        return fields

    # -- reading and changing: the description is ours alone ------------------------------------------------------------------

    @classmethod
    def read(cls, client: DockerClient, known: Known) -> Fields | None:
        # Of secrets only fingerprints are known, which are no values to be read.
        return {name: value for name, value in known.fields.items() if name != "secrets"}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        """Nothing on the engine stands for it, so it is there, unless its name is somebody else's."""
        found = _found(client, self.name)
        return self.name if found is None or own.ours(found["Config"]["Labels"], op.owner) else None

    def create(self, client: DockerClient, op: Operation) -> Created:
        found = _found(client, self.name)
        if found is not None and not op.adopt and not own.ours(found["Config"]["Labels"], op.owner):
            raise own.not_ours(
                f"a container named {self.name}", found["Config"]["Labels"], op, adopting="the first run removes it"
            )
        return Created(self.name)

    def update(self, client: Any, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        return None

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        found = _found(client, known.id)
        if found is not None and own.ours(found["Config"]["Labels"], op.owner):
            if found["State"]["Running"]:
                op.say("stopping the run under way")
            run.remove(client, found["Id"], op)

    # -- running ----------------------------------------------------------------------------------------------------------------

    def run(self, client: DockerClient, known: Known, op: Operation) -> RunResult:
        began = time.monotonic()
        found = _found(client, self.name)
        attempt = 0
        while True:
            until = None if self.timeout is None else time.monotonic() + self.timeout
            with told(client.host, f"the job {self.name} cannot be run"):
                if found is not None and found["State"]["Running"]:
                    op.say("a run is under way: joining it")
                    container = str(found["Id"])
                else:
                    container = self._begin(client, op, found)
                end = job_run.follow(client, container, op, until)
            if end.code == 0 or attempt >= self.retries:
                break
            attempt += 1
            said = end.sentence(self.timeout, self.memory)
            op.say(f"{said}; attempt {attempt + 1} of {self.retries + 1}")
            found = _found(client, self.name)
        seconds = time.monotonic() - began
        log = job_run.last_lines(client, container)
        if end.code == 0 and not end.timed_out:
            return RunResult(True, f"ended well after {seconds:.0f} s", {"container": container[:12]}, log)
        return RunResult(
            False,
            f"{end.sentence(self.timeout, self.memory)} after {seconds:.0f} s",
            {"container": container[:12], "exit_code": end.code},
            log,
        )

    def _begin(self, client: DockerClient, op: Operation, before: Mapping[str, Any] | None) -> str:
        """A container for a new run, in the place of that of the last one; it runs."""
        spec = self._container()
        if before is not None:
            if not own.ours(before["Config"]["Labels"], op.owner) and not op.adopt:
                raise own.not_ours(
                    f"a container named {self.name}", before["Config"]["Labels"], op, adopting="it is removed"
                )
            run.remove(client, before["Id"], op)
        container = spec.create(client, op).id
        run.complete(client, container, spec)
        with tempfile.TemporaryFile() as archive:
            _pack(archive, source(self.source, client.place, "source") if self.source else None)
            client.api.put_archive(container, "/", archive)
        client.api.start(container)
        return container

    def _container(self) -> DockerContainer:
        fields = self.model_dump(mode="python", exclude=set(OWN))
        return DockerContainer.model_validate({**fields, "working_dir": FOLDER, "running": False, "init": True})

    # -- telling ----------------------------------------------------------------------------------------------------------------

    @classmethod
    def status(cls, client: DockerClient, known: Known) -> Status | None:
        found = _found(client, known.id)
        if found is None or found["State"]["Status"] == "created":
            return Status("ready", "no run yet")
        state = found["State"]
        if state["Running"]:
            return Status("running", f"since {state['StartedAt'][:19]}Z")
        end = job_run.ending(state)
        when = f"last run {state['FinishedAt'][:19]}Z"
        if end.code == 0:
            return Status("ready", f"{when} ended well")
        return Status("failed", f"{when} {end.sentence(None, known.fields.get('memory'))}")

    @classmethod
    def logs(cls, client: DockerClient, known: Known, *, tail: int, follow: bool) -> Iterator[str]:
        found = _found(client, known.id)
        if found is not None:
            with told(client.host, f"the log of {known.address} cannot be read"):
                yield from run.lines(client.api.logs(found["Id"], stream=True, follow=follow, tail=tail))


def _found(client: DockerClient, name: str) -> Mapping[str, Any] | None:
    """What the engine says of the container of the last run."""
    try:
        found: Mapping[str, Any] = client.api.inspect_container(name)
    except EngineError as error:
        if error.gone:
            return None
        raise
    return found


def _pack(archive: IO[bytes], folder: Path | None) -> None:
    """Write the archive of a working folder."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        base = tarfile.TarInfo(FOLDER.lstrip("/"))
        base.type, base.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(base, io.BytesIO())
        for path in walk(folder) if folder is not None else ():
            assert folder is not None
            item = tarfile.TarInfo(f"{FOLDER.lstrip('/')}/{path.relative_to(folder).as_posix()}")
            item.size, item.mode = path.stat().st_size, path.stat().st_mode & 0o777
            with path.open("rb") as stream:
                tar.addfile(item, stream)
    archive.seek(0)
