"""`aws.sagemaker_processing_job`: data in, data out, on instances that are there for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE, VOLATILE
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import InstanceType, Name, RoleArn
from mlinfra_aws.sagemaker.job import Experiment, Job, VpcConfig


class AppSpecification(Part):
    """The image and what is run in it."""

    image_uri: str = Field(max_length=255)
    container_entrypoint: list[str] = Field([], max_length=100)
    container_arguments: list[str] = Field([], max_length=100)


class Cluster(Part):
    """Instances."""

    instance_type: InstanceType
    instance_count: int = Field(ge=1, le=100)
    volume_size_in_gb: int = Field(ge=1, le=16384)
    volume_kms_key_id: str | None = None


class ProcessingResources(Part):
    """What it runs on."""

    cluster_config: Cluster


class S3Input(Part):
    """Objects that are put into a folder."""

    s3_uri: str = Field(pattern=r"^(https|s3)://([^/]+)/?(.*)$", max_length=1024)
    local_path: str | None = Field(None, max_length=256)
    s3_data_type: Literal["ManifestFile", "S3Prefix"]
    s3_input_mode: Literal["Pipe", "File"] | None = None
    s3_data_distribution_type: Literal["FullyReplicated", "ShardedByS3Key"] | None = None
    s3_compression_type: Literal["None", "Gzip"] | None = None


class ProcessingInput(Part):
    """Data under a name."""

    input_name: str
    s3_input: S3Input
    app_managed: bool | None = None


class S3Output(Part):
    """A folder that is put into a bucket."""

    s3_uri: str = Field(pattern=r"^(https|s3)://([^/]+)/?(.*)$", max_length=1024)
    local_path: str | None = Field(None, max_length=256)
    s3_upload_mode: Literal["Continuous", "EndOfJob"]


class FeatureStoreOutput(Part):
    """A feature group that is written to."""

    feature_group_name: str


class ProcessingOutput(Part):
    """What it makes, under a name."""

    output_name: str
    s3_output: S3Output | None = None
    feature_store_output: FeatureStoreOutput | None = None
    app_managed: bool | None = None


class OutputConfig(Part):
    """What it makes."""

    outputs: list[ProcessingOutput] = Field([], max_length=10)
    kms_key_id: str | None = None


class Network(Part):
    """The network that it is in."""

    enable_inter_container_traffic_encryption: bool | None = None
    enable_network_isolation: bool | None = None
    vpc_config: VpcConfig | None = None


class Stopping(Part):
    """How long it may take."""

    max_runtime_in_seconds: int = Field(ge=1, le=777600)


class ProcessingJob(Job):
    """A processing job. It is started when it is made, and is there once it is through; `mlinfra run` processes again.

    Example::

        resource:
          prepare:
            type: aws.sagemaker_processing_job
            processing_job_name: prepare-1
            role_arn: ${resource.trainer.arn}
            app_specification: { image_uri: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/prepare:1" }
            processing_resources:
              cluster_config: { instance_type: ml.m5.large, instance_count: 1, volume_size_in_gb: 30 }
    """

    type: ClassVar[str] = "aws.sagemaker_processing_job"
    noun: ClassVar[str] = "processing job"
    api: ClassVar[str] = "ProcessingJob"
    words: ClassVar[Mapping[str, str]] = {"processing_job_name": "ProcessingJobName"}
    listing: ClassVar[tuple[str, str] | None] = ("ListProcessingJobs", "ProcessingJobSummaries")
    stamp: ClassVar[str] = "LastModifiedTime"

    processing_job_name: Annotated[Name, REPLACE]
    """Its name."""
    role_arn: Annotated[RoleArn, REPLACE]
    """The role that it has."""
    app_specification: Annotated[AppSpecification, REPLACE]
    """What is run."""
    processing_resources: Annotated[ProcessingResources, REPLACE]
    """What it runs on."""
    processing_inputs: Annotated[list[ProcessingInput], REPLACE] = Field([], max_length=10)
    """What it is given."""
    processing_output_config: Annotated[OutputConfig | None, REPLACE] = None
    """What it makes."""
    stopping_condition: Annotated[Stopping | None, REPLACE] = None
    """How long it may take."""
    environment: Annotated[dict[str, str], REPLACE] = Field({}, max_length=100)
    """Environment variables."""
    network_config: Annotated[Network | None, REPLACE] = None
    """The network that it is in."""
    experiment_config: Annotated[Experiment | None, REPLACE] = None
    """The experiment that it belongs to."""
    processing_job_status: Annotated[str | None, VOLATILE] = None
    last_modified_time: Annotated[str | None, VOLATILE] = None
