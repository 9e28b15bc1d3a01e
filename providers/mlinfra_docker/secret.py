"""`docker.secret`: a value that nobody is to see, kept on the engine: given, generated once, or taken from outside.

It is a file in a container that never runs: so it lies where what needs it runs, and not on the machine of the command line.
"""

from __future__ import annotations

import io
import os
import secrets
import string
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, SECRET
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_docker.containers import container_run as run
from mlinfra_docker.containers.container import DockerContainer
from mlinfra_docker.containers.container_files import Placed, archive
from mlinfra_docker.failures import EngineError, told

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

VALUE: Final = "/mlinfra/secret"
"""The file in the container."""


class Generate(BaseModel):
    """How to make a secret: ``length`` characters drawn from ``alphabet``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(32, ge=8, le=4096)
    alphabet: str = Field(string.ascii_letters + string.digits, min_length=2)


class DockerSecret(Resource):
    """A secret that is kept on the engine.

    Example::

        resource:
          token: { type: docker.secret, name: fraud-ci-token, image: python:3.11-slim, generate: { length: 40 } }
    """

    type: ClassVar[str] = "docker.secret"
    noun: ClassVar[str] = "secret"
    looks_outside: ClassVar[bool] = True

    name: Annotated[str, REPLACE]
    """The name of the container that keeps it."""
    image: Annotated[str, REPLACE]
    """Any image: nothing of it runs."""
    value: Annotated[str | None, SECRET] = None
    """The secret, if it is given. Otherwise one of the next three says where it comes from."""
    generate: Generate | None = None
    """Make one when it is created; it stays the same afterwards."""
    env: str | None = None
    """The environment variable to take it from."""
    from_file: str | None = None
    """The file to take it from, without the line end at its end; relative to the blueprint's folder or ``~``."""

    @classmethod
    def normalise(cls, fields: Fields, place: Place) -> Fields:
        given = [name for name in ("value", "generate", "env", "from_file") if fields[name] is not None]
        if len(given) > 1:
            raise ProviderError(
                f"the secret {fields['name']} is given by {' and by '.join(given)}", remedy="Leave one of them."
            )
        value = _outside(fields, place)
        if value is None and fields["generate"] is None:
            raise _missing(fields)
        return {**fields, "value": value}

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, client: DockerClient, known: Known) -> Fields | None:
        try:
            value = _value(client, known.id)
        except EngineError as error:
            if error.gone:
                return None
            raise
        return {**known.fields, "value": value}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        return self._container().locate(client, op)

    def _container(self) -> DockerContainer:
        # Its command never runs; one must be given where the image has none.
        return DockerContainer.model_validate(
            {
                "name": self.name,
                "image": self.image,
                "command": ["none"],
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
        """Have the value there: the one that is given; else the one that was made earlier; else a new one."""
        spec = cls.model_validate(known.fields)
        with told(client.host, f"the secret {spec.name} cannot be kept"):
            there = _value(client, known.id)
            value = spec.value if spec.generate is None else there
            if value is None and spec.generate is not None:
                value = "".join(secrets.choice(spec.generate.alphabet) for _ in range(spec.generate.length))
            if value is None:
                raise _missing(spec.model_dump())
            if value != there:
                file = Placed(VALUE, value, 0o400, private=True)
                client.api.put_archive(known.id, "/", archive([file], "/", user=(0, 0)))

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        run.remove(client, known.id, op)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        paths = [change.path for change in changes]
        if paths and all(path.startswith("generate.") for path in paths):
            return "how it would be made changes; the value stays"
        return None


def _value(client: DockerClient, container: str) -> str | None:
    """The value in the container, or None if it has none yet.

    Errors: EngineError, also if the container is gone.
    """
    client.api.inspect_container(container)
    try:
        chunks, _ = client.api.get_archive(container, VALUE)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.extractfile(Path(VALUE).name)
            return member.read().decode("utf-8") if member else None
    except EngineError as error:
        if not error.gone:
            raise
        return None


def _outside(fields: Fields, place: Place) -> str | None:
    """The value that is given, or stands in an environment variable or a file; None if it is not there."""
    if fields["value"] is not None:
        return str(fields["value"])
    if fields["env"] is not None:
        return os.environ.get(fields["env"])
    if fields["from_file"] is not None:
        path = Path(str(fields["from_file"])).expanduser()
        try:
            return (Path(place.root) / path).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            return None
    return None


def _missing(fields: Fields) -> ProviderError:
    """What is missing of a secret, and what to do."""
    if fields["env"]:
        return ProviderError(
            f"the environment variable {fields['env']} is not set", remedy=f"Set it: export {fields['env']}=…"
        )
    if fields["from_file"]:
        return ProviderError(
            f"the file {fields['from_file']} cannot be read", remedy="Create it with the secret as its text."
        )
    return ProviderError(
        f"the secret {fields['name']} has no value", remedy='Give one of "value", "generate", "env" or "from_file".'
    )
