"""`docker.volume`: a folder of the engine that outlives containers. It may hold what cannot be made again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, field_validator

from mlinfra.sdk.fields import COMPUTED, REPLACE, WRITE_ONLY
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_docker import labels as own
from mlinfra_docker.failures import EngineError, told

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient


class DockerVolume(Resource):
    """A folder of the engine that outlives containers.

    Example::

        resource:
          data: { type: docker.volume, name: fraud-ci-data }
    """

    type: ClassVar[str] = "docker.volume"
    holds_data: ClassVar[bool] = True

    name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]+$")
    driver: Annotated[str, REPLACE] = "local"
    driver_opts: Annotated[dict[str, str], REPLACE] = {}
    labels: Annotated[dict[str, str], REPLACE] = {}
    data: Annotated[bool, WRITE_ONLY] = True
    """Whether what is in it cannot be made again."""
    id: Annotated[str | None, COMPUTED] = None
    """Its name. A container that refers to this is made anew along with the volume."""
    mountpoint: Annotated[str | None, COMPUTED] = None
    """The folder on the engine's machine."""
    labelled: Annotated[bool | None, COMPUTED] = None
    """Whether it carries our labels. One that was adopted does not: an engine cannot add them."""

    @field_validator("labels")
    @classmethod
    def _allowed(cls, value: dict[str, str]) -> dict[str, str]:
        return dict(own.allowed(value))

    @classmethod
    def read_many(cls, client: DockerClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found = client.api.volumes(filters={"name": known[0].id} if len(known) == 1 else None)
        by_name = {volume["Name"]: volume for volume in found["Volumes"] or []}
        return {item.address: _live(client, by_name.get(item.id), item) for item in known}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        found = client.api.volumes(filters=own.filters(op.owner))
        return next((self.name for volume in found["Volumes"] or [] if volume["Name"] == self.name), None)

    def create(self, client: DockerClient, op: Operation) -> Created:
        body = {
            "Name": self.name,
            "Driver": self.driver,
            "DriverOpts": self.driver_opts,
            "Labels": {**self.labels, **op.owner},
        }
        # An engine answers with the volume of that name if there is one; only its labels tell whose it is.
        with told(client.host, f"the volume {self.name} cannot be made"):
            made = client.api.ask("POST", "/volumes/create", body=body)
        if not op.adopt and not own.ours(made["Labels"], op.owner):
            raise own.not_ours(
                f"a volume named {self.name}",
                made["Labels"],
                op,
                adopting="its data stays, and it stays without labels",
            )
        return Created(self.name, _fields(made, op.owner, self.data))

    def update(
        self, client: DockerClient, known: Known, changes: Sequence[FieldChange], op: Operation
    ) -> Fields | None:
        return None  # only `data` changes in place, and that is ours to remember

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        try:
            with told(client.host, f"the volume {known.id} cannot be removed"):
                client.api.remove_volume(known.id)
        except EngineError as error:
            if not error.gone:
                raise

    @classmethod
    def would_lose(cls, client: DockerClient, known: Known) -> str | None:
        if not known.fields.get("data", True):
            return None
        for volume in client.usage()["Volumes"] or []:
            if volume["Name"] == known.id:
                size = (volume.get("UsageData") or {}).get("Size", -1)
                if size < 0:
                    return f"what is in it (the driver {volume['Driver']} does not tell how much)"
                return f"{readable(size)} in the volume {known.id}" if size else None
        return None


def _live(client: DockerClient, found: Mapping[str, Any] | None, known: Known) -> Fields | None:
    if found is None:
        return None
    live = _fields(found, {**client.owner, "mlinfra:address": known.address}, known.fields.get("data", True))
    if not live["labelled"] and known.fields.get("labelled", True):
        return None  # ours is gone: a container that names a volume has one made that is nobody's
    return live


def _fields(found: Mapping[str, Any], owner: Mapping[str, str], data: bool) -> Fields:
    return {
        "name": found["Name"],
        "driver": found["Driver"],
        "driver_opts": found["Options"] or {},
        "labels": own.users(found["Labels"]),
        "data": data,
        "id": found["Name"],
        "mountpoint": found["Mountpoint"],
        "labelled": own.ours(found["Labels"], owner),
    }


def readable(count: int) -> str:
    """Bytes as people read them: ``812 B``, ``3.4 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
