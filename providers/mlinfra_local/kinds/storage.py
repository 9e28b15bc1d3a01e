"""The recipe for kind ``storage`` on this machine: a folder. What a folder cannot do is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.workload import VolumeHandle
from mlinfra_local.client import absolute

if TYPE_CHECKING:
    from mlinfra.kinds.storage import Storage

NOT_DONE: Final = {
    "versioning": "a folder keeps no earlier versions",
    "encryption": "files lie as the disk keeps them",
    "key": "nothing is encrypted with it",
    "lifecycle": "files are kept until somebody deletes them",
}
"""Fields that a folder cannot do, and why."""


def lower(storage: Storage, lowering: Lowering) -> Outputs:
    """A folder, seeded if the blueprint says with what."""
    name = lowering.component.partition(".")[2]
    for field, why in NOT_DONE.items():
        if getattr(storage, field):
            lowering.unsupported(field, why)
    path = absolute(lowering.place.work) / "storage" / name
    fields = {"path": str(path), "contents": storage.contents, "data": True}
    handle = lowering.resource("local.folder", "folder", fields, label="folder")
    volume = VolumeHandle(handle.address, handle.ref("path"), handle.ref("url"))
    lowering.share("volume", volume)
    return {"url": volume.url, "path": volume.path}
