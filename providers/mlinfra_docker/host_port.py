"""`docker.host_port`: a port of the engine's machine, chosen once and kept, so that a URL outlives the container behind it.

Nothing on the engine stands for it: what publishes the number is a container.
"""

from __future__ import annotations

import contextlib
import socket
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final
from urllib.parse import urlsplit

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_docker import labels as own

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

FIRST: Final = 20_000
COUNT: Final = 10_000
"""Below what systems give to outgoing connections."""
NEAR: Final = 20
"""How many numbers further one is still taken for that of a name."""


class DockerHostPort(Resource):
    """A free port of the engine's machine.

    Example::

        resource:
          port: { type: docker.host_port, name: fraud-ci-cache }
          cache: { type: docker.container, name: fraud-ci-cache, image: "redis:7", ports: { "6379": "${resource.port.number}" } }
    """

    type: ClassVar[str] = "docker.host_port"
    noun: ClassVar[str] = "port"

    name: Annotated[str, REPLACE]
    """What it is for. The same name gets the same number again, if that is free."""
    number: Annotated[int | None, COMPUTED] = None

    @classmethod
    def read(cls, client: DockerClient, known: Known) -> Fields | None:
        return {"name": known.fields["name"], "number": int(known.id)}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        """The number that a container of this environment publishes, if it is one that this name would have been given: only
        numbers that were taken lie between."""
        owner = {name: text for name, text in op.owner.items() if name != "mlinfra:address"}
        ours = set(_published(client, own.filters(owner)))
        return next((str(number) for number in islice(numbers(self.name), NEAR) if number in ours), None)

    def create(self, client: DockerClient, op: Operation) -> Created:
        with client.choosing:
            (number,) = choose(client, self.name, 1)
        return Created(str(number), {"name": self.name, "number": number})

    def update(self, client: Any, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        return None

    @classmethod
    def delete(cls, client: Any, known: Known, op: Operation) -> None:
        """It goes with what publishes it."""


def numbers(name: str) -> Iterator[int]:
    """The numbers to try for a name, in order."""
    start = zlib.crc32(name.encode()) % COUNT
    return (FIRST + (start + step) % COUNT for step in range(COUNT))


def choose(client: DockerClient, name: str, count: int) -> list[int]:
    """Numbers that are free on the engine's machine, for a name the same ones as far as they are; ``client.choosing`` is held.

    Errors: ProviderError if there are not so many.
    """
    found: list[int] = []
    if not count:
        return found
    taken = client.chosen | set(_published(client))
    for number in numbers(name):
        if number not in taken and _free(client.host, number):
            client.chosen.add(number)
            found.append(number)
            if len(found) == count:
                return found
    raise ProviderError(
        f"none of the ports {FIRST} to {FIRST + COUNT - 1} is free on the engine's machine",
        remedy="Give the component a port of its own.",
    )


def _published(client: DockerClient, filters: dict[str, Any] | None = None) -> Iterator[int]:
    """The numbers that containers publish, also those that do not run now."""
    for row in client.api.containers(all=True, filters=filters):
        if row["State"] == "running":
            yield from (port["PublicPort"] for port in row["Ports"] or () if port.get("PublicPort"))
            continue
        with contextlib.suppress(ProviderError):  # it may have gone since
            bindings = client.api.inspect_container(row["Id"])["HostConfig"].get("PortBindings") or {}
            yield from (int(b["HostPort"]) for items in bindings.values() for b in items or () if b.get("HostPort"))


def _free(host: str, number: int) -> bool:
    """Whether nothing on the engine's machine listens there, as far as that can be told from here."""
    parts = urlsplit(host)
    if parts.scheme in ("tcp", "http", "https", "ssh") and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", number))
        except OSError:
            return False
    return True
