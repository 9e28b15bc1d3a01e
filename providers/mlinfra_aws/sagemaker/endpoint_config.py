"""`aws.sagemaker_endpoint_configuration`: which models an endpoint runs, on what, and which share of requests each gets.

It never changes. To change what an endpoint runs, make another one beside it, point the endpoint at that, and then delete the
old one: recipes do so by a name and address that carry a hash of the content (`content_name`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Fields
from mlinfra_aws.names import digest
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import InstanceType, Name, RoleArn, SageMakerResource
from mlinfra_aws.sagemaker.model import VpcConfig


class Serverless(Part):
    """A variant without instances of its own."""

    max_concurrency: int = Field(ge=1, le=200)
    memory_size_in_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144]
    provisioned_concurrency: int | None = Field(None, ge=1, le=200)


class CoreDump(Part):
    """Where memory goes of a container that broke."""

    destination_s3_uri: str
    kms_key_id: str | None = None


class Routing(Part):
    """How requests are shared among instances."""

    routing_strategy: Literal["LEAST_OUTSTANDING_REQUESTS", "RANDOM"]


class ManagedScaling(Part):
    """Instances that come and go with what runs on them."""

    status: Literal["ENABLED", "DISABLED"] | None = None
    min_instance_count: int | None = Field(None, ge=0)
    max_instance_count: int | None = Field(None, ge=1)


class Variant(Part):
    """A model, what it runs on, and its share of requests."""

    variant_name: str = Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$", max_length=63)
    model_name: str | None = None
    instance_type: InstanceType | None = None
    initial_instance_count: int | None = Field(None, ge=0)
    initial_variant_weight: float | None = Field(None, ge=0)
    serverless_config: Serverless | None = None
    accelerator_type: str | None = None
    volume_size_in_gb: int | None = Field(None, ge=1, le=512)
    model_data_download_timeout_in_seconds: int | None = Field(None, ge=60, le=3600)
    container_startup_health_check_timeout_in_seconds: int | None = Field(None, ge=60, le=3600)
    enable_ssm_access: bool | None = None
    inference_ami_version: str | None = None
    core_dump_config: CoreDump | None = None
    managed_instance_scaling: ManagedScaling | None = None
    routing_config: Routing | None = None


class CaptureOption(Part):
    """What is captured."""

    capture_mode: Literal["Input", "Output", "InputAndOutput"]


class ContentTypes(Part):
    """Content types that are captured as text."""

    csv_content_types: list[str] = Field([], max_length=10)
    json_content_types: list[str] = Field([], max_length=10)


class DataCapture(Part):
    """Whether requests and answers are kept, and where."""

    enable_capture: bool = False
    initial_sampling_percentage: int = Field(ge=0, le=100)
    destination_s3_uri: str = Field(pattern=r"^(https|s3)://[^/]+/?.*$", max_length=512)
    kms_key_id: str | None = None
    capture_options: list[CaptureOption] = Field(min_length=1, max_length=32)
    capture_content_type_header: ContentTypes | None = None


class AsyncClient(Part):
    """How many requests an instance works at."""

    max_concurrent_invocations_per_instance: int | None = Field(None, ge=1, le=1000)


class Notifications(Part):
    """Topics that are told of results."""

    error_topic: str | None = None
    success_topic: str | None = None
    include_inference_response_in: list[Literal["SUCCESS_NOTIFICATION_TOPIC", "ERROR_NOTIFICATION_TOPIC"]] = []


class AsyncOutput(Part):
    """Where results go."""

    s3_output_path: str | None = None
    s3_failure_path: str | None = None
    kms_key_id: str | None = None
    notification_config: Notifications | None = None


class AsyncInference(Part):
    """Answers that are put into a bucket instead of waited for."""

    client_config: AsyncClient | None = None
    output_config: AsyncOutput


class EndpointConfiguration(SageMakerResource):
    """What an endpoint runs.

    Example::

        resource:
          fraud_config:
            type: aws.sagemaker_endpoint_configuration
            name: fraud-7
            production_variants:
              - { variant_name: champion, model_name: "${resource.fraud.name}", instance_type: ml.m5.large,
                  initial_instance_count: 1, initial_variant_weight: 1 }
    """

    type: ClassVar[str] = "aws.sagemaker_endpoint_configuration"
    noun: ClassVar[str] = "endpoint configuration"
    api: ClassVar[str] = "EndpointConfig"
    words: ClassVar[Mapping[str, str]] = {"name": "EndpointConfigName", "kms_key_arn": "KmsKeyId"}
    listing: ClassVar[tuple[str, str] | None] = ("ListEndpointConfigs", "EndpointConfigs")

    name: Annotated[Name, REPLACE]
    """Its name."""
    production_variants: Annotated[list[Variant], REPLACE] = Field(min_length=1, max_length=10)
    """What answers requests."""
    shadow_production_variants: Annotated[list[Variant], REPLACE] = Field([], max_length=10)
    """What gets copies of requests, and whose answers are thrown away."""
    data_capture_config: Annotated[DataCapture | None, REPLACE] = None
    """Whether requests and answers are kept."""
    async_inference_config: Annotated[AsyncInference | None, REPLACE] = None
    """Answers that are put into a bucket."""
    kms_key_arn: Annotated[str | None, REPLACE] = None
    """The key that encrypts the instances' disks."""
    execution_role_arn: Annotated[RoleArn | None, REPLACE] = None
    """The role of variants without a model of their own."""
    vpc_config: Annotated[VpcConfig | None, REPLACE] = None
    """The network of such variants."""
    enable_network_isolation: Annotated[bool, REPLACE] = False
    """Whether such variants can call nobody."""
    creation_time: Annotated[str | None, COMPUTED] = None
    """When it was made."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        found = super().normalise(fields, place)
        for name in ("production_variants", "shadow_production_variants"):
            # AWS says so of a variant that says nothing.
            found[name] = [{"initial_variant_weight": 1.0, **one} for one in found[name] or []]
        return found

    @classmethod
    def told(cls, client: Any, answer: Mapping[str, Any]) -> Fields | None:
        live = super().told(client, answer)
        assert live is not None
        for name in ("production_variants", "shadow_production_variants"):
            live[name] = [{"initial_variant_weight": 1.0, **one} for one in live.get(name, [])]
        live.setdefault("enable_network_isolation", False)
        return live


def content_name(base: str, content: Mapping[str, Any]) -> str:
    """A name that changes with the content (which may hold tokens: their text counts), 63 characters at most."""
    told = digest(json.dumps(content, sort_keys=True, default=str))
    return f"{base[: 63 - len(told) - 1].rstrip('-')}-{told}"
