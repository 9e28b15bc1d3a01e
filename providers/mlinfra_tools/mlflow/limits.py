"""What a registry's server or a run may use, from the kind's words to a workload's; what the runtime cannot do is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.workload import Limits

if TYPE_CHECKING:
    from mlinfra.kinds.compute import Resources


def limits(resources: Resources | None, lowering: Lowering) -> Limits:
    """CPU, memory and GPUs. Asks for what the runtime offers, never for its name."""
    if resources is None:
        return Limits()
    if resources.instance is not None and "instances" not in lowering.capabilities:
        lowering.unsupported("resources.instance", "there is no choice of machines here: set cpu, memory and gpu")
    if resources.gpu and "gpu" not in lowering.capabilities:
        lowering.unsupported("resources.gpu")
    return Limits(resources.cpu, resources.memory, resources.gpu)
