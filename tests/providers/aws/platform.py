"""A small platform of every kind that AWS has, and a census of all there is in the account because of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Boto = Callable[[str], Any]
"""Gives a client of a service, as somebody else than mlinfra would use it."""


def sections(folder: Path, *, grown: bool = False) -> dict[str, Any]:
    """The sections of a blueprint in ``folder``, with the files that they name. ``grown``: changed in place, beside and anew."""
    for name, text in {"data/a.csv": "id\n1\n", "code/train.py": "print('trained')\n"}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    features = {"txn_count": "int64", "avg_amount": "float64"} | ({"country": "string"} if grown else {})
    variants = {
        "champion": {"model": "registry.models/fraud@champion", "weight": 80 if grown else 100},
        **({"steady": {"model": "registry.models/fraud:1", "weight": 20}} if grown else {}),
    }
    return {
        "storage": {"lake": {"contents": "data", "versioning": grown, "encryption": "kms"}},
        "secret": {"token": {"generate": True}},
        "registry": {"models": {"models": {"fraud": {"aliases": ["champion"]}}}},
        "feature_store": {
            "users": {
                "entities": {"user": {"join_key": "user_id"}},
                "views": {
                    "txn": {"source": "${storage.lake.url}/a.csv", "entity": "user", "ttl": "7d", "features": features}
                },
            }
        },
        "training": {
            "fraud": {
                "source": "code",
                "run": "python train.py" + (" --trees 9" if grown else ""),
                "inputs": {"rows": "${storage.lake.url}/a.csv"},
                "features": "feature_store.users",
                "secrets": {"TOKEN": "${secret.token.value}"},
                "produces": "registry.models/fraud@champion",
            }
        },
        "endpoint": {
            "fraud": {
                "variants": variants,
                "scale": {"replicas": "2..6" if grown else "1..4", "target": {"requests_per_second": 20}},
                "rollout": {"bake": "1m", "rollback": {"error_rate": 0.1 if grown else 0.2}},
            }
        },
        "monitor": {
            "drift": {
                "of": "endpoint.fraud",
                "reference": "${storage.lake.url}/a.csv",
                "columns": ["id"],
                "every": "2h" if grown else "1h",
                "then": "training.fraud",
            }
        },
    }


def census(boto: Boto) -> list[str]:
    """Whatever there is, tagged or not: one line an object, so that a second one of a sort shows."""
    sagemaker, s3, kms = boto("sagemaker"), boto("s3"), boto("kms")
    found: list[str] = []
    for bucket in (one["Name"] for one in s3.list_buckets()["Buckets"]):
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        found += [f"bucket {bucket}", *(f"object {bucket}/{key}" for key in keys)]
    for role in boto("iam").list_roles()["Roles"]:
        policies = boto("iam").list_role_policies(RoleName=role["RoleName"])["PolicyNames"]
        found.append(f"role {role['RoleName']} {sorted(policies)}")
    keys = [kms.describe_key(KeyId=one["KeyId"])["KeyMetadata"] for one in kms.list_keys()["Keys"]]
    found += [f"key {one['Description']}" for one in keys if one["KeyState"] != "PendingDeletion"]
    aliases = [one["AliasName"] for one in kms.list_aliases()["Aliases"]]
    found += [f"key name {one}" for one in aliases if not one.startswith("alias/aws/")]
    secrets = boto("secretsmanager").list_secrets()["SecretList"]
    found += [f"secret {one['Name']}" for one in secrets if "DeletedDate" not in one]
    found += [f"images {one['repositoryName']}" for one in boto("ecr").describe_repositories()["repositories"]]
    found += [f"logs {one['logGroupName']}" for one in boto("logs").describe_log_groups()["logGroups"]]
    found += [f"alarm {one['AlarmName']}" for one in boto("cloudwatch").describe_alarms()["MetricAlarms"]]
    found += [f"rule {one['Name']}" for one in boto("events").list_rules()["Rules"]]
    scaling = boto("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    found += [f"scales {one['ResourceId']} {one['MinCapacity']} to {one['MaxCapacity']}" for one in targets]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    found += [f"policy {one['PolicyName']}" for one in policies]
    for operation, key, name in (
        ("list_models", "Models", "ModelName"),
        ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
        ("list_endpoints", "Endpoints", "EndpointName"),
        ("list_feature_groups", "FeatureGroupSummaries", "FeatureGroupName"),
        ("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName"),
        ("list_pipelines", "PipelineSummaries", "PipelineName"),
        ("list_processing_jobs", "ProcessingJobSummaries", "ProcessingJobName"),
        ("list_data_quality_job_definitions", "JobDefinitionSummaries", "MonitoringJobDefinitionName"),
        ("list_monitoring_schedules", "MonitoringScheduleSummaries", "MonitoringScheduleName"),
    ):
        found += [f"{operation} {one[name]}" for one in getattr(sagemaker, operation)()[key]]
    for group in sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        name = group["ModelPackageGroupName"]
        versions = sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
        found += [f"version {name} {one['ModelPackageVersion']} {one['ModelApprovalStatus']}" for one in versions]
    for pipeline in sagemaker.list_pipelines()["PipelineSummaries"]:
        name = pipeline["PipelineName"]
        runs = sagemaker.list_pipeline_executions(PipelineName=name)["PipelineExecutionSummaries"]
        found += [f"run of {name}: {one['PipelineExecutionStatus']}" for one in runs]
    return sorted(found)
