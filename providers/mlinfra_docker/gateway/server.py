"""`docker.server`: a container behind a gateway. Its successor is made beside it; `docker.route` moves requests over, and when
the last one is answered it goes. So it has a name of its own for each making, and ports with numbers of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import field_validator

from mlinfra.sdk.fields import COMPUTED
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_docker import labels as own
from mlinfra_docker.containers.container import DockerContainer
from mlinfra_docker.containers.container_parts import Ports
from mlinfra_docker.failures import EngineError
from mlinfra_docker.host_port import choose

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

DIGITS: Final = 8
"""Characters of a step's token in a container's name."""


class DockerServer(DockerContainer):
    """A container behind a gateway, replaced beside the one that serves.

    Its real name is ``container``: ``name`` and what tells its makings apart. Its ports are published under numbers that are
    chosen for each, since an old and a new one run side by side.

    Example::

        resource:
          a: { type: docker.server, name: shop-ci-a, image: "nginx:1", ports: { "80": null } }
    """

    type: ClassVar[str] = "docker.server"
    noun: ClassVar[str] = "container"

    container: Annotated[str | None, COMPUTED] = None
    """What the engine calls it."""

    @field_validator("ports")
    @classmethod
    def _chosen(cls, value: Ports) -> Ports:
        if any(binding.host_port is not None for binding in value.values()):
            raise ValueError("the numbers under which a server's ports are published are chosen: leave host_port out")
        return value

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def read_many(cls, client: DockerClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        names = {item.address: str(item.fields.get("name", "")) for item in known}
        read = super().read_many(client, [Known(item.address, item.id, _as_made(item.fields)) for item in known])
        return {
            address: None if fields is None else _as_wanted(fields, names[address]) for address, fields in read.items()
        }

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        """What this very step made: others of the same address may stand beside it."""
        try:
            found = client.api.inspect_container(called(self.name, op))
        except EngineError as error:
            if error.gone:
                return None
            raise
        ours = own.ours(found["Config"]["Labels"], op.owner) and found["State"]["Status"] != "removing"
        return str(found["Id"]) if ours else None

    # -- changing -----------------------------------------------------------------------------------------------------

    @classmethod
    def beside(cls, changes: Sequence[FieldChange]) -> bool:
        return True

    def create(self, client: DockerClient, op: Operation) -> Created:
        name = called(self.name, op)
        with client.choosing:
            numbers = choose(client, name, len(self.ports))
        ports = {
            port: binding.model_copy(update={"host_port": number})
            for (port, binding), number in zip(self.ports.items(), numbers, strict=True)
        }
        # The create of a container proper: this one's would come back here.
        return DockerContainer.create(self.model_copy(update={"name": name, "ports": ports}), client, op)

    def update(
        self, client: DockerClient, known: Known, changes: Sequence[FieldChange], op: Operation
    ) -> Fields | None:
        made = self.model_copy(update={"name": called(self.name, op)})
        return DockerContainer.update(made, client, known, changes, op)


def called(name: str, op: Operation) -> str:
    """What the container that a step makes is called."""
    return f"{name}-{op.token[:DIGITS]}"


def _as_made(fields: Mapping[str, Any]) -> Fields:
    """Fields that name the container as the engine does."""
    return {**fields, "name": fields.get("container") or fields.get("name", "")}


def _as_wanted(fields: Fields, wanted: str) -> Fields:
    """The fields as a blueprint has them: the name without what tells makings apart, and ports whose numbers stand in
    ``bound``."""
    real = str(fields["name"])
    begins, _, rest = real.rpartition("-")
    name = begins if wanted in ("", begins) and len(rest) == DIGITS else real
    ports = {port: {**binding, "host_port": None} for port, binding in (fields.get("ports") or {}).items()}
    return {**fields, "name": name, "container": real, "ports": ports}
