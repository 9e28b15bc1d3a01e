"""The recipe for kind ``monitor``: told, and not done. It makes no resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlinfra.sdk.lowering import Lowering, Outputs

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor


def lower(monitor: Monitor, lowering: Lowering) -> Outputs:
    """Nothing: the baseline that SageMaker compares with is not made from a reference yet."""
    lowering.unsupported("type", f"nothing watches for {monitor.type}: monitors are not made here yet")
    return {}
