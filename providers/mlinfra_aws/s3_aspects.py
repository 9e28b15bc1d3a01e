"""The aspects of a bucket: how each is read and written. S3 has a call of its own for every one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlinfra.sdk.resource import Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import policy, text
from mlinfra_aws.errors import AwsError
from mlinfra_aws.shapes import compact

_NOTHING: Mapping[str, str] = {
    "server_side_encryption": "ServerSideEncryptionConfigurationNotFoundError",
    "lifecycle_rule": "NoSuchLifecycleConfiguration",
    "policy": "NoSuchBucketPolicy",
    "public_access_block": "NoSuchPublicAccessBlockConfiguration",
    "object_ownership": "OwnershipControlsNotFoundError",
    "object_lock_enabled": "ObjectLockConfigurationNotFoundError",
}
"""The error that says that a bucket has nothing of an aspect."""


def read_aspect(client: AwsClient, bucket: str, name: str) -> Any:
    try:
        return _READS[name](client, bucket)
    except AwsError as error:
        if error.code == _NOTHING.get(name):
            return None
        raise


def _read_encryption(client: AwsClient, bucket: str) -> Any:
    answer = client.call("s3", "GetBucketEncryption", Bucket=bucket)
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    given = rule.get("ApplyServerSideEncryptionByDefault", {})
    return compact(
        {
            "sse_algorithm": given.get("SSEAlgorithm"),
            "kms_master_key_id": given.get("KMSMasterKeyID"),
            "bucket_key_enabled": rule.get("BucketKeyEnabled", False),
        }
    )


def _read_lifecycle(client: AwsClient, bucket: str) -> Any:
    rules = client.call("s3", "GetBucketLifecycleConfiguration", Bucket=bucket)["Rules"]
    return [_rule(rule) for rule in rules]


def _rule(rule: Mapping[str, Any]) -> Any:
    chosen = rule.get("Filter") or {}
    return compact(
        {
            "id": rule.get("ID"),
            "status": rule["Status"],
            "prefix": rule.get("Prefix") or chosen.get("Prefix") or chosen.get("And", {}).get("Prefix") or "",
            "transition": [
                {"days": one.get("Days", 0), "storage_class": one["StorageClass"]}
                for one in rule.get("Transitions", [])
            ],
            "expiration": {"days": rule["Expiration"].get("Days")} if rule.get("Expiration") else None,
            "noncurrent_version_expiration": {
                "noncurrent_days": rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays")
            },
            "abort_incomplete_multipart_upload": {
                "days_after_initiation": rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
            },
        }
    )


def _read_block(client: AwsClient, bucket: str) -> Any:
    told = client.call("s3", "GetPublicAccessBlock", Bucket=bucket)["PublicAccessBlockConfiguration"]
    return {name: told.get(member, False) for name, member in _BLOCK.items()}


_BLOCK = {
    "block_public_acls": "BlockPublicAcls",
    "block_public_policy": "BlockPublicPolicy",
    "ignore_public_acls": "IgnorePublicAcls",
    "restrict_public_buckets": "RestrictPublicBuckets",
}


def _read_versioning(client: AwsClient, bucket: str) -> Any:
    status = client.call("s3", "GetBucketVersioning", Bucket=bucket).get("Status")
    return {"status": status} if status else None


def _read_ownership(client: AwsClient, bucket: str) -> Any:
    answer = client.call("s3", "GetBucketOwnershipControls", Bucket=bucket)
    return answer["OwnershipControls"]["Rules"][0]["ObjectOwnership"]


def _read_lock(client: AwsClient, bucket: str) -> Any:
    answer = client.call("s3", "GetObjectLockConfiguration", Bucket=bucket)
    return answer["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"


_READS: Mapping[str, Callable[[AwsClient, str], Any]] = {
    "public_access_block": _read_block,
    "object_ownership": _read_ownership,
    "server_side_encryption": _read_encryption,
    "versioning": _read_versioning,
    "lifecycle_rule": _read_lifecycle,
    "policy": lambda client, bucket: policy(client.call("s3", "GetBucketPolicy", Bucket=bucket)["Policy"]),
    "object_lock_enabled": _read_lock,
}
ASPECTS = tuple(_READS)
"""The aspects of a bucket, in the order in which they are written."""


def _write_versioning(client: AwsClient, bucket: str, value: Any, op: Operation) -> None:
    # What was versioned once is suspended at best.
    status = {"Status": value["status"] if value else "Suspended"}
    client.call("s3", "PutBucketVersioning", op=op, Bucket=bucket, VersioningConfiguration=status)


def _write_encryption(client: AwsClient, bucket: str, value: Any, op: Operation) -> None:
    if not value:
        client.call("s3", "DeleteBucketEncryption", op=op, Bucket=bucket)
        return
    given = compact({"SSEAlgorithm": value["sse_algorithm"], "KMSMasterKeyID": value.get("kms_master_key_id")})
    rule = {"ApplyServerSideEncryptionByDefault": given, "BucketKeyEnabled": value["bucket_key_enabled"]}
    client.call("s3", "PutBucketEncryption", op=op, Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def _write_lifecycle(client: AwsClient, bucket: str, value: Any, op: Operation) -> None:
    if not value:
        client.call("s3", "DeleteBucketLifecycle", op=op, Bucket=bucket)
        return
    rules = [
        compact(
            {
                "ID": rule["id"],
                "Status": rule["status"],
                "Transitions": [
                    {"Days": one["days"], "StorageClass": one["storage_class"]} for one in rule.get("transition", [])
                ],
                "Expiration": {"Days": rule.get("expiration", {}).get("days")},
                "NoncurrentVersionExpiration": {
                    "NoncurrentDays": rule.get("noncurrent_version_expiration", {}).get("noncurrent_days")
                },
                "AbortIncompleteMultipartUpload": {
                    "DaysAfterInitiation": rule.get("abort_incomplete_multipart_upload", {}).get(
                        "days_after_initiation"
                    )
                },
            }
        )
        | {"Filter": {"Prefix": rule.get("prefix", "")}}
        for rule in value
    ]
    client.call("s3", "PutBucketLifecycleConfiguration", op=op, Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _write_policy(client: AwsClient, bucket: str, value: Any, op: Operation) -> None:
    if value:
        client.call("s3", "PutBucketPolicy", op=op, Bucket=bucket, Policy=text(value))
    else:
        client.call("s3", "DeleteBucketPolicy", op=op, Bucket=bucket)


def _write_block(client: AwsClient, bucket: str, value: Any, op: Operation) -> None:
    # Reset means AWS's own default, which is all of it.
    told = {member: value[name] if value else True for name, member in _BLOCK.items()}
    client.call("s3", "PutPublicAccessBlock", op=op, Bucket=bucket, PublicAccessBlockConfiguration=told)


def _write_ownership(client: AwsClient, bucket: str, value: Any, op: Operation) -> None:
    if value:
        rules = {"Rules": [{"ObjectOwnership": value}]}
        client.call("s3", "PutBucketOwnershipControls", op=op, Bucket=bucket, OwnershipControls=rules)
    else:
        client.call("s3", "DeleteBucketOwnershipControls", op=op, Bucket=bucket)


WRITES: Mapping[str, Callable[[AwsClient, str, Any, Operation], None]] = {
    "public_access_block": _write_block,
    "object_ownership": _write_ownership,
    "server_side_encryption": _write_encryption,
    "versioning": _write_versioning,
    "lifecycle_rule": _write_lifecycle,
    "policy": _write_policy,
}
