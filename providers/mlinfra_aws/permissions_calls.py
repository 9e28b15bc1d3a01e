"""Which calls each resource type makes for which action, but for those of SageMaker. Data only.

A type → action → calls, as ``service.Operation`` in botocore's names. ``read`` is needed for whatever a blueprint has; ``write`` by
a create and by an update.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Calls = Mapping[str, Mapping[str, tuple[str, ...]]]

SERVICES: Final[Calls] = {
    "aws.s3_bucket": {
        "read": (
            "s3.HeadBucket", "s3.ListObjectVersions", "s3.ListObjectsV2", "s3.GetBucketTagging", "s3.GetBucketVersioning",
            "s3.GetBucketEncryption", "s3.GetBucketLifecycleConfiguration", "s3.GetPublicAccessBlock",
            "s3.GetBucketOwnershipControls", "s3.GetObjectLockConfiguration", "s3.GetBucketPolicy", "s3.GetBucketLocation",
        ),
        "write": (
            "s3.PutBucketTagging", "s3.PutBucketVersioning", "s3.PutBucketEncryption", "s3.PutBucketLifecycleConfiguration",
            "s3.PutPublicAccessBlock", "s3.PutBucketOwnershipControls", "s3.PutBucketPolicy", "s3.DeleteBucketPolicy",
            "s3.DeleteBucketLifecycle",
        ),
        "create": ("s3.CreateBucket", "s3.PutObjectLockConfiguration"),
        "delete": ("s3.DeleteBucket", "s3.DeleteObjects", "s3.DeleteObjectVersion"),
    },
    "aws.s3_objects": {
        "read": ("s3.ListObjectsV2",),
        "write": ("s3.PutObject", "s3.DeleteObjects", "kms.GenerateDataKey", "kms.Decrypt"),
        "delete": ("s3.DeleteObjects",),
    },
    "aws.s3_object": {
        "read": ("s3.GetObject", "s3.ListObjectsV2"),
        "write": ("s3.PutObject", "kms.GenerateDataKey", "kms.Decrypt"),
        "delete": ("s3.DeleteObject",),
    },
    "aws.kms_key": {
        "read": ("kms.DescribeKey", "kms.GetKeyRotationStatus", "kms.GetKeyPolicy", "kms.ListResourceTags"),
        "write": (
            "kms.EnableKeyRotation", "kms.DisableKeyRotation", "kms.EnableKey", "kms.DisableKey", "kms.UpdateKeyDescription",
            "kms.PutKeyPolicy", "kms.TagResource", "kms.UntagResource",
        ),
        "create": ("kms.CreateKey",),
        "delete": ("kms.ScheduleKeyDeletion", "kms.DisableKey"),
    },
    "aws.kms_alias": {
        "read": ("kms.ListAliases",),
        "create": ("kms.CreateAlias",),
        "update": ("kms.UpdateAlias",),
        "delete": ("kms.DeleteAlias",),
    },
    "aws.iam_role": {
        "read": (
            "iam.GetRole", "iam.ListRoles", "iam.GetAccountAuthorizationDetails", "iam.ListRolePolicies", "iam.GetRolePolicy",
            "iam.ListAttachedRolePolicies", "iam.ListRoleTags",
        ),
        "write": ("iam.PutRolePolicy", "iam.DeleteRolePolicy", "iam.AttachRolePolicy", "iam.DetachRolePolicy", "iam.TagRole"),
        "create": ("iam.CreateRole",),
        "update": (
            "iam.UpdateRole", "iam.UpdateAssumeRolePolicy", "iam.UntagRole", "iam.PutRolePermissionsBoundary",
            "iam.DeleteRolePermissionsBoundary",
        ),
        "delete": (
            "iam.DeleteRole", "iam.DeleteRolePolicy", "iam.DetachRolePolicy", "iam.ListInstanceProfilesForRole",
            "iam.RemoveRoleFromInstanceProfile",
        ),
    },
    "aws.ecr_repository": {
        "read": (
            "ecr.DescribeRepositories", "ecr.GetLifecyclePolicy", "ecr.GetRepositoryPolicy", "ecr.ListTagsForResource",
            "ecr.ListImages",
        ),
        "write": ("ecr.PutLifecyclePolicy", "ecr.SetRepositoryPolicy", "ecr.TagResource"),
        "create": ("ecr.CreateRepository",),
        "update": (
            "ecr.PutImageTagMutability", "ecr.PutImageScanningConfiguration", "ecr.DeleteLifecyclePolicy",
            "ecr.DeleteRepositoryPolicy", "ecr.UntagResource",
        ),
        "delete": ("ecr.DeleteRepository",),
    },
    "aws.cloudwatch_log_group": {
        "read": ("logs.DescribeLogGroups", "logs.ListTagsForResource"),
        "write": ("logs.PutRetentionPolicy", "logs.TagResource"),
        "create": ("logs.CreateLogGroup",),
        "update": ("logs.DeleteRetentionPolicy", "logs.UntagResource", "logs.AssociateKmsKey", "logs.DisassociateKmsKey"),
        "delete": ("logs.DeleteLogGroup",),
    },
    "aws.secretsmanager_secret": {
        "read": ("secretsmanager.DescribeSecret", "secretsmanager.GetSecretValue"),
        "write": ("secretsmanager.PutSecretValue", "secretsmanager.TagResource"),
        "create": ("secretsmanager.CreateSecret", "secretsmanager.RestoreSecret"),
        "update": ("secretsmanager.UpdateSecret", "secretsmanager.UntagResource"),
        "delete": ("secretsmanager.DeleteSecret",),
    },
    "aws.cloudwatch_metric_alarm": {
        "read": ("cloudwatch.DescribeAlarms", "cloudwatch.ListTagsForResource"),
        "write": ("cloudwatch.PutMetricAlarm", "cloudwatch.TagResource"),
        "update": ("cloudwatch.UntagResource",),
        "delete": ("cloudwatch.DeleteAlarms",),
    },
    "aws.cloudwatch_dashboard": {
        "read": ("cloudwatch.GetDashboard",),
        "write": ("cloudwatch.PutDashboard",),
        "delete": ("cloudwatch.DeleteDashboards",),
    },
    "aws.cloudwatch_event_rule": {
        "read": ("events.DescribeRule", "events.ListRules", "events.ListTargetsByRule", "events.ListTagsForResource"),
        "write": ("events.PutRule", "events.PutTargets", "events.RemoveTargets", "events.TagResource"),
        "update": ("events.UntagResource",),
        "delete": ("events.RemoveTargets", "events.DeleteRule"),
    },
    "aws.scheduler_schedule": {
        "read": ("scheduler.GetSchedule",),
        "create": ("scheduler.CreateSchedule",),
        "update": ("scheduler.UpdateSchedule",),
        "delete": ("scheduler.DeleteSchedule",),
    },
    "aws.sns_topic": {
        "read": (
            "sns.GetTopicAttributes", "sns.ListSubscriptionsByTopic", "sns.GetSubscriptionAttributes", "sns.ListTagsForResource",
        ),
        "write": (
            "sns.SetTopicAttributes", "sns.Subscribe", "sns.Unsubscribe", "sns.SetSubscriptionAttributes", "sns.TagResource",
        ),
        "create": ("sns.CreateTopic",),
        "update": ("sns.UntagResource",),
        "delete": ("sns.Unsubscribe", "sns.DeleteTopic"),
    },
    "aws.ssm_parameter": {
        "read": ("ssm.GetParameters", "ssm.DescribeParameters", "ssm.ListTagsForResource"),
        "write": ("ssm.PutParameter", "ssm.AddTagsToResource"),
        "update": ("ssm.RemoveTagsFromResource",),
        "delete": ("ssm.DeleteParameter",),
    },
    "aws.dynamodb_table": {
        "read": (
            "dynamodb.DescribeTable", "dynamodb.DescribeTimeToLive", "dynamodb.DescribeContinuousBackups",
            "dynamodb.ListTagsOfResource",
        ),
        "write": (
            "dynamodb.UpdateTable", "dynamodb.UpdateTimeToLive", "dynamodb.UpdateContinuousBackups", "dynamodb.TagResource",
        ),
        "create": ("dynamodb.CreateTable",),
        "update": ("dynamodb.UntagResource",),
        "delete": ("dynamodb.DeleteTable", "dynamodb.Scan"),
    },
    "aws.lambda_function": {
        "read": ("lambda.GetFunction", "lambda.GetFunctionConfiguration", "lambda.ListTags"),
        "write": (
            "lambda.UpdateFunctionCode", "lambda.UpdateFunctionConfiguration", "lambda.PutFunctionConcurrency",
            "lambda.TagResource",
        ),
        "create": ("lambda.CreateFunction",),
        "update": ("lambda.DeleteFunctionConcurrency", "lambda.UntagResource"),
        "delete": ("lambda.DeleteFunction",),
    },
    "aws.sfn_state_machine": {
        "read": ("stepfunctions.DescribeStateMachine", "stepfunctions.ListTagsForResource"),
        "write": ("stepfunctions.TagResource",),
        "create": ("stepfunctions.CreateStateMachine",),
        "update": ("stepfunctions.UpdateStateMachine", "stepfunctions.UntagResource"),
        "delete": ("stepfunctions.DeleteStateMachine",),
    },
    "aws.vpc": {
        "read": ("ec2.DescribeVpcs", "ec2.DescribeVpcAttribute", "ec2.DescribeTags"),
        "write": ("ec2.ModifyVpcAttribute", "ec2.CreateTags"),
        "create": ("ec2.CreateVpc",),
        "update": ("ec2.DeleteTags",),
        "delete": ("ec2.DeleteVpc",),
    },
    "aws.subnet": {
        "read": ("ec2.DescribeSubnets", "ec2.DescribeTags"),
        "write": ("ec2.ModifySubnetAttribute", "ec2.CreateTags"),
        "create": ("ec2.CreateSubnet",),
        "update": ("ec2.DeleteTags",),
        "delete": ("ec2.DeleteSubnet",),
    },
    "aws.security_group": {
        "read": ("ec2.DescribeSecurityGroups", "ec2.DescribeTags"),
        "write": (
            "ec2.AuthorizeSecurityGroupIngress", "ec2.AuthorizeSecurityGroupEgress", "ec2.RevokeSecurityGroupIngress",
            "ec2.RevokeSecurityGroupEgress", "ec2.CreateTags",
        ),
        "create": ("ec2.CreateSecurityGroup",),
        "update": ("ec2.DeleteTags",),
        "delete": ("ec2.DeleteSecurityGroup",),
    },
    "aws.vpc_endpoint": {
        "read": ("ec2.DescribeVpcEndpoints", "ec2.DescribeTags"),
        "write": ("ec2.CreateTags",),
        "create": ("ec2.CreateVpcEndpoint",),
        "update": ("ec2.ModifyVpcEndpoint", "ec2.DeleteTags"),
        "delete": ("ec2.DeleteVpcEndpoints",),
    },
    "aws.appautoscaling_target": {
        "read": ("application-autoscaling.DescribeScalableTargets", "application-autoscaling.ListTagsForResource"),
        # What is scaled is looked at and set with the caller's own permissions when it is registered.
        "write": (
            "application-autoscaling.RegisterScalableTarget", "application-autoscaling.TagResource", "sagemaker.DescribeEndpoint",
            "sagemaker.DescribeEndpointConfig", "sagemaker.UpdateEndpointWeightsAndCapacities", "dynamodb.DescribeTable",
            "dynamodb.UpdateTable",
        ),
        "update": ("application-autoscaling.UntagResource",),
        "delete": ("application-autoscaling.DeregisterScalableTarget",),
    },
    "aws.appautoscaling_policy": {
        "read": ("application-autoscaling.DescribeScalingPolicies",),
        # Target tracking keeps alarms of its own, with the caller's permissions.
        "write": ("application-autoscaling.PutScalingPolicy", "cloudwatch.DescribeAlarms", "cloudwatch.PutMetricAlarm"),
        "delete": ("application-autoscaling.DeleteScalingPolicy", "cloudwatch.DescribeAlarms", "cloudwatch.DeleteAlarms"),
    },
    "aws.batch_compute_environment": {
        "read": ("batch.DescribeComputeEnvironments", "batch.ListTagsForResource"),
        "write": ("batch.TagResource",),
        "create": ("batch.CreateComputeEnvironment",),
        "update": ("batch.UpdateComputeEnvironment", "batch.UntagResource"),
        "delete": ("batch.UpdateComputeEnvironment", "batch.DeleteComputeEnvironment"),
    },
    "aws.batch_job_queue": {
        "read": ("batch.DescribeJobQueues", "batch.ListTagsForResource"),
        "write": ("batch.TagResource",),
        "create": ("batch.CreateJobQueue",),
        "update": ("batch.UpdateJobQueue", "batch.UntagResource"),
        "delete": ("batch.UpdateJobQueue", "batch.DeleteJobQueue"),
    },
    "aws.batch_job_definition": {
        "read": ("batch.DescribeJobDefinitions", "batch.ListTagsForResource"),
        "write": ("batch.RegisterJobDefinition", "batch.TagResource"),
        "update": ("batch.DeregisterJobDefinition", "batch.UntagResource"),
        "delete": ("batch.DeregisterJobDefinition",),
    },
    # Besides what the handlers of the object's type ask for: `permissions_cloudcontrol`.
    "aws.cloudcontrol": {
        "read": (
            "cloudcontrol.GetResource", "cloudcontrol.ListResources", "cloudcontrol.ListResourceRequests",
            "cloudcontrol.GetResourceRequestStatus", "cloudformation.DescribeType",
        ),
        "create": ("cloudcontrol.CreateResource",),
        "update": ("cloudcontrol.UpdateResource",),
        "delete": ("cloudcontrol.DeleteResource",),
    },
}  # fmt: skip
