"""The recipe for kind ``storage`` on a Docker engine: a volume. What a volume cannot do is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra_docker.volumes import volume

if TYPE_CHECKING:
    from mlinfra.kinds.storage import Storage

NOT_DONE: Final = {
    "versioning": "a volume keeps no earlier versions",
    "encryption": "files lie as the engine's disk keeps them",
    "key": "nothing is encrypted with it",
    "lifecycle": "files are kept until somebody deletes them",
}
"""Fields that a volume cannot do, and why."""


def lower(storage: Storage, lowering: Lowering) -> Outputs:
    """A volume, seeded if the blueprint says with what; at the same path in every container that has it."""
    for field, why in NOT_DONE.items():
        if getattr(storage, field):
            lowering.unsupported(field, why)
    handle = volume(lowering, name=None, data=True, contents=storage.contents)
    lowering.share("volume", handle)
    return {"url": handle.url, "path": handle.path}
