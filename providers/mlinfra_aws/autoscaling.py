"""`aws.appautoscaling_target` and `aws.appautoscaling_policy`: how many of something there are, by what it has to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular, batches
from mlinfra_aws.resource import Part, Tagged
from mlinfra_aws.tags import TagCalls

SERVICE: Final = "application-autoscaling"
AUTOSCALING_TAGS = TagCalls(SERVICE, "ListTagsForResource", "TagResource", "UntagResource", "ResourceARN", key="")
GONE: Final = (Rule("ObjectNotFoundException"),)
Namespace = Literal["sagemaker", "ecs", "dynamodb", "lambda", "ec2", "elasticache", "custom-resource"]


class Suspended(Part):
    """What is not done for now."""

    dynamic_scaling_in_suspended: bool = False
    dynamic_scaling_out_suspended: bool = False
    scheduled_scaling_suspended: bool = False


class ScalableTarget(Regular, Tagged):
    """Something of which there can be more or less: instances of a variant of an endpoint, say.

    Example::

        resource:
          champion:
            type: aws.appautoscaling_target
            service_namespace: sagemaker
            resource_id: endpoint/fraud/variant/champion
            scalable_dimension: sagemaker:variant:DesiredInstanceCount
            min_capacity: 1
            max_capacity: 4
    """

    type: ClassVar[str] = "aws.appautoscaling_target"
    noun: ClassVar[str] = "scalable target"
    service: ClassVar[str] = SERVICE
    words: ClassVar[Mapping[str, str]] = {"arn": "ScalableTargetARN", "role_arn": "RoleARN"}
    gone_if: ClassVar[tuple[Rule, ...]] = GONE
    looks_first: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = AUTOSCALING_TAGS

    service_namespace: Annotated[Namespace, REPLACE]
    """The service that it belongs to."""
    resource_id: Annotated[str, REPLACE] = Field(min_length=1, max_length=1600)
    """What it is: ``endpoint/<name>/variant/<name>``."""
    scalable_dimension: Annotated[str, REPLACE]
    """What of it scales: ``sagemaker:variant:DesiredInstanceCount``."""
    min_capacity: int = Field(ge=0)
    """The fewest."""
    max_capacity: int = Field(ge=0)
    """The most."""
    role_arn: Annotated[str | None, REPLACE] = None
    """The role that scales it; the service's own one if not given."""
    suspended_state: Suspended | None = None
    """What is not done for now."""

    def object_id(self) -> str:
        return f"{self.service_namespace}|{self.resource_id}|{self.scalable_dimension}"

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        least, most = fields["min_capacity"], fields["max_capacity"]
        if isinstance(least, int) and isinstance(most, int) and least > most:
            raise ProviderError(
                f"min_capacity is {least} and max_capacity {most}", remedy="The fewest cannot be more than the most."
            )
        return super().normalise(fields, place)

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found: dict[str, Fields] = {}
        shape = client.shape(SERVICE, "DescribeScalableTargets", output=True).members["ScalableTargets"].member
        for namespace in {item.id.partition("|")[0] for item in known}:
            here = [item for item in known if item.id.startswith(f"{namespace}|")]
            for some in batches(here, 50):
                ids = sorted({item.id.split("|")[1] for item in some})
                for one in client.pages(
                    SERVICE, "DescribeScalableTargets", "ScalableTargets", ServiceNamespace=namespace, ResourceIds=ids
                ):
                    found[f"{namespace}|{one['ResourceId']}|{one['ScalableDimension']}"] = cls.told(shape, one)
        return {item.address: found.get(item.id) for item in known}

    def make(self, client: AwsClient, op: Operation) -> Created:
        params = self.asked(client, "RegisterScalableTarget")
        self.call(client, "RegisterScalableTarget", op=op, **params, Tags=self.owned(op))
        return Created(self.object_id())

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        params = self.asked(client, "RegisterScalableTarget")
        # The call leaves alone what is not named.
        state = self.suspended_state or Suspended()
        params["SuspendedState"] = {
            "DynamicScalingInSuspended": state.dynamic_scaling_in_suspended,
            "DynamicScalingOutSuspended": state.dynamic_scaling_out_suspended,
            "ScheduledScalingSuspended": state.scheduled_scaling_suspended,
        }
        self.call(client, "RegisterScalableTarget", op=op, **params)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeregisterScalableTarget", op=op, **_named(known.id))


class Dimension(Part):
    """A dimension of a metric."""

    name: str
    value: str


class CustomizedMetric(Part):
    """Any metric of CloudWatch."""

    metric_name: str
    namespace: str
    statistic: Literal["Average", "Minimum", "Maximum", "SampleCount", "Sum"]
    unit: str | None = None
    dimensions: list[Dimension] = []


class PredefinedMetric(Part):
    """A metric that the service knows by name."""

    predefined_metric_type: str
    resource_label: str | None = None


