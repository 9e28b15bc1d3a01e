"""Volumes of workloads: lowered to resources, each at one path that is the same in all containers. Declares only."""

from __future__ import annotations

from dataclasses import dataclass

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.refs import expression
from mlinfra.sdk.workload import VolumeHandle
from mlinfra_docker.images.software import PYTHON_IMAGE
from mlinfra_docker.naming import Names


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a volume lies: its name (a token), and its path in each container."""

    volume: str
    path: str


def volume(lowering: Lowering, *, name: str | None, data: bool, contents: str | None) -> VolumeHandle:
    """A volume of a component (``name`` None: the only one it is made of), and what brings its files in."""
    names = Names(lowering.place)
    called = names.object(lowering.component, name)
    label = "volume" if name is None else f"volume {name}"
    handle = lowering.resource("docker.volume", name or "volume", {"name": called, "data": data}, label=label)
    path = "/".join(["/mlinfra", *lowering.component.split("."), *([name] if name else [])])
    last = handle
    if contents is not None:
        fields = {
            "name": f"{called}-contents",
            "image": names.image(PYTHON_IMAGE),
            "volume": handle.ref("id"),
            "path": path,
            "contents": contents,
        }
        last = lowering.resource("docker.contents", name or "contents", fields, label=f"files of {contents}")
    # Known before the volume is there, and yet references: who uses them comes after it and is found to use it.
    of = {"of": last.ref("name")}
    return VolumeHandle(
        last.address,
        expression("path", {"path": path, **of}),
        expression("path", {"path": f"file://{path}", **of}),
        Placed(handle.ref("id"), path),
    )
