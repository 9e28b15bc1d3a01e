"""`aws.sagemaker_endpoint`: what answers requests, by an endpoint configuration that can be changed while it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, VOLATILE, WRITE_ONLY
from mlinfra.sdk.resource import FieldChange, Fields, Known, Operation, Status
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, missing
from mlinfra_aws.sagemaker import scaled
from mlinfra_aws.sagemaker.base import Name, SageMakerResource
from mlinfra_aws.waits import until

WORKING: Final = ("Creating", "Updating", "SystemUpdating", "RollingBack")
FAILED: Final = "Failed"
"""Of an endpoint that serves nobody: AWS lets nothing be done to it but to delete it."""
TIMEOUT: Final = 60 * 60.0
"""Seconds for instances to start, and for a rollout with its bakes to be through."""
GONE: Final = 15 * 60.0


class Capacity(Part):
    """How much at a time."""

    type: Literal["INSTANCE_COUNT", "CAPACITY_PERCENT"]
    value: int = Field(ge=1)


class Traffic(Part):
    """How requests move over to the new instances."""

    type: Literal["ALL_AT_ONCE", "CANARY", "LINEAR"]
    wait_interval_in_seconds: int = Field(ge=0, le=3600)
    canary_size: Capacity | None = None
    linear_step_size: Capacity | None = None


class BlueGreen(Part):
    """New instances beside the old ones, then requests move over."""

    traffic_routing_configuration: Traffic
    termination_wait_in_seconds: int | None = Field(None, ge=0, le=3600)
    maximum_execution_timeout_in_seconds: int | None = Field(None, ge=600, le=28800)


class Rolling(Part):
    """A few instances at a time."""

    maximum_batch_size: Capacity
    wait_interval_in_seconds: int = Field(ge=0, le=3600)
    maximum_execution_timeout_in_seconds: int | None = Field(None, ge=600, le=28800)
    rollback_maximum_batch_size: Capacity | None = None


class Alarm(Part):
    """An alarm that calls a rollout off."""

    alarm_name: str


class AutoRollback(Part):
    """When a rollout is called off by itself."""

    alarms: list[Alarm] = Field([], max_length=10)


class Deployment(Part):
    """How a new configuration is rolled out."""

    blue_green_update_policy: BlueGreen | None = None
    rolling_update_policy: Rolling | None = None
    auto_rollback_configuration: AutoRollback | None = None


class Endpoint(SageMakerResource):
    """An endpoint.

    Weights and instance counts that were changed since (by autoscaling, by a rollout) are kept when its configuration changes.

    Example::

        resource:
          fraud_endpoint: { type: aws.sagemaker_endpoint, name: fraud, endpoint_config_name: "${resource.fraud_config.name}" }
    """

    type: ClassVar[str] = "aws.sagemaker_endpoint"
    noun: ClassVar[str] = "endpoint"
    api: ClassVar[str] = "Endpoint"
    words: ClassVar[Mapping[str, str]] = {"name": "EndpointName"}
    listing: ClassVar[tuple[str, str] | None] = ("ListEndpoints", "Endpoints")
    stamp: ClassVar[str] = "LastModifiedTime"

    name: Annotated[Name, REPLACE]
    """Its name."""
    endpoint_config_name: str
    """The configuration that it runs."""
    deployment_config: Annotated[Deployment | None, WRITE_ONLY] = None
    """How the next change of its configuration is rolled out."""
    retain_all_variant_properties: Annotated[bool, WRITE_ONLY] = True
    """Whether weights and instance counts that it has now outlive a change of the configuration."""
    exclude_retained_variant_properties: Annotated[
        list[Literal["DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"]], WRITE_ONLY
    ] = []
    """Those that do not: then the new configuration's hold."""
    endpoint_status: Annotated[str | None, VOLATILE] = None
    last_modified_time: Annotated[str | None, VOLATILE] = None

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        if answer["EndpointStatus"] == "Deleting":
            return None
        return super().told(client, answer)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        # How it is rolled out is told with the next rollout; alone it changes nothing.
        if "endpoint_config_name" not in changed:
            return None
        more = self.asked(client, "UpdateEndpoint")
        if "exclude_retained_variant_properties" in self.fields():
            more["ExcludeRetainedVariantProperties"] = [
                {"VariantPropertyType": one} for one in self.exclude_retained_variant_properties
            ]
        self._settled(client, known.id, op)
        try:
            self._begun(client, more, op)
        except AwsError as error:
            if not scaled.in_the_way(error):
                raise
            self._unscaled(client, known.id, more, op)
        return None

    @classmethod
    def _begun(cls, client: AwsClient, params: Mapping[str, Any], op: Operation) -> None:
        try:
            client.call("sagemaker", "UpdateEndpoint", op=op, **params)
        except AwsError as error:
            # A reply that was lost: it is under way already.
            if "in-progress" not in error.text:
                raise

    @classmethod
    def _unscaled(cls, client: AwsClient, name: str, params: Mapping[str, Any], op: Operation) -> None:
        """Change it while nothing scales its variants, and have those that are left scaled as they were, however that ends."""
        taken = scaled.take(client, name, cls._variants(client, name), op)
        try:
            cls._begun(client, params, op)
            cls._settled(client, name, op)
        finally:
            scaled.put_back(client, taken, cls._variants(client, name), op)

    @classmethod
    def _variants(cls, client: AwsClient, name: str) -> list[str]:
        answer = client.call("sagemaker", "DescribeEndpoint", EndpointName=name)
        return [one["VariantName"] for one in answer.get("ProductionVariants", [])]

    @classmethod
    def _settled(cls, client: AwsClient, name: str, op: Operation) -> None:
        """Wait for a change that is under way: another one is refused meanwhile."""

        def look() -> tuple[str, str]:
            answer = client.call("sagemaker", "DescribeEndpoint", EndpointName=name)
            status = str(answer["EndpointStatus"])
            return ("working" if status in WORKING else "settled"), ""

        until(client, op, f"the endpoint {name}", look, ready=("settled",), working=("working",), timeout=TIMEOUT)

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        wanted = known.fields.get("endpoint_config_name")
        runs = status = ""

        def look() -> tuple[str, str]:
            nonlocal runs, status
            answer = client.call("sagemaker", "DescribeEndpoint", EndpointName=known.id)
            runs, status = str(answer.get("EndpointConfigName", "")), str(answer["EndpointStatus"])
            return status, str(answer.get("FailureReason", ""))

        try:
            until(
                client,
                op,
                f"the endpoint {known.id}",
                look,
                ready=("InService",),
                working=WORKING,
                timeout=TIMEOUT,
                every=10.0,
            )
        except ProviderError as error:
            if not isinstance(error, AwsError) and status not in WORKING:
                error.remedy = _remedy(known, status, runs)
            raise
        if wanted and runs != wanted:
            answer = client.call("sagemaker", "DescribeEndpoint", EndpointName=known.id)
            raise ProviderError(
                f"the endpoint {known.id} was rolled back: it runs {runs} and not {wanted}: "
                f"{answer.get('FailureReason') or 'AWS tells no reason'}",
                remedy=f"Look at its logs (/aws/sagemaker/Endpoints/{known.id}) and alarms, mend the cause, then apply again.",
            )

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Deleted once AWS says that it is gone: its configuration and model are needed until then."""
        try:
            cls._settled(client, known.id, op)
            client.call("sagemaker", "DeleteEndpoint", op=op, EndpointName=known.id)
        except AwsError as error:
            missing(error)
            return

        def look() -> tuple[str, str]:
            try:
                answer = client.call("sagemaker", "DescribeEndpoint", EndpointName=known.id)
            except AwsError as error:
                missing(error)
                return "gone", ""
            return str(answer["EndpointStatus"]), str(answer.get("FailureReason", ""))

        until(client, op, f"the endpoint {known.id}", look, ready=("gone",), working=("Deleting",), timeout=GONE)

    @classmethod
    def broken(cls, live: Mapping[str, Any]) -> str | None:
        return "it failed and serves nobody" if live.get("endpoint_status") == FAILED else None

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        paths = {change.path.partition(".")[0] for change in changes}
        if paths <= {
            "deployment_config",
            "retain_all_variant_properties",
            "exclude_retained_variant_properties",
        }:
            return "how the next change is rolled out"
        return None

    @classmethod
    def status(cls, client: AwsClient, known: Known) -> Status | None:
        try:
            answer = client.call("sagemaker", "DescribeEndpoint", EndpointName=known.id)
        except AwsError as error:
            missing(error)
            return Status("stopped", "it does not exist")
        told = str(answer["EndpointStatus"])
        state: Literal["running", "failed", "unknown"] = (
            "running" if told == "InService" else "unknown" if told in WORKING else "failed"
        )
        shares = ", ".join(
            f"{one['VariantName']} {one.get('CurrentWeight', 0):g} on {one.get('CurrentInstanceCount', 0)}"
            for one in answer.get("ProductionVariants", [])
        )
        return Status(state, ": ".join(part for part in (told, str(answer.get("FailureReason", "")) or shares) if part))


def _remedy(known: Known, status: str, runs: str) -> str:
    """What to do about an endpoint that did not come to serve."""
    found = f"Look at its logs (/aws/sagemaker/Endpoints/{known.id}), mend the cause, then run `mlinfra apply` again: "
    if status == FAILED:
        return found + "it serves nobody, and is made anew."
    if status == "UpdateRollbackFailed":
        return found + (
            f"it runs {runs} on some of its instances. If that is of no use, make it anew with --replace {known.address}; "
            "nobody is served meanwhile."
        )
    return found + f"it runs {runs or 'nothing'} now."
