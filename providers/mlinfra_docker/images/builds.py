"""Builds that the engine may still be at: one whose caller was killed goes on for as long as the step that it is at takes.

Each build gives its steps' containers a host name of its own (a line in their /etc/hosts, no part of the image): by that they
are known, since the engine tells of builds in no other way. While there is one, an image may still come to be.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Operation
from mlinfra_docker.failures import EngineError, told

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

ADDRESS: Final = "127.0.0.1"
LOOK: Final = 0.1
"""Seconds between two looks."""
LONGEST: Final = 300.0
"""Seconds that the step at which a build was cut off may take to end."""


def mark(image: str) -> dict[str, str]:
    """The ``extra_hosts`` of a build, by the image's name."""
    return {f"{hashlib.sha256(image.encode()).hexdigest()[:16]}.build.mlinfra": ADDRESS}


def settle(client: DockerClient, image: str, op: Operation) -> None:
    """Wait until the engine is at no build of this image.

    Errors: ProviderError if that takes too long.
    """
    doing = f"whether the image {image} is being built cannot be told"
    begun = time.monotonic()
    with told(client.host, doing):
        while _under_way(client, image):
            if time.monotonic() - begun > LONGEST:
                raise ProviderError(
                    f"the engine is still building {image}",
                    remedy="Wait until it is done, then run `mlinfra apply` again.",
                )
            op.wait(LOOK)


def _under_way(client: DockerClient, image: str) -> bool:
    """Whether a container is there that a step of such a build runs in, or is made an image of."""
    (name,) = mark(image)
    for row in client.api.containers(all=True):
        if not row["Image"].startswith("sha256:"):
            continue  # a step's container is made from an id, never from a name
        try:
            found = client.api.ask("GET", f"/containers/{row['Id']}/json")
        except EngineError as error:
            if error.gone:
                continue
            raise
        if any(host.startswith(f"{name}:") for host in found["HostConfig"]["ExtraHosts"] or ()):
            return True
    return False
