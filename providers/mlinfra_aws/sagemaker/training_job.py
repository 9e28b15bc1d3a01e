"""`aws.sagemaker_training_job`: one training, on instances that are there for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE, VOLATILE
from mlinfra.sdk.resource import Fields
from mlinfra_aws.client import AwsClient
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import InstanceType, Name, RoleArn
from mlinfra_aws.sagemaker.job import Experiment, Job, VpcConfig

S3Uri = Annotated[str, Field(pattern=r"^(https|s3)://([^/]+)/?(.*)$", max_length=1024)]


class MetricDefinition(Part):
    """A figure that is read from what the job prints."""

    name: str = Field(min_length=1, max_length=255)
    regex: str = Field(min_length=1, max_length=500)


class Algorithm(Part):
    """The image, or the algorithm, and how it is given its data."""

    training_image: str | None = Field(None, max_length=255)
    algorithm_name: str | None = Field(None, max_length=170)
    training_input_mode: Literal["Pipe", "File", "FastFile"]
    metric_definitions: list[MetricDefinition] = Field([], max_length=40)
    container_entrypoint: list[str] = Field([], max_length=100)
    container_arguments: list[str] = Field([], max_length=100)


class S3Source(Part):
    """Objects of a bucket."""

    s3_data_type: Literal["ManifestFile", "S3Prefix", "AugmentedManifestFile", "Converse"]
    s3_uri: S3Uri
    s3_data_distribution_type: Literal["FullyReplicated", "ShardedByS3Key"] | None = None
    attribute_names: list[str] = Field([], max_length=16)


class DataSource(Part):
    """Where data comes from."""

    s3_data_source: S3Source


class Channel(Part):
    """Data under a name."""

    channel_name: str = Field(pattern=r"^[A-Za-z0-9.\-_]{1,64}$")
    data_source: DataSource
    content_type: str | None = Field(None, max_length=256)
    compression_type: Literal["None", "Gzip"] | None = None
    record_wrapper_type: Literal["None", "RecordIO"] | None = None
    input_mode: Literal["Pipe", "File", "FastFile"] | None = None


class Output(Part):
    """Where the model goes."""

    s3_output_path: S3Uri
    kms_key_id: str | None = None
    compression_type: Literal["GZIP", "NONE"] | None = None


class Resources(Part):
    """What it runs on."""

    instance_type: InstanceType
    instance_count: int = Field(ge=1)
    volume_size_in_gb: int = Field(ge=1)
    volume_kms_key_id: str | None = None
    keep_alive_period_in_seconds: int | None = Field(None, ge=0, le=21600)


class Stopping(Part):
    """How long it may take."""

    max_runtime_in_seconds: int | None = Field(None, ge=1)
    max_wait_time_in_seconds: int | None = Field(None, ge=1)


class Checkpoints(Part):
    """Where it puts what it can go on from."""

    s3_uri: S3Uri
    local_path: str | None = None


class Retries(Part):
    """How often it is started again after a failure of AWS."""

    maximum_retry_attempts: int = Field(ge=1, le=30)


class TrainingJob(Job):
    """A training. It is started when it is made, and is there once it is through; `mlinfra run` trains again.

    Example::

        resource:
          train:
            type: aws.sagemaker_training_job
            training_job_name: fraud-1
            role_arn: ${resource.trainer.arn}
            algorithm_specification: { training_image: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/train:1",
                                       training_input_mode: File }
            output_data_config: { s3_output_path: "s3://acme-models/fraud" }
            resource_config: { instance_type: ml.m5.large, instance_count: 1, volume_size_in_gb: 30 }
            stopping_condition: { max_runtime_in_seconds: 3600 }
    """

    type: ClassVar[str] = "aws.sagemaker_training_job"
    noun: ClassVar[str] = "training job"
    api: ClassVar[str] = "TrainingJob"
    words: ClassVar[Mapping[str, str]] = {"training_job_name": "TrainingJobName"}
    listing: ClassVar[tuple[str, str] | None] = ("ListTrainingJobs", "TrainingJobSummaries")
    stamp: ClassVar[str] = "LastModifiedTime"

    training_job_name: Annotated[Name, REPLACE]
    """Its name."""
    role_arn: Annotated[RoleArn, REPLACE]
    """The role that it has."""
    algorithm_specification: Annotated[Algorithm, REPLACE]
    """What is run."""
    hyper_parameters: Annotated[dict[str, str], REPLACE] = Field({}, max_length=100)
    """What it is told."""
    input_data_config: Annotated[list[Channel], REPLACE] = Field([], max_length=20)
    """What it learns from."""
    output_data_config: Annotated[Output, REPLACE]
    """Where the model goes."""
    resource_config: Annotated[Resources, REPLACE]
    """What it runs on."""
    stopping_condition: Annotated[Stopping, REPLACE]
    """How long it may take."""
    vpc_config: Annotated[VpcConfig | None, REPLACE] = None
    """The network that it is in."""
    environment: Annotated[dict[str, str], REPLACE] = Field({}, max_length=100)
    """Environment variables."""
    checkpoint_config: Annotated[Checkpoints | None, REPLACE] = None
    """Where it puts what it can go on from."""
    retry_strategy: Annotated[Retries | None, REPLACE] = None
    """How often it is started again."""
    experiment_config: Annotated[Experiment | None, REPLACE] = None
    """The experiment that it belongs to."""
    enable_managed_spot_training: Annotated[bool, REPLACE] = False
    """Whether it runs on instances that AWS can take away."""
    enable_network_isolation: Annotated[bool, REPLACE] = False
    """Whether it can call nobody."""
    enable_inter_container_traffic_encryption: Annotated[bool, REPLACE] = False
    """Whether its instances talk encrypted."""
    training_job_status: Annotated[str | None, VOLATILE] = None
    last_modified_time: Annotated[str | None, VOLATILE] = None
    s3_model_artifacts: Annotated[str | None, COMPUTED] = None
    """Where the model is."""

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        live = super().told(client, answer) or {}
        flags = ("enable_managed_spot_training", "enable_network_isolation")
        for name in (*flags, "enable_inter_container_traffic_encryption"):
            live.setdefault(name, False)
        live["s3_model_artifacts"] = answer.get("ModelArtifacts", {}).get("S3ModelArtifacts")
        return live

    @classmethod
    def outcome(cls, answer: Mapping[str, Any]) -> Fields:
        metrics = {one["MetricName"]: one["Value"] for one in answer.get("FinalMetricDataList", [])}
        return {
            "model": answer.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
            **({"metrics": metrics} if metrics else {}),
        }
