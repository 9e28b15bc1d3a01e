"""Samples of SageMaker."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.samples.iam import role

IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/fraud"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/aaaaaaaa-0000-4000-8000-000000000000"
ROLES = {"role": role("server"), "other_role": role("other-server")}
ROLE, OTHER_ROLE = "${resource.role.arn}", "${resource.other_role.arn}"
NETWORK = {"security_group_ids": ["sg-1"], "subnets": ["subnet-1", "subnet-2"]}


def container(version: str) -> dict[str, Any]:
    """A container with model data of a version."""
    return {
        "image": f"{IMAGE}:{version}",
        "model_data_url": f"s3://lab-models/{version}/model.tar.gz",
        "environment": {"VERSION": version},
    }


def model(name: str) -> dict[str, Any]:
    """A model for other samples."""
    return {
        "type": "aws.sagemaker_model",
        "name": name,
        "execution_role_arn": ROLE,
        "primary_container": container("1"),
    }


def config(name: str, weight: float = 1.0) -> dict[str, Any]:
    """An endpoint configuration for other samples."""
    return {
        "type": "aws.sagemaker_endpoint_configuration",
        "name": name,
        "production_variants": [variant("${resource.model.name}", weight)],
    }


def variant(model: str, weight: float = 1.0) -> dict[str, Any]:
    """A variant on one instance."""
    return {
        "variant_name": "champion",
        "model_name": model,
        "instance_type": "ml.m5.large",
        "initial_instance_count": 1,
        "initial_variant_weight": weight,
    }


def capture(percentage: int) -> dict[str, Any]:
    """A share of requests is kept."""
    return {
        "enable_capture": True,
        "initial_sampling_percentage": percentage,
        "destination_s3_uri": "s3://lab-capture/fraud",
        "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
    }


def features(*more: str, kind: str = "Fractional") -> list[dict[str, str]]:
    """Features of a user."""
    return [
        {"feature_name": "user_id", "feature_type": "String"},
        {"feature_name": "at", "feature_type": "String"},
        *({"feature_name": name, "feature_type": kind} for name in more),
    ]


def tag(word: str) -> Outside:
    """Somebody changes a tag."""

    def change(lab: Lab, id: str) -> Any:
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:{word}/{id}"
        return lab.boto("sagemaker").add_tags(ResourceArn=arn, Tags=[{"Key": "team", "Value": "someone"}])

    return change


TAGS = {"tags": {"team": "fraud"}}
OTHER_TAGS = {"tags": {"team": "risk", "more": "tags"}}
SAMPLES = [
    Sample(
        "aws.sagemaker_model",
        {
            "name": "fraud",
            "execution_role_arn": ROLE,
            "primary_container": container("1"),
            "vpc_config": NETWORK,
            "enable_network_isolation": True,
            **TAGS,
        },
        updates=OTHER_TAGS,
        replaces={
            "name": "other",
            "execution_role_arn": OTHER_ROLE,
            "primary_container": container("2"),
            "vpc_config": {**NETWORK, "subnets": ["subnet-3"]},
            "enable_network_isolation": False,
        },
        resets={"tags": None},
        untried={
            "container": "instead of primary_container: tried in the sample after this",
            "inference_execution_config": "the same",
        },
        outside={"tags": tag("model")},
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_model(ModelName=id),
        noop_calls=2,
    ),
    Sample(
        "aws.sagemaker_model",
        {
            "name": "chain",
            "execution_role_arn": ROLE,
            "container": [container("1"), {**container("2"), "container_hostname": "second"}],
            "inference_execution_config": {"mode": "Serial"},
        },
        replaces={
            "container": [container("1"), container("3")],
            "inference_execution_config": {"mode": "Direct"},
        },
        untried=dict.fromkeys(
            ("name", "execution_role_arn", "primary_container", "vpc_config", "enable_network_isolation", "tags"),
            "tried in the sample before this",
        ),
        needs=ROLES,
        noop_calls=1,
    ),
    Sample(
        "aws.sagemaker_endpoint_configuration",
        {
            "name": "fraud-1",
            "production_variants": [variant("${resource.model.name}")],
            "shadow_production_variants": [{**variant("${resource.model.name}"), "variant_name": "shadow"}],
            "data_capture_config": capture(10),
            "kms_key_arn": KEY,
            "async_inference_config": {"output_config": {"s3_output_path": "s3://lab-answers/"}},
            "vpc_config": NETWORK,
            "execution_role_arn": ROLE,
            "enable_network_isolation": True,
            **TAGS,
        },
        updates=OTHER_TAGS,
        replaces={
            "name": "fraud-2",
            "production_variants": [
                {
                    "variant_name": "champion",
                    "model_name": "${resource.model.name}",
                    "serverless_config": {"max_concurrency": 5, "memory_size_in_mb": 2048},
                }
            ],
            "shadow_production_variants": [{**variant("${resource.model.name}", 2), "variant_name": "shadow"}],
            "data_capture_config": capture(20),
            "kms_key_arn": KEY.replace("a", "b").replace("brn:bws", "arn:aws"),
            "async_inference_config": {"output_config": {"s3_output_path": "s3://lab-other-answers/"}},
            "vpc_config": {**NETWORK, "subnets": ["subnet-3"]},
            "execution_role_arn": OTHER_ROLE,
            "enable_network_isolation": False,
        },
        resets={"tags": None},
        outside={"tags": tag("endpoint-config")},
        needs={**ROLES, "model": model("fraud")},
        remove=lambda lab, id: lab.boto("sagemaker").delete_endpoint_config(EndpointConfigName=id),
        noop_calls=3,
    ),
    Sample(
        "aws.sagemaker_endpoint",
        {
            "name": "fraud",
            "endpoint_config_name": "${resource.first.name}",
            "deployment_config": {"auto_rollback_configuration": {"alarms": [{"alarm_name": "errors"}]}},
            "retain_all_variant_properties": True,
            "exclude_retained_variant_properties": ["DesiredWeight"],
            **TAGS,
        },
        updates={
            "endpoint_config_name": "${resource.second.name}",
            "deployment_config": {"auto_rollback_configuration": {"alarms": [{"alarm_name": "latency"}]}},
            "retain_all_variant_properties": False,
            "exclude_retained_variant_properties": ["DesiredInstanceCount"],
            **OTHER_TAGS,
        },
        replaces={"name": "other"},
        resets={"tags": None},
        outside={
            "endpoint_config_name": lambda lab, id: lab.boto("sagemaker").update_endpoint(
                EndpointName=id, EndpointConfigName="fraud-2"
            ),
            "tags": tag("endpoint"),
        },
        needs={**ROLES, "model": model("fraud"), "first": config("fraud-1"), "second": config("fraud-2", 2.0)},
        remove=lambda lab, id: lab.boto("sagemaker").delete_endpoint(EndpointName=id),
        noop_calls=6,
    ),
    Sample(
        "aws.sagemaker_feature_group",
        {
            "feature_group_name": "users",
            "record_identifier_feature_name": "user_id",
            "event_time_feature_name": "at",
            "role_arn": ROLE,
            "feature_definition": features("amount", "count"),
            "online_store_config": {"enable_online_store": True, "ttl_duration": {"unit": "Days", "value": 7}},
            "offline_store_config": {"s3_storage_config": {"s3_uri": "s3://lab-features"}},
            "throughput_config": {"throughput_mode": "OnDemand"},
            "description": "of users",
            **TAGS,
        },
        updates={
            "feature_definition": features("amount", "count", "age"),
            "throughput_config": {
                "throughput_mode": "Provisioned",
                "provisioned_read_capacity_units": 5,
                "provisioned_write_capacity_units": 5,
            },
            **OTHER_TAGS,
        },
        one_way=("feature_definition",),
        replaces={
            "feature_group_name": "accounts",
            "record_identifier_feature_name": "at",
            "event_time_feature_name": "user_id",
            "role_arn": OTHER_ROLE,
            "offline_store_config": {"s3_storage_config": {"s3_uri": "s3://lab-other-features"}},
            "description": "of others",
        },
        resets={"tags": None},
        untried={
            "online_store_config": "only part of it changes in place: tried in test_services",
            "feature_definition": "what somebody added outside cannot be taken away: tried in test_services",
        },
        outside={
            # Somebody's own features are put on top, and nobody but a replacement takes them away: see test_services.
            "throughput_config": lambda lab, id: lab.boto("sagemaker").update_feature_group(
                FeatureGroupName=id,
                ThroughputConfig={
                    "ThroughputMode": "Provisioned",
                    "ProvisionedReadCapacityUnits": 1,
                    "ProvisionedWriteCapacityUnits": 1,
                },
            ),
            "tags": tag("feature-group"),
        },
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_feature_group(FeatureGroupName=id),
        name="feature_group_name",
        noop_calls=6,
    ),
    Sample(
        "aws.sagemaker_model_package_group",
        {"model_package_group_name": "fraud", "model_package_group_description": "finds fraud", **TAGS},
        updates=OTHER_TAGS,
        replaces={"model_package_group_name": "other", "model_package_group_description": "finds more"},
        resets={"tags": None},
        outside={"tags": tag("model-package-group")},
        remove=lambda lab, id: lab.boto("sagemaker").delete_model_package_group(ModelPackageGroupName=id),
        name="model_package_group_name",
        noop_calls=2,
    ),
    Sample(
        "aws.sagemaker_pipeline",
        {
            "pipeline_name": "train",
            "pipeline_display_name": "train-all",
            "pipeline_description": "trains",
            "pipeline_definition": {
                "Version": "2020-12-01",
                "Parameters": [],
                "Steps": [{"Name": "one", "Type": "Fail"}],
            },
            "role_arn": ROLE,
            "parallelism_configuration": {"max_parallel_execution_steps": 3},
            **TAGS,
        },
        updates={
            "pipeline_display_name": "train-some",
            "pipeline_description": "trains more",
            "pipeline_definition": {"Version": "2020-12-01", "Steps": [{"Name": "two", "Type": "Fail"}]},
            "role_arn": OTHER_ROLE,
            "parallelism_configuration": {"max_parallel_execution_steps": 5},
            **OTHER_TAGS,
        },
        replaces={"pipeline_name": "other"},
        resets={"tags": None},
        outside={
            name: lambda lab, id, told=told: lab.boto("sagemaker").update_pipeline(PipelineName=id, **told)
            for name, told in {
                "pipeline_display_name": {"PipelineDisplayName": "mine"},
                "pipeline_description": {"PipelineDescription": "mine"},
                "pipeline_definition": {"PipelineDefinition": '{"Version": "2020-12-01", "Steps": []}'},
                "parallelism_configuration": {"ParallelismConfiguration": {"MaxParallelExecutionSteps": 1}},
            }.items()
        }
        | {
            "role_arn": lambda lab, id: lab.boto("sagemaker").update_pipeline(
                PipelineName=id, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/other-server"
            ),
            "tags": tag("pipeline"),
        },
        needs=ROLES,
        remove=lambda lab, id: lab.boto("sagemaker").delete_pipeline(PipelineName=id, ClientRequestToken="x" * 32),
        name="pipeline_name",
        noop_calls=2,
    ),
]
