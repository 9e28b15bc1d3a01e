"""How many instances a variant runs on: a scalable target and a policy a metric, of Application Auto Scaling. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.refs import expression
from mlinfra_aws.kinds.configuration import Configuration
from mlinfra_aws.kinds.instances import found
from mlinfra_aws.kinds.variants import variant_name
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Endpoint
    from mlinfra.kinds.rollout import ScaleTarget

NAMESPACE: Final = "sagemaker"
DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"
INSTANCES: Final = "/aws/sagemaker/Endpoints"
"""The namespace of what instances tell of themselves."""
PER_MINUTE: Final = 60
"""AWS counts the requests of an instance by the minute."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """How the variants of an endpoint scale."""

    low: int
    high: int
    cooldown: int | None
    """Seconds; None: AWS's own five minutes."""
    specifications: Mapping[str, Mapping[str, Any]]
    """Fields of the target → what is kept near which value, in AWS's words."""


def scaling(endpoint: Endpoint, lowering: Lowering, instance: str) -> Scaling | None:
    """How instances of a type scale; None where their number is a fixed one."""
    scale = endpoint.scale
    if scale is None:
        return None
    if opaque(scale) or opaque(scale.replicas):
        lowering.unsupported("scale.replicas", "it must be known when it is planned: one instance runs")
        return None
    if scale.replicas.low == 0:
        lowering.unsupported("scale.replicas", "one instance of each variant runs always")
    if scale.target is None:
        return None
    if opaque(scale.target) or any(opaque(value) for value in _wanted(scale.target).values()):
        lowering.unsupported("scale.target", "it must be known when it is planned: nothing scales")
        return None
    specifications = _specifications(scale.target, lowering, instance)
    if scale.replicas.high == 1 or not specifications:
        return None
    if opaque(scale.cooldown):
        lowering.unsupported("scale.cooldown", "it must be known when it is planned: it is 5 minutes")
    cooldown = None if opaque(scale.cooldown) else math.ceil(scale.cooldown)
    return Scaling(max(1, scale.replicas.low), scale.replicas.high, cooldown, specifications)


def scalers(scaling: Scaling, lowering: Lowering, endpoint: Handle, called: str, config: Configuration) -> None:
    """Targets and policies of all variants that answer. They come after the endpoint, which runs what they scale."""
    for one in config.copied:
        lowering.unsupported("scale.target", f"{one.variant}, which only gets copies, is not scaled")
    for one in config.answering:
        _scaler(scaling, lowering, endpoint, called, one.variant)


def _scaler(scaling: Scaling, lowering: Lowering, endpoint: Handle, called: str, key: str) -> None:
    variant = variant_name(key)
    # By its ARN: one that is made anew loses what scales it, so that is made anew too.
    where = expression(
        "'endpoint/' ~ arn.split(':endpoint/')[1] ~ '/variant/' ~ variant",
        {"arn": endpoint.ref("arn"), "variant": variant},
    )
    target = lowering.resource(
        "aws.appautoscaling_target",
        key,
        {
            "service_namespace": NAMESPACE,
            "resource_id": where,
            "scalable_dimension": DIMENSION,
            "min_capacity": scaling.low,
            "max_capacity": scaling.high,
        },
        label=f"{key} on {scaling.low} to {scaling.high} instances",
    )
    for metric, specification in scaling.specifications.items():
        told = dict(specification)
        if "customized_metric_specification" in told:
            dimensions = {"EndpointName": called, "VariantName": variant}
            told["customized_metric_specification"] = {
                **told["customized_metric_specification"],
                "dimensions": [{"name": word, "value": value} for word, value in dimensions.items()],
            }
        if scaling.cooldown is not None:
            told["scale_in_cooldown"] = scaling.cooldown
        lowering.resource(
            "aws.appautoscaling_policy",
            f"{key}-{metric}",
            {
                "name": name(lowering.place, lowering.component, key, metric, limit=256),
                "service_namespace": NAMESPACE,
                "resource_id": target.ref("resource_id"),
                "scalable_dimension": DIMENSION,
                "policy_type": "TargetTrackingScaling",
                "target_tracking_scaling_policy_configuration": told,
            },
            label=f"{key} scales by {metric.replace('_', ' ')}",
        )


def _wanted(target: ScaleTarget) -> dict[str, Any]:
    """What is followed."""
    every = {field: getattr(target, field) for field in type(target).model_fields}
    return {field: value for field, value in every.items() if value is not None}


def _specifications(target: ScaleTarget, lowering: Lowering, instance: str) -> dict[str, dict[str, Any]]:
    """The metric of each field of the target in AWS's words, with the value that it is kept near."""
    wanted = _wanted(target)
    told: dict[str, dict[str, Any]] = {}
    if "requests_per_second" in wanted:
        told["requests_per_second"] = {
            "target_value": wanted["requests_per_second"] * PER_MINUTE,
            "predefined_metric_specification": {"predefined_metric_type": "SageMakerVariantInvocationsPerInstance"},
        }
    if "concurrency" in wanted:
        told["concurrency"] = {
            "target_value": wanted["concurrency"],
            "predefined_metric_specification": {
                "predefined_metric_type": "SageMakerVariantConcurrentRequestsPerModelHighResolution"
            },
        }
    has = found(instance)
    for field, metric, noun in (("cpu", "CPUUtilization", "CPUs"), ("gpu", "GPUUtilization", "GPUs")):
        if field not in wanted:
            continue
        # AWS adds up the percents of all CPUs, and so of all GPUs.
        units = getattr(has, field) if has is not None else None
        if not units:
            why = f"{instance} has no GPU" if units == 0 else f"it is not known how many {noun} {instance} has"
            lowering.unsupported(f"scale.target.{field}", why)
            continue
        told[field] = {
            "target_value": wanted[field] * units,
            "customized_metric_specification": {
                "metric_name": metric,
                "namespace": INSTANCES,
                "statistic": "Average",
                "unit": "Percent",
            },
        }
    return told
