"""Which instance type is meant by CPUs, memory and GPUs. Data, and the choice of the smallest that has enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Lowering

if TYPE_CHECKING:
    from mlinfra.kinds.compute import Resources

GIB: Final = 2**30
USUAL: Final = "ml.m5.large"
"""Where the blueprint does not say what is needed."""


@dataclass(frozen=True, slots=True)
class Instance:
    """An instance type, with what it has."""

    type: str
    cpu: int
    memory: int
    """GiB."""
    gpu: int = 0


INSTANCES: Final = (
    Instance("ml.m5.large", 2, 8),
    Instance("ml.m5.xlarge", 4, 16),
    Instance("ml.m5.2xlarge", 8, 32),
    Instance("ml.m5.4xlarge", 16, 64),
    Instance("ml.m5.12xlarge", 48, 192),
    Instance("ml.m5.24xlarge", 96, 384),
    Instance("ml.g4dn.xlarge", 4, 16, 1),
    Instance("ml.g4dn.2xlarge", 8, 32, 1),
    Instance("ml.g4dn.4xlarge", 16, 64, 1),
    Instance("ml.g4dn.8xlarge", 32, 128, 1),
    Instance("ml.g4dn.12xlarge", 48, 192, 4),
    Instance("ml.g5.48xlarge", 192, 768, 8),
)
"""The types that are chosen from, the cheaper first. From AWS's list of SageMaker instance types; both training jobs and endpoints
know them in every large region. Another one is named by ``resources.instance``."""


def instance(resources: Resources | None, lowering: Lowering) -> str:
    """The instance type, told as unsupported where no type has so much."""
    if resources is None:
        return USUAL
    if resources.instance is not None:
        return resources.instance
    wanted = (resources.cpu, resources.memory, resources.gpu)
    if any(opaque(one) for one in wanted):
        lowering.unsupported("resources", "what it needs must be known when it is planned: name an instance type")
        return USUAL
    cpu, memory, gpu = (resources.cpu or 0, resources.memory or 0, resources.gpu or 0)
    for one in INSTANCES:
        if one.cpu >= cpu and one.memory * GIB >= memory and one.gpu >= gpu and bool(one.gpu) == bool(gpu):
            return one.type
    largest = [one for one in INSTANCES if bool(one.gpu) == bool(gpu)][-1]
    lowering.unsupported(
        "resources",
        f"no type that is chosen from has so much: it gets {largest.type}; name one with resources.instance",
    )
    return largest.type


def found(type: str) -> Instance | None:
    """What a type has, if it is one of those above."""
    return next((one for one in INSTANCES if one.type == type), None)
