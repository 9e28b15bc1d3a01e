"""Reading containers: many at the price of a few calls, if the engine's memory allows, else one inspect call each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.resource import Fields, Known
from mlinfra_docker.containers.container_body import NANO
from mlinfra_docker.containers.container_live import from_inspect, from_row, memory, nanoseconds
from mlinfra_docker.failures import EngineError

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

THREADS: Final = 8
FEW: Final = 2
"""Up to so many containers, inspecting each is no more calls than asking what changed."""


def read_containers(
    client: DockerClient, known: Sequence[Known], whole: Callable[[Mapping[str, Any]], bool]
) -> dict[str, Fields | None]:
    """Live fields by address. ``whole`` tells whether known fields are all that an inspect call gave."""
    now = client.clock()
    if len(known) <= FEW:
        return {item.address: _inspected(client, item, now) for item in known}
    events = client.api.ask("GET", "/events", raw=True, since="0", until=_seconds(now))
    rows = {row["Id"]: row for row in client.api.containers(all=True)}
    remembered = memory(events)
    found: dict[str, Fields | None] = {}
    unsure: list[Known] = []
    for item in known:
        row = rows.get(item.id)
        if row is None or row["State"] == "removing":
            found[item.address] = None
        elif (
            row["State"] == "running"
            and whole(item.fields)
            and _same(row, item.fields)
            and remembered.holds(item.id, nanoseconds(item.fields["inspected_at"]))
        ):
            found[item.address] = {**item.fields, **from_row(row)}
        else:
            unsure.append(item)
    if unsure:
        with ThreadPoolExecutor(max_workers=THREADS) as pool:
            read = pool.map(lambda item: _inspected(client, item, now), unsure)
            found.update(zip((item.address for item in unsure), read, strict=True))
    return found


def _same(row: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether a row of the list shows what was read before, as far as it goes: its name, its image, its networks."""
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    shown = set(networks) | {endpoint.get("NetworkID") for endpoint in networks.values()}
    asked = {item["name"] for item in fields["networks"]}
    return (
        f"/{fields['name']}" in row["Names"]
        and row["Image"] == fields["image"]
        and row["ImageID"] == fields["image_id"]
        and len(asked) == len(networks)
        and asked <= shown
    )


def _inspected(client: DockerClient, item: Known, now: str) -> Fields | None:
    """All fields of one container."""
    try:
        found = client.api.inspect_container(item.id)
    except EngineError as error:
        if error.gone:
            return None
        raise
    if found["State"]["Status"] == "removing":
        return None
    fields = from_inspect(found, item.fields)
    fields["inspected_at"] = now
    if item.fields.get("inspected_at") and not fields["image"].startswith("sha256:"):
        fields["image"] = _image(client, fields["image"], fields["image_id"])
    return fields


def _image(client: DockerClient, name: str, runs: str) -> str:
    """The name of the image that a container was made from, or the id if the name stands for another one now."""
    try:
        stands_for = client.api.ask("GET", f"/images/{name}/json")["Id"]
    except EngineError as error:
        if error.gone:
            return name  # the name is gone, not given away
        raise
    return name if stands_for == runs else runs


def _seconds(moment: str) -> str:
    """A time as the events call takes it. Events up to a moment that is over are answered at once."""
    nano = nanoseconds(moment)
    return f"{nano // NANO}.{nano % NANO:09d}"
