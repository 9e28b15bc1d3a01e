"""Samples of SageMaker: jobs, monitoring and MLflow's tracking servers."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Sample
from tests.providers.aws.lab import ACCOUNT, REGION
from tests.providers.aws.samples.sagemaker import KEY, NETWORK, OTHER_ROLE, OTHER_TAGS, ROLE, ROLES, TAGS, tag

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/train"


def channel(name: str) -> dict[str, Any]:
    """Data of a day."""
    source = {"s3_data_type": "S3Prefix", "s3_uri": f"s3://lab-data/{name}"}
    return {"channel_name": "train", "data_source": {"s3_data_source": source}, "content_type": "text/csv"}


def processed(name: str) -> dict[str, Any]:
    """What a processing job is given."""
    source = {"s3_uri": f"s3://lab-data/{name}", "local_path": "/opt/ml/processing/in", "s3_data_type": "S3Prefix"}
    return {"input_name": "data", "s3_input": source}


def output(name: str) -> dict[str, Any]:
    """What a processing job makes."""
    where = {"s3_uri": f"s3://lab-out/{name}", "local_path": "/opt/ml/processing/out", "s3_upload_mode": "EndOfJob"}
    return {"outputs": [{"output_name": "data", "s3_output": where}], "kms_key_id": KEY}


def cluster(count: int) -> dict[str, Any]:
    """Instances."""
    return {"cluster_config": {"instance_type": "ml.m5.large", "instance_count": count, "volume_size_in_gb": 30}}


def definition(name: str) -> dict[str, Any]:
    """A job definition for other samples."""
    return {
        "type": "aws.sagemaker_data_quality_job_definition",
        "name": name,
        "role_arn": ROLE,
        "data_quality_app_specification": {"image_uri": f"{IMAGE}:1"},
        "data_quality_job_input": {"endpoint_input": {"endpoint_name": "fraud"}},
        "data_quality_job_output_config": report("drift"),
        "job_resources": cluster(1),
    }


def report(name: str) -> dict[str, Any]:
    """Where a report goes."""
    return {"monitoring_outputs": [{"s3_output": {"s3_uri": f"s3://lab-reports/{name}"}}]}


def schedule(definition: str, expression: str) -> dict[str, Any]:
    """What is run, and when."""
    return {
        "monitoring_job_definition_name": definition,
        "monitoring_type": "DataQuality",
        "schedule_config": {"schedule_expression": expression},
    }


SAMPLES = [
    Sample(
        "aws.sagemaker_training_job",
        {
            "training_job_name": "fraud-1",
            "role_arn": ROLE,
            "algorithm_specification": {
                "training_image": f"{IMAGE}:1",
                "training_input_mode": "File",
                "metric_definitions": [{"name": "auc", "regex": "auc=([0-9.]+)"}],
            },
            "hyper_parameters": {"depth": "3"},
            "input_data_config": [channel("monday")],
            "output_data_config": {"s3_output_path": "s3://lab-models", "kms_key_id": KEY},
            "resource_config": {"instance_type": "ml.m5.large", "instance_count": 1, "volume_size_in_gb": 30},
            "stopping_condition": {"max_runtime_in_seconds": 3600},
            "vpc_config": NETWORK,
            "environment": {"STAGE": "test"},
            "checkpoint_config": {"s3_uri": "s3://lab-checkpoints"},
            "retry_strategy": {"maximum_retry_attempts": 2},
            "experiment_config": {"experiment_name": "fraud"},
            "enable_managed_spot_training": False,
            "enable_network_isolation": True,
            "enable_inter_container_traffic_encryption": True,
            **TAGS,
        },
        updates=OTHER_TAGS,
        replaces={
            "training_job_name": "fraud-2",
            "role_arn": OTHER_ROLE,
            "algorithm_specification": {"training_image": f"{IMAGE}:2", "training_input_mode": "File"},
            "hyper_parameters": {"depth": "5"},
            "input_data_config": [channel("friday")],
            "output_data_config": {"s3_output_path": "s3://lab-other-models"},
            "resource_config": {"instance_type": "ml.m5.large", "instance_count": 2, "volume_size_in_gb": 30},
            "stopping_condition": {"max_runtime_in_seconds": 7200},
            "vpc_config": {**NETWORK, "subnets": ["subnet-3"]},
            "environment": {"STAGE": "other"},
            "checkpoint_config": {"s3_uri": "s3://lab-other-checkpoints"},
            "retry_strategy": {"maximum_retry_attempts": 3},
            "experiment_config": {"experiment_name": "other"},
            "enable_managed_spot_training": True,
            "enable_network_isolation": False,
            "enable_inter_container_traffic_encryption": False,
        },
        resets={"tags": None},
        outside={"tags": tag("training-job")},
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_training_job(TrainingJobName=id),
        name="training_job_name",
        noop_calls=2,
    ),
    Sample(
        "aws.sagemaker_processing_job",
        {
            "processing_job_name": "prepare-1",
            "role_arn": ROLE,
            "app_specification": {"image_uri": f"{IMAGE}:1", "container_arguments": ["--day", "monday"]},
            "processing_resources": cluster(1),
            "processing_inputs": [processed("monday")],
            "processing_output_config": output("monday"),
            "stopping_condition": {"max_runtime_in_seconds": 3600},
            "environment": {"STAGE": "test"},
            "network_config": {"enable_network_isolation": True, "vpc_config": NETWORK},
            "experiment_config": {"experiment_name": "fraud"},
            **TAGS,
        },
        updates=OTHER_TAGS,
        replaces={
            "processing_job_name": "prepare-2",
            "role_arn": OTHER_ROLE,
            "app_specification": {"image_uri": f"{IMAGE}:2"},
            "processing_resources": cluster(2),
            "processing_inputs": [processed("friday")],
            "processing_output_config": output("friday"),
            "stopping_condition": {"max_runtime_in_seconds": 7200},
            "environment": {"STAGE": "other"},
            "network_config": {"enable_network_isolation": False},
            "experiment_config": {"experiment_name": "other"},
        },
        resets={"tags": None},
        outside={"tags": tag("processing-job")},
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_processing_job(ProcessingJobName=id),
        name="processing_job_name",
        noop_calls=2,
    ),
    Sample(
        "aws.sagemaker_data_quality_job_definition",
        {
            "name": "drift",
            "role_arn": ROLE,
            "data_quality_app_specification": {"image_uri": f"{IMAGE}:1", "environment": {"MODE": "all"}},
            "data_quality_baseline_config": {"statistics_resource": {"s3_uri": "s3://lab-baseline/statistics.json"}},
            "data_quality_job_input": {"endpoint_input": {"endpoint_name": "fraud"}},
            "data_quality_job_output_config": report("drift"),
            "job_resources": cluster(1),
            "network_config": {"enable_network_isolation": True, "vpc_config": NETWORK},
            "stopping_condition": {"max_runtime_in_seconds": 3600},
            **TAGS,
        },
        updates=OTHER_TAGS,
        replaces={
            "name": "other",
            "role_arn": OTHER_ROLE,
            "data_quality_app_specification": {"image_uri": f"{IMAGE}:2"},
            "data_quality_baseline_config": {"statistics_resource": {"s3_uri": "s3://lab-baseline/other.json"}},
            "data_quality_job_input": {"endpoint_input": {"endpoint_name": "other"}},
            "data_quality_job_output_config": report("other"),
            "job_resources": cluster(2),
            "network_config": {"enable_network_isolation": False},
            "stopping_condition": {"max_runtime_in_seconds": 1800},
        },
        resets={"tags": None},
        outside={"tags": tag("data-quality-job-definition")},
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_data_quality_job_definition(JobDefinitionName=id),
        noop_calls=6,
    ),
    Sample(
        "aws.sagemaker_monitoring_schedule",
        {
            "name": "hourly",
            "monitoring_schedule_config": schedule("${resource.first.name}", "cron(0 * ? * * *)"),
            **TAGS,
        },
        updates={
            "monitoring_schedule_config": schedule("${resource.second.name}", "cron(0 3 ? * * *)"),
            **OTHER_TAGS,
        },
        replaces={"name": "daily"},
        resets={"tags": None},
        outside={
            "monitoring_schedule_config": lambda lab, id: lab.boto("sagemaker").update_monitoring_schedule(
                MonitoringScheduleName=id,
                MonitoringScheduleConfig={
                    "MonitoringJobDefinitionName": "drift-1",
                    "MonitoringType": "DataQuality",
                    "ScheduleConfig": {"ScheduleExpression": "cron(0 9 ? * * *)"},
                },
            ),
            "tags": tag("monitoring-schedule"),
        },
        needs={**ROLES, "first": definition("drift-1"), "second": definition("drift-2")},
        remove=lambda lab, id: lab.boto("sagemaker").delete_monitoring_schedule(MonitoringScheduleName=id),
        noop_calls=6,
    ),
    Sample(
        "aws.sagemaker_mlflow_tracking_server",
        {
            "tracking_server_name": "fraud",
            "artifact_store_uri": "s3://lab-mlflow/fraud",
            "role_arn": ROLE,
            "tracking_server_size": "Small",
            "mlflow_version": "2.16.2",
            "automatic_model_registration": False,
            "weekly_maintenance_window_start": "Sun:04:30",
            **TAGS,
        },
        updates={
            "artifact_store_uri": "s3://lab-mlflow/other",
            "tracking_server_size": "Medium",
            "automatic_model_registration": True,
            "weekly_maintenance_window_start": "Mon:04:30",
            **OTHER_TAGS,
        },
        replaces={"tracking_server_name": "other", "role_arn": OTHER_ROLE, "mlflow_version": "2.13.2"},
        resets={"tags": None},
        outside={
            name: lambda lab, id, told=told: lab.boto("sagemaker").update_mlflow_tracking_server(
                TrackingServerName=id, **told
            )
            for name, told in {
                "artifact_store_uri": {"ArtifactStoreUri": "s3://lab-mlflow/mine"},
                "tracking_server_size": {"TrackingServerSize": "Large"},
                "automatic_model_registration": {"AutomaticModelRegistration": True},
                "weekly_maintenance_window_start": {"WeeklyMaintenanceWindowStart": "Fri:04:30"},
            }.items()
        }
        | {"tags": tag("mlflow-tracking-server")},
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_mlflow_tracking_server(TrackingServerName=id),
        name="tracking_server_name",
        noop_calls=6,
    ),
]
