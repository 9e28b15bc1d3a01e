"""How a new version of an endpoint takes over, in the words of SageMaker's deployment guardrails, and the alarms that call it off.
Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra_aws.kinds.variants import variant_name
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.rollout import Rollout

BAKE: Final = 3600
"""Seconds that a step is watched at most."""
PERIOD: Final = 60
"""Seconds that a value of an alarm is of."""
ALARMS: Final = 10
"""How many alarms may call off one rollout."""
METRICS: Final = "AWS/SageMaker"


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


def alarms(rollout: Rollout, lowering: Lowering, endpoint: str, variants: list[str]) -> list[Handle]:
    """The alarms that call a rollout off, of all variants that answer. They come before the endpoint, and are silent while there is
    none: no value counts as a good one."""
    rollback = rollout.rollback
    if rollback is None or opaque(rollback):
        if rollback is not None:
            lowering.unsupported("rollout.rollback", "it must be known when it is planned: nothing ends a rollout")
        return []
    # Two of three minutes, where a step is watched so long: one request that fails in a quiet minute ends nothing.
    watched = 3 if not opaque(rollout.bake) and rollout.bake >= 3 * PERIOD else 1
    made: list[Handle] = []
    for variant in variants:
        dimensions = {"EndpointName": endpoint, "VariantName": variant_name(variant)}
        for what, measured in _measures(rollout, lowering, dimensions).items():
            if len(made) == ALARMS:
                lowering.unsupported(
                    "rollout.rollback", f"{ALARMS} alarms end a rollout at most: not {what} of {variant}"
                )
                continue
            fields = {
                "alarm_name": name(lowering.place, lowering.component, variant, what, limit=255),
                "alarm_description": f"calls off a rollout of {lowering.component}: {what} of {variant}",
                "comparison_operator": "GreaterThanThreshold",
                "evaluation_periods": watched,
                "datapoints_to_alarm": max(1, watched - 1),
                "treat_missing_data": "notBreaching",
                **measured,
            }
            made.append(
                lowering.resource(
                    "aws.cloudwatch_metric_alarm", f"{variant}-{what}", fields, label=f"alarm: {what} of {variant}"
                )
            )
    return made


def _measures(rollout: Rollout, lowering: Lowering, dimensions: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What each alarm looks at."""
    rollback = rollout.rollback
    assert rollback is not None
    found: dict[str, dict[str, Any]] = {}
    if opaque(rollback.error_rate) or opaque(rollback.latency):
        lowering.unsupported("rollout.rollback", "its limits must be known when it is planned")
    if rollback.error_rate is not None and not opaque(rollback.error_rate):
        found["errors"] = {
            "threshold": rollback.error_rate,
            "metric_query": [
                {
                    "id": "share",
                    "expression": "IF(asked > 0, failed / asked, 0)",
                    "label": "share of requests that failed",
                    "return_data": True,
                },
                *(
                    {
                        "id": query,
                        "metric": {
                            "namespace": METRICS,
                            "metric_name": metric,
                            "dimensions": dimensions,
                            "period": PERIOD,
                            "stat": "Sum",
                        },
                    }
                    for query, metric in (("asked", "Invocations"), ("failed", "Invocation5XXErrors"))
                ),
            ],
        }
    if rollback.latency is not None and not opaque(rollback.latency):
        found["latency"] = {
            "threshold": rollback.latency * 1_000_000,  # AWS counts microseconds
            "namespace": METRICS,
            "metric_name": "ModelLatency",
            "dimensions": dimensions,
            "period": PERIOD,
            "extended_statistic": "p95",
        }
    return found
