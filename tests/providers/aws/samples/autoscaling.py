"""Samples of Application Auto Scaling."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import Lab

ENDPOINT = {
    "service_namespace": "sagemaker",
    "resource_id": "endpoint/fraud/variant/champion",
    "scalable_dimension": "sagemaker:variant:DesiredInstanceCount",
}
TARGET = {"type": "aws.appautoscaling_target", **ENDPOINT, "min_capacity": 1, "max_capacity": 4}
TABLE = {
    "service_namespace": "dynamodb",
    "resource_id": "table/lab",
    "scalable_dimension": "dynamodb:table:ReadCapacityUnits",
}
WRITES = "dynamodb:table:WriteCapacityUnits"


def named(id: str) -> dict[str, str]:
    namespace, resource, dimension = id.split("|")[:3]
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}


def register(**told: Any) -> Outside:
    """Somebody changes a target."""
    return lambda lab, id: lab.boto("application-autoscaling").register_scalable_target(**named(id), **told)


def tag(lab: Lab, id: str) -> Any:
    """Somebody changes a tag."""
    scaling = lab.boto("application-autoscaling")
    told = scaling.describe_scalable_targets(ServiceNamespace="dynamodb", ResourceIds=[id.split("|")[1]])
    arn = told["ScalableTargets"][0]["ScalableTargetARN"]
    return scaling.tag_resource(ResourceARN=arn, Tags={"team": "someone"})


def tracking(value: float, **more: Any) -> dict[str, Any]:
    """So much of what is paid."""
    metric = {"predefined_metric_type": "DynamoDBReadCapacityUtilization"}
    return {"target_value": value, "predefined_metric_specification": metric, **more}


def steps(adjustment: int) -> dict[str, Any]:
    """So many more."""
    return {
        "adjustment_type": "ChangeInCapacity",
        "step_adjustment": [{"scaling_adjustment": adjustment, "metric_interval_lower_bound": 0}],
        "cooldown": 60,
    }


def put(member: str, value: dict[str, Any]) -> Outside:
    """Somebody changes a policy."""

    def change(lab: Lab, id: str) -> Any:
        kind = "StepScaling" if member.startswith("Step") else "TargetTrackingScaling"
        return lab.boto("application-autoscaling").put_scaling_policy(
            PolicyName=id.split("|")[3], PolicyType=kind, **named(id), **{member: value}
        )

    return change


def remove(lab: Lab, id: str) -> Any:
    return lab.boto("application-autoscaling").delete_scaling_policy(PolicyName=id.split("|")[3], **named(id))


SAMPLES = [
    Sample(
        "aws.appautoscaling_target",
        {
            **TABLE,
            "min_capacity": 1,
            "max_capacity": 4,
            "suspended_state": {"dynamic_scaling_in_suspended": True},
            "tags": {"team": "fraud"},
        },
        updates={
            "min_capacity": 2,
            "max_capacity": 8,
            "suspended_state": {"dynamic_scaling_in_suspended": False},
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={
            "resource_id": "table/other",
            "scalable_dimension": WRITES,
            "service_namespace": "sagemaker",
            "role_arn": "arn:aws:iam::111111111111:role/scaler",
        },
        besides={"service_namespace": ENDPOINT},
        resets={"tags": None},
        outside={
            "min_capacity": register(MinCapacity=0),
            "max_capacity": register(MaxCapacity=9),
            "suspended_state": register(SuspendedState={"DynamicScalingInSuspended": False}),
            "tags": tag,
        },
        remove=lambda lab, id: lab.boto("application-autoscaling").deregister_scalable_target(**named(id)),
        name="resource_id",
        discoverable=False,
        service="application-autoscaling",
        creating="RegisterScalableTarget",
        noop_calls=7,
    ),
    Sample(
        "aws.appautoscaling_policy",
        {
            "name": "load",
            **TABLE,
            "policy_type": "TargetTrackingScaling",
            "target_tracking_scaling_policy_configuration": tracking(70, scale_in_cooldown=300, scale_out_cooldown=60),
        },
        updates={
            "target_tracking_scaling_policy_configuration": tracking(50, scale_in_cooldown=600, scale_out_cooldown=30)
        },
        replaces={
            "name": "other",
            "resource_id": "table/other",
            "scalable_dimension": WRITES,
            "service_namespace": "sagemaker",
            "policy_type": "StepScaling",
        },
        besides={
            "service_namespace": ENDPOINT,
            "policy_type": {
                "target_tracking_scaling_policy_configuration": None,
                "step_scaling_policy_configuration": steps(1),
            },
        },
        untried={"step_scaling_policy_configuration": "instead of tracking: tried in the sample after this"},
        outside={
            "target_tracking_scaling_policy_configuration": put(
                "TargetTrackingScalingPolicyConfiguration",
                {
                    "TargetValue": 7.0,
                    "PredefinedMetricSpecification": {"PredefinedMetricType": "DynamoDBReadCapacityUtilization"},
                    "ScaleInCooldown": 300,
                    "ScaleOutCooldown": 60,
                },
            )
        },
        needs={
            "target": {**TARGET, **TABLE},
            "other_target": {**TARGET, **TABLE, "resource_id": "table/other"},
            "third_target": {**TARGET, **TABLE, "scalable_dimension": WRITES},
            "fourth_target": TARGET,
        },
        remove=remove,
        service="application-autoscaling",
        creating="PutScalingPolicy",
        noop_calls=9,
    ),
    Sample(
        "aws.appautoscaling_policy",
        {
            "name": "steps",
            **ENDPOINT,
            "policy_type": "StepScaling",
            "step_scaling_policy_configuration": steps(1),
        },
        updates={"step_scaling_policy_configuration": steps(2)},
        untried=dict.fromkeys(
            (*ENDPOINT, "name", "policy_type", "target_tracking_scaling_policy_configuration"),
            "tried in the sample before this",
        ),
        outside={
            "step_scaling_policy_configuration": put(
                "StepScalingPolicyConfiguration",
                {
                    "AdjustmentType": "ExactCapacity",
                    "StepAdjustments": [{"ScalingAdjustment": 9, "MetricIntervalLowerBound": 0}],
                    "Cooldown": 60,
                },
            )
        },
        needs={"target": TARGET},
        service="application-autoscaling",
        creating="PutScalingPolicy",
        noop_calls=6,
    ),
]
