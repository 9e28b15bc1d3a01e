"""The recipe for kind ``storage`` on this machine: a folder. What a folder cannot do is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.workload import VolumeHandle
from mlinfra_local.client import absolute

if TYPE_CHECKING:
    from mlinfra.kinds.storage import Storage

DONE: Final = frozenset({"path", "contents", "kind", "description", "labels", "tags"})
REASONS: Final = {
    "versioning": "a folder keeps no older versions",
    "encryption": "files lie as the disk keeps them",
    "lifecycle": "files are kept until somebody deletes them",
}


def lower(storage: Storage, lowering: Lowering) -> Outputs:
    """A folder, seeded if the blueprint says with what."""
    name = lowering.component.partition(".")[2]
    given: dict[str, Any] = {field: getattr(storage, field) for field in type(storage).model_fields}
    for field in storage.model_fields_set:
        value = given.get(field)
        if field not in DONE and value not in (None, False, "none", {}, [], ()):
            lowering.unsupported(field, REASONS.get(field, ""))
    path = given.get("path") or str(absolute(lowering.place.work) / "storage" / name)
    fields = {"path": path, "contents": given.get("contents"), "data": True}
    handle = lowering.resource("local.folder", "folder", fields, label="folder")
    volume = VolumeHandle(handle.address, handle.ref("path"), handle.ref("url"))
    lowering.share("volume", volume)
    return {"url": volume.url, "path": volume.path}
