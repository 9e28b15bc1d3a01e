"""`docker.contents`: files of the blueprint in a volume. Others in it are left alone, and so are edited ones.

It is a container that has the volume and runs only to bring files in, which its program `seeding` does; they reach it as an
archive, so that the engine may be elsewhere.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, ClassVar, Final
from urllib.parse import quote

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_docker.containers import container_run as run
from mlinfra_docker.containers.container import DockerContainer
from mlinfra_docker.containers.job_run import last_lines
from mlinfra_docker.failures import EngineError, told
from mlinfra_docker.folders import digest, listed, source, walk

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

STAGE: Final = "/mlinfra/stage"
PROGRAM: Final = "/mlinfra/seeding.py"
THREADS: Final = 8


class DockerContents(Resource):
    """Files of the blueprint in a volume.

    Example::

        resource:
          samples:
            type: docker.contents
            name: fraud-ci-samples
            image: python:3.11-slim
            volume: ${resource.data.id}
            path: /data
            contents: samples
    """

    type: ClassVar[str] = "docker.contents"
    noun: ClassVar[str] = "files"
    looks_outside: ClassVar[bool] = True

    name: Annotated[str, REPLACE]
    """The name of the container that brings them in."""
    image: Annotated[str, REPLACE]
    """An image with Python 3.11 or newer."""
    volume: Annotated[str, REPLACE]
    path: Annotated[str, REPLACE]
    """Where the volume is mounted meanwhile."""
    contents: str
    """The folder, relative to the blueprint's. Files that go missing are put back; edited ones are left alone."""
    files: dict[str, str] = {}
    """The files with their digests. Follows from ``contents``; not to be set."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        folder = source(fields["contents"], place, "contents")
        return {**fields, "files": {str(item.relative_to(folder)): digest(item) for item in walk(folder)}}

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, client: DockerClient, known: Known) -> Fields | None:
        try:
            client.api.inspect_container(known.id)
        except EngineError as error:
            if error.gone:
                return None
            raise
        files: Mapping[str, str] = known.fields.get("files") or {}
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            there = list(pool.map(lambda name: _there(client, known.id, f"{known.fields['path']}/{name}"), files))
        found = {name: text for (name, text), is_there in zip(files.items(), there, strict=True) if is_there}
        return {**known.fields, "files": found}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        return self._container().locate(client, op)

    def _container(self) -> DockerContainer:
        return DockerContainer.model_validate(
            {
                "name": self.name,
                "image": self.image,
                "command": ["python3", PROGRAM, STAGE, self.path],
                "files": {PROGRAM: _program()},
                "mounts": [{"source": self.volume, "target": self.path}],
                "network_mode": "none",
                "running": False,
            }
        )

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, client: DockerClient, op: Operation) -> Created:
        return self._container().create(client, op)

    def update(self, client: Any, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        return None  # `ready` does it, as after a create

    @classmethod
    def ready(cls, client: DockerClient, known: Known, op: Operation) -> None:
        """Have the files in the volume.

        Errors: ProviderError with the log of what brings them in, if it fails.
        """
        spec = cls.model_validate(known.fields)
        container = spec._container()
        run.complete(client, known.id, container)
        folder = source(spec.contents, client.place, "contents")
        with told(client.host, f"the files of {spec.contents} cannot be put into the volume {spec.volume}"):
            with tempfile.TemporaryFile() as archive:
                _pack(archive, folder, spec.files)
                client.api.put_archive(known.id, "/", archive)
            client.api.start(known.id)
            code = client.api.ask("POST", f"/containers/{known.id}/wait")["StatusCode"]
        if code != 0:
            raise ProviderError(
                f"the files of {spec.contents} cannot be put into the volume {spec.volume}",
                remedy="Mend what its log says, then apply again.",
                log=last_lines(client, known.id),
            )

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        run.remove(client, known.id, op)

    # -- telling ------------------------------------------------------------------------------------------------------

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        files = {change.path.removeprefix("files."): change for change in changes if change.path.startswith("files.")}
        if len(files) < len(changes) or not files:
            return None
        missing = sorted(name for name, change in files.items() if change.old is None)
        if len(missing) < len(files):
            return f"{listed(sorted(files))} changed → copied again, unless edited"
        return f"{listed(missing)} → copied"


def _there(client: DockerClient, container: str, path: str) -> bool:
    try:
        client.api.ask("HEAD", f"/containers/{container}/archive?path={quote(path)}")
    except EngineError as error:
        if error.gone:
            return False
        raise
    return True


def _pack(archive: IO[bytes], folder: Path, files: Mapping[str, str]) -> None:
    """Write the archive of the stage: what is wanted, and the files themselves."""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, size, stream in _items(folder, files):
            item = tarfile.TarInfo(f"{STAGE.lstrip('/')}/{name}")
            item.size, item.mode = size, 0o644
            with stream:
                tar.addfile(item, stream)
    archive.seek(0)


def _items(folder: Path, files: Mapping[str, str]) -> Iterator[tuple[str, int, IO[bytes]]]:
    wanted = json.dumps(dict(files)).encode()
    yield "wanted.json", len(wanted), io.BytesIO(wanted)
    for name in files:
        path = folder / name
        yield f"new/{name}", path.stat().st_size, path.open("rb")


@cache
def _program() -> str:
    return resources.files("mlinfra_docker").joinpath("seeding.py").read_text("utf-8")
