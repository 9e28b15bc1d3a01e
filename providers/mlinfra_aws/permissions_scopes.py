"""What permissions are about: the ARNs of each type's objects, the services that roles are handed to, and what single fields take
besides. Data only; the source is AWS's service authorization reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCOPES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "aws.s3_bucket": (("bucket",), ("s3:::{}", "s3:::{}/*")),
    "aws.s3_objects": (("bucket",), ("s3:::{}", "s3:::{}/*")),
    "aws.s3_object": (("bucket",), ("s3:::{}", "s3:::{}/*")),
    "aws.iam_role": (("name",), ("iam::{account}:role{path}{}",)),
    "aws.ecr_repository": (("name",), ("ecr:{region}:{account}:repository/{}",)),
    "aws.cloudwatch_log_group": (
        ("name",),
        ("logs:{region}:{account}:log-group:{}", "logs:{region}:{account}:log-group:{}:*"),
    ),
    "aws.secretsmanager_secret": (("name",), ("secretsmanager:{region}:{account}:secret:{}-*",)),
    "aws.sns_topic": (("name",), ("sns:{region}:{account}:{}",)),
    "aws.scheduler_schedule": (("name",), ("scheduler:{region}:{account}:schedule/*/{}",)),
    "aws.ssm_parameter": (("name",), ("ssm:{region}:{account}:parameter/{}",)),
    "aws.dynamodb_table": (("name",), ("dynamodb:{region}:{account}:table/{}",)),
    "aws.lambda_function": (("function_name",), ("lambda:{region}:{account}:function:{}",)),
    "aws.cloudwatch_metric_alarm": (("alarm_name",), ("cloudwatch:{region}:{account}:alarm:{}",)),
    "aws.cloudwatch_dashboard": (("dashboard_name",), ("cloudwatch::{account}:dashboard/{}",)),
    "aws.cloudwatch_event_rule": (
        ("name",),
        ("events:{region}:{account}:rule/{}", "events:{region}:{account}:rule/*/{}"),
    ),
    "aws.sfn_state_machine": (("name",), ("states:{region}:{account}:stateMachine:{}",)),
    **{
        f"aws.sagemaker_{word}": (fields, ("sagemaker:{region}:{account}:*/{}", "sagemaker:{region}:{account}:*/{}/*"))
        for word, fields in {
            "model": ("name",),
            "endpoint_configuration": ("name",),
            "endpoint": ("name", "endpoint_config_name"),
            "feature_group": ("feature_group_name",),
            "model_package_group": ("model_package_group_name",),
            "model_alias": ("model_package_group_name",),
            "pipeline": ("pipeline_name",),
            "training_job": ("training_job_name",),
            "processing_job": ("processing_job_name",),
            "data_quality_job_definition": ("name",),
            "monitoring_schedule": ("name",),
            "mlflow_tracking_server": ("tracking_server_name",),
            "notebook_instance": ("name",),
        }.items()
    },
}
"""Type → the fields that name its objects, and their ARNs after the partition. Of types that are not here the objects have ids
that no plan can tell (keys, networks), or their calls take no resources."""

EVERYWHERE: Final = frozenset(
    {
        "cloudwatch:DescribeAlarms", "ecr:DescribeRepositories", "events:ListRules", "iam:GetAccountAuthorizationDetails",
        "iam:ListRoles", "iam:ListInstanceProfilesForRole", "iam:RemoveRoleFromInstanceProfile",
        "logs:DescribeLogGroups", "sagemaker:ListEndpointConfigs",
        "sagemaker:ListEndpoints", "sagemaker:ListModelPackageGroups", "sagemaker:ListModelPackages", "sagemaker:ListModels",
        "sagemaker:ListMonitoringSchedules", "sagemaker:ListNotebookInstances", "sagemaker:ListPipelines",
        "sagemaker:ListProcessingJobs", "sagemaker:ListTrainingJobs", "sns:GetSubscriptionAttributes",
        "sns:SetSubscriptionAttributes", "sns:Unsubscribe", "ssm:DescribeParameters",
    }
)  # fmt: skip
"""Permissions that cannot be narrowed down to single objects, or that lists of all of a sort ask for."""

PASSES: Final[Mapping[str, tuple[str, ...]]] = {
    **{
        f"aws.sagemaker_{word}": ("sagemaker.amazonaws.com",)
        for word in (
            "model", "endpoint_configuration", "feature_group", "pipeline", "training_job", "processing_job",
            "data_quality_job_definition", "mlflow_tracking_server", "notebook_instance", "domain",
        )
    },
    "aws.scheduler_schedule": ("scheduler.amazonaws.com",),
    "aws.cloudwatch_event_rule": ("events.amazonaws.com",),
    "aws.sfn_state_machine": ("states.amazonaws.com",),
    "aws.lambda_function": ("lambda.amazonaws.com",),
    "aws.appautoscaling_target": ("application-autoscaling.amazonaws.com",),
    "aws.batch_compute_environment": ("batch.amazonaws.com", "ec2.amazonaws.com", "spotfleet.amazonaws.com"),
    "aws.batch_job_definition": ("ecs-tasks.amazonaws.com",),
}  # fmt: skip
"""Types whose fields name roles that are handed to a service."""

LINKED: Final[Mapping[str, str]] = {
    "aws.appautoscaling_target": "{service_namespace}.application-autoscaling.amazonaws.com",
    "aws.batch_compute_environment": "batch.amazonaws.com",
    "aws.sagemaker_domain": "sagemaker.amazonaws.com",
}
"""Types for which AWS makes a role of the service's own, in the caller's name, with the first of them in an account."""

_KEY: Final = ("kms.DescribeKey", "kms.CreateGrant", "kms.GenerateDataKey", "kms.Decrypt", "kms.Encrypt")
BESIDES: Final[Mapping[tuple[str, str], tuple[str, ...]]] = {
    ("aws.secretsmanager_secret", "kms_key_id"): _KEY,
    ("aws.ssm_parameter", "key_id"): _KEY,
    ("aws.lambda_function", "kms_key_arn"): _KEY,
    ("aws.lambda_function", "s3_bucket"): ("s3.GetObject", "s3.GetObjectVersion"),
    ("aws.lambda_function", "image_uri"): ("ecr.GetRepositoryPolicy", "ecr.SetRepositoryPolicy"),
    ("aws.lambda_function", "layers"): ("lambda.GetLayerVersion",),
    ("aws.lambda_function", "vpc_config"): ("ec2.DescribeVpcs", "ec2.DescribeSubnets", "ec2.DescribeSecurityGroups"),
    ("aws.dynamodb_table", "server_side_encryption"): _KEY,
    ("aws.scheduler_schedule", "kms_key_arn"): _KEY,
    ("aws.ecr_repository", "encryption_configuration"): _KEY,
    ("aws.sagemaker_endpoint_configuration", "kms_key_arn"): _KEY,
    ("aws.sagemaker_feature_group", "online_store_config"): _KEY,
    ("aws.sagemaker_feature_group", "offline_store_config"): (
        "glue.CreateDatabase", "glue.GetDatabase", "glue.CreateTable", "glue.GetTable", "glue.UpdateTable",
    ),
    ("aws.sagemaker_notebook_instance", "kms_key_id"): _KEY,
    ("aws.sagemaker_notebook_instance", "subnet_id"): (
        "ec2.CreateNetworkInterface", "ec2.AttachNetworkInterface", "ec2.ModifyNetworkInterfaceAttribute",
        "ec2.DescribeNetworkInterfaces", "ec2.DescribeAvailabilityZones", "ec2.DescribeInternetGateways",
        "ec2.DescribeSecurityGroups", "ec2.DescribeSubnets", "ec2.DescribeVpcs",
    ),
    ("aws.sagemaker_domain", "kms_key_id"): (*_KEY, "kms.GenerateDataKeyWithoutPlaintext", "efs.CreateFileSystem"),
    ("aws.sfn_state_machine", "logging_configuration"): (
        "logs.CreateLogDelivery", "logs.GetLogDelivery", "logs.UpdateLogDelivery", "logs.DeleteLogDelivery",
        "logs.ListLogDeliveries", "logs.PutResourcePolicy", "logs.DescribeResourcePolicies", "logs.DescribeLogGroups",
    ),
    ("aws.vpc_endpoint", "private_dns_enabled"): ("route53.AssociateVPCWithHostedZone",),
}  # fmt: skip
"""Type and field → calls that services make in the caller's name if the field is set. The emulator makes none of them."""
