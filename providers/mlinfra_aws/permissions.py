"""What credentials must be allowed for the steps of a plan: an IAM policy, from the calls of each resource type. Data, and pure.

`CALLS` says which calls a type makes for which action, in the API's names. A type that is added adds its line; what the emulator
saw of an apply is compared with it in the tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

ALWAYS: Final = ("resourcegroupstaggingapi.GetResources",)
"""Whatever is done."""

_SAGEMAKER_TAGS: Final = ("sagemaker.ListTags", "sagemaker.AddTags", "sagemaker.DeleteTags")

CALLS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "aws.s3_bucket": {
        "read": (
            "s3.HeadBucket", "s3.ListObjectVersions", "s3.ListObjectsV2", "s3.GetBucketTagging", "s3.GetBucketVersioning",
            "s3.GetBucketEncryption", "s3.GetBucketLifecycleConfiguration", "s3.GetPublicAccessBlock",
            "s3.GetBucketOwnershipControls", "s3.GetObjectLockConfiguration", "s3.GetBucketPolicy", "s3.GetBucketLocation",
        ),
        "write": (
            "s3.PutBucketTagging", "s3.PutBucketVersioning", "s3.PutBucketEncryption", "s3.PutBucketLifecycleConfiguration",
            "s3.PutPublicAccessBlock", "s3.PutBucketOwnershipControls", "s3.PutBucketPolicy", "s3.DeleteBucketPolicy",
        ),
        "create": ("s3.CreateBucket", "s3.PutObjectLockConfiguration"),
        "delete": ("s3.DeleteBucket", "s3.DeleteObjects", "s3.DeleteObjectVersion"),
    },
    "aws.s3_objects": {
        "read": ("s3.ListObjectsV2",),
        "write": ("s3.PutObject", "s3.DeleteObjects", "kms.GenerateDataKey", "kms.Decrypt"),
        "delete": ("s3.DeleteObjects",),
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
    "aws.sagemaker_model": {
        "read": ("sagemaker.DescribeModel", "sagemaker.ListModels"),
        "write": _SAGEMAKER_TAGS,
        "create": ("sagemaker.CreateModel",),
        "delete": ("sagemaker.DeleteModel",),
    },
    "aws.sagemaker_endpoint_configuration": {
        "read": ("sagemaker.DescribeEndpointConfig", "sagemaker.ListEndpointConfigs"),
        "write": _SAGEMAKER_TAGS,
        "create": ("sagemaker.CreateEndpointConfig",),
        "delete": ("sagemaker.DeleteEndpointConfig",),
    },
    "aws.sagemaker_endpoint": {
        "read": ("sagemaker.DescribeEndpoint", "sagemaker.ListEndpoints"),
        "write": _SAGEMAKER_TAGS,
        "create": ("sagemaker.CreateEndpoint",),
        "update": ("sagemaker.UpdateEndpoint",),
        "delete": ("sagemaker.DeleteEndpoint",),
    },
    "aws.sagemaker_feature_group": {
        "read": ("sagemaker.DescribeFeatureGroup",),
        "write": _SAGEMAKER_TAGS,
        "create": ("sagemaker.CreateFeatureGroup",),
        "update": ("sagemaker.UpdateFeatureGroup",),
        "delete": ("sagemaker.DeleteFeatureGroup",),
    },
    "aws.sagemaker_model_package_group": {
        "read": (
            "sagemaker.DescribeModelPackageGroup", "sagemaker.ListModelPackageGroups", "sagemaker.ListModelPackages",
        ),
        "write": _SAGEMAKER_TAGS,
        "create": ("sagemaker.CreateModelPackageGroup",),
        "delete": ("sagemaker.DeleteModelPackageGroup", "sagemaker.DeleteModelPackage"),
    },
    "aws.sagemaker_model_alias": {
        "read": ("sagemaker.ListModelPackages", "sagemaker.DescribeModelPackage"),
        "create": ("sagemaker.UpdateModelPackage",),
        "delete": ("sagemaker.UpdateModelPackage",),
    },
    "aws.sagemaker_pipeline": {
        "read": ("sagemaker.DescribePipeline", "sagemaker.ListPipelines"),
        "write": _SAGEMAKER_TAGS,
        "create": ("sagemaker.CreatePipeline",),
        "update": ("sagemaker.UpdatePipeline",),
        "delete": ("sagemaker.DeletePipeline",),
        "run": (
            "sagemaker.StartPipelineExecution", "sagemaker.DescribePipelineExecution", "sagemaker.ListPipelineExecutions",
            "sagemaker.ListPipelineExecutionSteps",
        ),
    },
}  # fmt: skip
"""Type → action → calls. ``read`` is needed for whatever a blueprint has; ``write`` by a create and by an update."""

PASSES: Final[Mapping[str, str]] = {
    "aws.sagemaker_model": "sagemaker.amazonaws.com",
    "aws.sagemaker_endpoint_configuration": "sagemaker.amazonaws.com",
    "aws.sagemaker_feature_group": "sagemaker.amazonaws.com",
    "aws.sagemaker_pipeline": "sagemaker.amazonaws.com",
}
"""Types that hand a role to a service."""

PREFIXES: Final[Mapping[str, str]] = {"resourcegroupstaggingapi": "tag"}
"""Services whose permissions begin with another word."""

OTHERWISE: Final[Mapping[str, tuple[str, ...]]] = {
    "s3.HeadBucket": ("s3:ListBucket",),
    "s3.ListObjectsV2": ("s3:ListBucket",),
    "s3.ListObjectVersions": ("s3:ListBucketVersions",),
    "s3.DeleteObjects": ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    "s3.GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3.PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3.DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3.GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3.PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3.DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3.GetPublicAccessBlock": ("s3:GetBucketPublicAccessBlock",),
    "s3.PutPublicAccessBlock": ("s3:PutBucketPublicAccessBlock",),
    "s3.DeleteBucketOwnershipControls": ("s3:PutBucketOwnershipControls",),
    "s3.GetObjectLockConfiguration": ("s3:GetBucketObjectLockConfiguration",),
    "s3.PutObjectLockConfiguration": ("s3:PutBucketObjectLockConfiguration",),
    "sts.GetCallerIdentity": (),
}
"""Calls whose permission is called otherwise (the service authorization reference), or that need none."""

ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "create": ("read", "write", "create"),
    "replace": ("read", "write", "create", "delete"),
    "update": ("read", "write", "update"),
    "delete": ("read", "delete"),
    "run": ("read", "run"),
}
"""A plan's action → which of a type's calls it takes; any other one only reads."""


def permitted(call: str) -> tuple[str, ...]:
    """The permissions for a call (``s3.HeadBucket``)."""
    service, _, operation = call.partition(".")
    return OTHERWISE.get(call, (f"{PREFIXES.get(service, service)}:{operation}",))


def policy(steps: Iterable[tuple[str, str]]) -> tuple[Mapping[str, Any], list[str]]:
    """The policy for steps (resource type, action), a statement a service, and the types of which the calls are not known."""
    calls, passed, missing = set(ALWAYS), set(), set()
    for type_name, action in steps:
        known = CALLS.get(type_name)
        if known is None:
            missing.add(type_name)
            continue
        for part in ACTIONS.get(action, ("read",)):
            calls.update(known.get(part, ()))
        if type_name in PASSES and action in ("create", "replace", "update"):
            passed.add(PASSES[type_name])
    actions: dict[str, set[str]] = {}
    for call in calls:
        for one in permitted(call):
            actions.setdefault(one.partition(":")[0], set()).add(one)
    statements: list[dict[str, Any]] = [
        {"Sid": service.capitalize(), "Effect": "Allow", "Action": sorted(actions[service]), "Resource": "*"}
        for service in sorted(actions)
    ]
    if passed:
        condition = {"StringEquals": {"iam:PassedToService": sorted(passed)}}
        statements.append(
            {"Sid": "PassRole", "Effect": "Allow", "Action": ["iam:PassRole"], "Resource": "*", "Condition": condition}
        )
    return {"Version": "2012-10-17", "Statement": statements}, sorted(missing)
