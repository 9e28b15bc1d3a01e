"""`aws.sagemaker_data_quality_job_definition`: how captured requests are compared with a baseline. It never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Fields, Known
from mlinfra_aws.client import AwsClient
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import Name, RoleArn, SageMakerResource
from mlinfra_aws.sagemaker.declared import declared
from mlinfra_aws.sagemaker.processing_job import Cluster, Network

S3Uri = Annotated[str, Field(pattern=r"^(https|s3)://([^/]+)/?(.*)$", max_length=1024)]


class Resource(Part):
    """A file in a bucket."""

    s3_uri: S3Uri


class Baseline(Part):
    """What is usual."""

    baselining_job_name: str | None = None
    constraints_resource: Resource | None = None
    statistics_resource: Resource | None = None


class MonitorApp(Part):
    """The image that compares."""

    image_uri: str = Field(max_length=255)
    container_entrypoint: list[str] = Field([], max_length=100)
    container_arguments: list[str] = Field([], max_length=50)
    record_preprocessor_source_uri: S3Uri | None = None
    post_analytics_processor_source_uri: S3Uri | None = None
    environment: dict[str, str] = Field({}, max_length=50)


class EndpointInput(Part):
    """What an endpoint captured."""

    endpoint_name: str
    local_path: str = Field("/opt/ml/processing/input", max_length=256)
    s3_input_mode: Literal["Pipe", "File"] | None = None
    s3_data_distribution_type: Literal["FullyReplicated", "ShardedByS3Key"] | None = None
    features_attribute: str | None = None
    inference_attribute: str | None = None
    probability_attribute: str | None = None
    probability_threshold_attribute: float | None = None
    start_time_offset: str | None = None
    end_time_offset: str | None = None
    exclude_features_attribute: str | None = None


class BatchTransformInput(Part):
    """What a batch transform captured."""

    data_captured_destination_s3_uri: S3Uri
    dataset_format: dict[Literal["csv", "json", "parquet"], dict[str, bool]]
    local_path: str = Field("/opt/ml/processing/input", max_length=256)
    s3_input_mode: Literal["Pipe", "File"] | None = None
    s3_data_distribution_type: Literal["FullyReplicated", "ShardedByS3Key"] | None = None
    exclude_features_attribute: str | None = None


class JobInput(Part):
    """What is looked at."""

    endpoint_input: EndpointInput | None = None
    batch_transform_input: BatchTransformInput | None = None


class MonitorS3Output(Part):
    """Where a report goes."""

    s3_uri: S3Uri
    local_path: str = Field("/opt/ml/processing/output", max_length=256)
    s3_upload_mode: Literal["Continuous", "EndOfJob"] | None = None


class MonitorOutput(Part):
    """A report."""

    s3_output: MonitorS3Output


class JobOutput(Part):
    """What is told."""

    monitoring_outputs: list[MonitorOutput] = Field(min_length=1, max_length=1)
    kms_key_id: str | None = None


class JobResources(Part):
    """What it runs on."""

    cluster_config: Cluster


class Stopping(Part):
    """How long it may take."""

    max_runtime_in_seconds: int = Field(ge=1, le=86400)


class DataQualityJobDefinition(SageMakerResource):
    """How data is monitored. A monitoring schedule runs it.

    Example::

        resource:
          drift:
            type: aws.sagemaker_data_quality_job_definition
            name: fraud-drift
            role_arn: ${resource.monitor.arn}
            data_quality_app_specification: { image_uri: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/monitor:1" }
            data_quality_job_input: { endpoint_input: { endpoint_name: "${resource.fraud.name}" } }
            data_quality_job_output_config: { monitoring_outputs: [{ s3_output: { s3_uri: "s3://acme-reports/drift" } }] }
            job_resources: { cluster_config: { instance_type: ml.m5.large, instance_count: 1, volume_size_in_gb: 20 } }
    """

    type: ClassVar[str] = "aws.sagemaker_data_quality_job_definition"
    noun: ClassVar[str] = "data quality job definition"
    api: ClassVar[str] = "DataQualityJobDefinition"
    words: ClassVar[Mapping[str, str]] = {"name": "JobDefinitionName"}

    name: Annotated[Name, REPLACE]
    """Its name."""
    role_arn: Annotated[RoleArn, REPLACE]
    """The role that its jobs have."""
    data_quality_app_specification: Annotated[MonitorApp, REPLACE]
    """What compares."""
    data_quality_baseline_config: Annotated[Baseline | None, REPLACE] = None
    """What is usual."""
    data_quality_job_input: Annotated[JobInput, REPLACE]
    """What is looked at."""
    data_quality_job_output_config: Annotated[JobOutput, REPLACE]
    """What is told."""
    job_resources: Annotated[JobResources, REPLACE]
    """What its jobs run on."""
    network_config: Annotated[Network | None, REPLACE] = None
    """The network that its jobs are in."""
    stopping_condition: Annotated[Stopping | None, REPLACE] = None
    """How long a job may take."""
    creation_time: Annotated[str | None, COMPUTED] = None
    """When it was made."""

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        return super().told(client, {**answer, f"{cls.api}Arn": answer["JobDefinitionArn"]})

    @classmethod
    def described(cls, client: AwsClient, known: Known) -> Fields | None:
        live = super().described(client, known)
        return live and {name: declared(value, known.fields.get(name)) for name, value in live.items()}
