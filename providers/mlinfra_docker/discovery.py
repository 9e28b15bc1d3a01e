"""Which objects of an engine carry our labels: four list calls, whatever their number. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.discovery import Found, Scope
from mlinfra_docker import labels as own

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

CONTAINERS: Final = {
    "container": "docker.container",
    "server": "docker.server",
    "contents": "docker.contents",
    "secret": "docker.secret",
    "job": "docker.job",
}
"""Types that are containers on the engine. Removing one is the same for all of them."""
IMAGES: Final = {"image": "docker.image", "generated_image": "docker.generated_image"}
NAMELESS: Final = re.compile(r"[0-9a-f]{64}")


def discover(client: DockerClient, scope: Scope) -> Iterator[Found]:
    """The containers (those that jobs left behind included), networks, volumes and images of an environment."""
    ours = own.filters(scope.owner)
    held: set[str] = set()
    for row in client.api.containers(all=True, filters=ours):
        if row["State"] == "removing" or not scope.mine(row["Labels"]):
            continue
        address = _address(row["Labels"])
        held.add(address)
        type_name = scope.type_at(address, CONTAINERS, "docker.container")
        # A job has no object on the engine but the container of its last run, so its name is its id.
        object_id = row["Names"][0].removeprefix("/") if type_name == "docker.job" else row["Id"]
        yield Found(type_name, str(object_id), address, _second(row["Created"]))
    for network in client.api.networks(filters=ours):
        if scope.mine(network["Labels"]):
            yield Found("docker.network", network["Id"], _address(network["Labels"]), network["Created"])
    for volume in client.api.volumes(filters=ours)["Volumes"] or []:
        if not scope.mine(volume["Labels"]):
            continue
        address = _address(volume["Labels"])
        if NAMELESS.fullmatch(volume["Name"]) and address in held:
            continue  # a container's own, which goes with it
        yield Found("docker.volume", volume["Name"], address, volume.get("CreatedAt") or "")
    for image in client.api.images(filters=ours):
        if scope.mine(image["Labels"]):
            address = _address(image["Labels"])
            for name in _names(image):
                type_name = scope.type_at(address, IMAGES, "docker.image")
                yield Found(type_name, name, address, _second(image["Created"]))


def _names(image: Mapping[str, Any]) -> list[str]:
    """The names of an image. One that lost its name to a newer one goes along with that, which has the same address."""
    return [name for name in image["RepoTags"] or () if name != "<none>:<none>"]


def _address(labels: Mapping[str, str]) -> str:
    return labels[f"{own.PREFIX}address"]


def _second(moment: int) -> str:
    """Seconds since 1970 as a text that sorts."""
    return f"{moment:012d}"
