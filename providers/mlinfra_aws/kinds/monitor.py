"""The recipe for kind ``monitor``: told, and not done. It knows what it would take, and no resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlinfra.sdk.lowering import Lowering, Outputs

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor


def lower(monitor: Monitor, lowering: Lowering) -> Outputs:
    """Nothing: data quality jobs and monitoring schedules are not among this provider's resource types."""
    lowering.unsupported("type", f"nothing watches for {monitor.type}: no monitoring schedule can be made yet")
    return {}
