"""How a new version of an endpoint takes over, in the words of SageMaker's deployment guardrails. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Lowering

if TYPE_CHECKING:
    from mlinfra.kinds.rollout import Rollout

BAKE: Final = 3600
"""Seconds that a step is watched at most."""


def deployment(rollout: Rollout, lowering: Lowering) -> dict[str, Any] | None:
    """All at once, a canary and then the rest, or equal steps; None where its steps are not known yet."""
    if (
        opaque(rollout)
        or opaque(rollout.canary)
        or any(opaque(step) for step in rollout.canary)
        or opaque(rollout.bake)
    ):
        lowering.unsupported("rollout", "its steps must be known when it is planned")
        return None
    if rollout.bake > BAKE:
        lowering.unsupported("rollout.bake", "a step is watched an hour at most")
    if rollout.rollback is not None:
        lowering.unsupported("rollout.rollback", "the alarms that would end it are not made yet")
    traffic: dict[str, Any] = {"type": "ALL_AT_ONCE", "wait_interval_in_seconds": int(min(rollout.bake, BAKE))}
    steps = rollout.canary
    size = {"type": "CAPACITY_PERCENT", "value": steps[0]}
    if len(steps) > 1 and steps == [steps[0] * (i + 1) for i in range(len(steps))] and 10 <= steps[0] <= 50:
        traffic |= {"type": "LINEAR", "linear_step_size": size}
        if len(steps) == 2:
            traffic = {**traffic, "type": "CANARY", "canary_size": size}
            del traffic["linear_step_size"]
    elif len(steps) > 1:
        size["value"] = min(steps[0], 50)
        traffic |= {"type": "CANARY", "canary_size": size}
        if len(steps) > 2 or steps[0] > 50:
            lowering.unsupported(
                "rollout.canary",
                f"AWS knows equal steps of 10 to 50 %, or a first one up to 50 % and the rest: {size['value']}, then 100",
            )
    return {"blue_green_update_policy": {"traffic_routing_configuration": traffic}}
