"""Names: of objects on the engine, of workloads on their network, of images. Pure; the same input gives the same name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from mlinfra.sdk.provider import Place

LOCAL: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"
LABEL: Final = 63
"""Characters that a host name's part may have (RFC 1035)."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one environment."""

    place: Place

    @property
    def network(self) -> str:
        """The one network of its workloads."""
        return f"{self.place.blueprint}-{self.place.environment}"

    def object(self, component: str, name: str | None = None) -> str:
        """What belongs to a component, on the engine."""
        return f"{self.network}-{alias(component, name)}"

    def image(self, name: str) -> str:
        """The image to use for the one that a workload names."""
        found: str = self.place.settings.get("images", {}).get(name, name)
        return found


def alias(component: str, name: str | None = None) -> str:
    """A workload on its network: ``registry.models`` and ``server`` → ``registry-models-server``. A host name has neither dots
    nor underscores; where two workloads could get one name by that, a digest tells them apart."""
    full = component if name is None else f"{component}.{name}"
    plain = full.lower().replace(".", "-").replace("_", "-")
    ambiguous = "_" in full.partition(".")[2] or full != full.lower() or "-" in (name or "")
    if ambiguous or len(plain) > LABEL:
        return f"{plain[: LABEL - 7]}-{hashlib.sha256(full.encode()).hexdigest()[:6]}"
    return plain