class TargetTracking(Part):
    """Keep a metric near a value."""

    target_value: float
    predefined_metric_specification: PredefinedMetric | None = None
    customized_metric_specification: CustomizedMetric | None = None
    scale_in_cooldown: int | None = Field(None, ge=0)
    scale_out_cooldown: int | None = Field(None, ge=0)
    disable_scale_in: bool | None = None


class Step(Part):
    """By how many, at how much above or below an alarm's threshold."""

    scaling_adjustment: int
    metric_interval_lower_bound: float | None = None
    metric_interval_upper_bound: float | None = None


class StepScaling(Part):
    """More or less when an alarm goes off."""

    adjustment_type: Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
    step_adjustment: list[Step] = Field(min_length=1)
    cooldown: int | None = Field(None, ge=0)
    metric_aggregation_type: Literal["Average", "Minimum", "Maximum"] | None = None
    min_adjustment_magnitude: int | None = None


class ScalingPolicy(Regular):
    """When there shall be more or less of a target. It carries no tags: one that is as this one shall be is taken as its own.

    Example::

        resource:
          champion_load:
            type: aws.appautoscaling_policy
            name: load
            service_namespace: sagemaker
            resource_id: ${resource.champion.resource_id}
            scalable_dimension: ${resource.champion.scalable_dimension}
            policy_type: TargetTrackingScaling
            target_tracking_scaling_policy_configuration:
              target_value: 200
              predefined_metric_specification: { predefined_metric_type: SageMakerVariantInvocationsPerInstance }
    """

    type: ClassVar[str] = "aws.appautoscaling_policy"
    noun: ClassVar[str] = "scaling policy"
    service: ClassVar[str] = SERVICE
    words: ClassVar[Mapping[str, str]] = {"arn": "PolicyARN", "name": "PolicyName"}
    inner: ClassVar[Mapping[str, str]] = {"step_adjustment": "step_adjustments"}
    gone_if: ClassVar[tuple[Rule, ...]] = GONE
    looks_first: ClassVar[bool] = True

    name: Annotated[str, REPLACE] = Field(min_length=1, max_length=256)
    """Its name."""
    service_namespace: Annotated[Namespace, REPLACE]
    """The service that the target belongs to."""
    resource_id: Annotated[str, REPLACE] = Field(min_length=1, max_length=1600)
    """The target."""
    scalable_dimension: Annotated[str, REPLACE]
    """What of it scales."""
    policy_type: Annotated[Literal["TargetTrackingScaling", "StepScaling"], REPLACE] = "TargetTrackingScaling"
    """How it decides."""
    target_tracking_scaling_policy_configuration: TargetTracking | None = None
    """The metric, and the value that it is kept near."""
    step_scaling_policy_configuration: StepScaling | None = None
    """The steps that an alarm leads to."""

    def object_id(self) -> str:
        return f"{self.service_namespace}|{self.resource_id}|{self.scalable_dimension}|{self.name}"

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        tracking = fields["target_tracking_scaling_policy_configuration"] is not None
        steps = fields["step_scaling_policy_configuration"] is not None
        if (tracking, steps) != (
            fields["policy_type"] == "TargetTrackingScaling",
            fields["policy_type"] == "StepScaling",
        ):
            raise ProviderError(
                f"the scaling policy {fields['name']} and its policy_type do not go together",
                remedy="Give the configuration that belongs to its policy_type, and no other.",
            )
        return super().normalise(fields, place)

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found: dict[str, Fields] = {}
        shape = client.shape(SERVICE, "DescribeScalingPolicies", output=True).members["ScalingPolicies"].member
        for namespace in {item.id.partition("|")[0] for item in known}:
            here = [item for item in known if item.id.startswith(f"{namespace}|")]
            for some in batches(here, 50):
                names = sorted({item.id.split("|")[3] for item in some})
                for one in client.pages(
                    SERVICE, "DescribeScalingPolicies", "ScalingPolicies", ServiceNamespace=namespace, PolicyNames=names
                ):
                    target = f"{namespace}|{one['ResourceId']}|{one['ScalableDimension']}"
                    found[f"{target}|{one['PolicyName']}"] = cls.told(shape, one)
        return {item.address: found.get(item.id) for item in known}

    def make(self, client: AwsClient, op: Operation) -> Created:
        self.call(client, "PutScalingPolicy", op=op, **self.asked(client, "PutScalingPolicy"))
        return Created(self.object_id())

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self.call(client, "PutScalingPolicy", op=op, **self.asked(client, "PutScalingPolicy"))
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteScalingPolicy", op=op, PolicyName=known.id.split("|")[3], **_named(known.id))


def _named(id: str) -> dict[str, Any]:
    namespace, resource, dimension = id.split("|")[:3]
    return {"ServiceNamespace": namespace, "ResourceId": resource, "ScalableDimension": dimension}
