"""The scalable targets of an endpoint's variants, taken away and put back around a change that AWS refuses while they are there.

AWS does not let a variant go, nor change its instance type, as long as Application Auto Scaling knows it. What is lost if a run
is cut off in between are targets and policies that the blueprint declares: the next plan makes them again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.sdk.resource import Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError

SERVICE: Final = "application-autoscaling"
NAMESPACE: Final = "sagemaker"
KEPT: Final = ("ResourceId", "ScalableDimension", "ServiceNamespace", "MinCapacity", "MaxCapacity", "SuspendedState")
POLICY: Final = (
    "PolicyName", "PolicyType", "ServiceNamespace", "ResourceId", "ScalableDimension", "StepScalingPolicyConfiguration",
    "TargetTrackingScalingPolicyConfiguration", "PredictiveScalingPolicyConfiguration",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Taken:
    """A target that was taken away, with its policies and tags, as calls put them back."""

    variant: str
    target: Mapping[str, Any]
    policies: tuple[Mapping[str, Any], ...]


def in_the_way(error: AwsError) -> bool:
    """Whether a change was refused because variants are scalable targets."""
    return error.code == "ValidationException" and "scalable target" in error.text


def take(client: AwsClient, endpoint: str, variants: Iterable[str], op: Operation) -> list[Taken]:
    """Deregister what scales these variants; gives what is needed to put it back."""
    ids = [f"endpoint/{endpoint}/variant/{variant}" for variant in variants]
    targets = list(
        client.pages(SERVICE, "DescribeScalableTargets", "ScalableTargets", ServiceNamespace=NAMESPACE, ResourceIds=ids)
    )
    taken = []
    for target in targets:
        where = {"ServiceNamespace": NAMESPACE, "ResourceId": target["ResourceId"]}
        where["ScalableDimension"] = target["ScalableDimension"]
        policies = client.pages(SERVICE, "DescribeScalingPolicies", "ScalingPolicies", **where)
        told = tuple({key: one[key] for key in POLICY if one.get(key)} for one in policies)
        tags = client.call(SERVICE, "ListTagsForResource", ResourceARN=target["ScalableTargetARN"]).get("Tags", {})
        kept = {key: target[key] for key in KEPT if key in target}
        taken.append(Taken(target["ResourceId"].rpartition("/")[2], {**kept, "Tags": tags}, told))
        op.say(f"{target['ResourceId']} does not scale until the endpoint is changed")
        try:
            client.call(SERVICE, "DeregisterScalableTarget", op=op, **where)
        except AwsError as error:
            if error.code != "ObjectNotFoundException":  # a reply that was lost
                raise
    return taken


def put_back(client: AwsClient, taken: Iterable[Taken], variants: Iterable[str], op: Operation) -> None:
    """Register again what was taken away, of variants that are still there."""
    there = set(variants)
    for one in taken:
        if one.variant not in there:
            continue
        client.call(SERVICE, "RegisterScalableTarget", op=op, **one.target)
        for policy in one.policies:
            client.call(SERVICE, "PutScalingPolicy", op=op, **policy)
