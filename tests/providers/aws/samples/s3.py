"""Samples of S3."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Sample
from tests.providers.aws.lab import ACCOUNT, Lab

BLOCK = {
    "BlockPublicAcls": False,
    "IgnorePublicAcls": False,
    "BlockPublicPolicy": False,
    "RestrictPublicBuckets": False,
}


def read_by(account: str) -> dict[str, Any]:
    """Another account may read."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "read",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": ["s3:GetObject"],
                "Resource": ["arn:aws:s3:::lab-lake/*"],
            }
        ],
    }


def seed(lab: Lab) -> None:
    """Files of the blueprint."""
    (lab.folder / "seeds" / "deep").mkdir(parents=True, exist_ok=True)
    (lab.folder / "seeds" / "a.csv").write_text("a,b\n1,2\n")
    (lab.folder / "seeds" / "deep" / "b.csv").write_text("c\n3\n")


SAMPLES = [
    Sample(
        "aws.s3_bucket",
        {
            "bucket": "lab-lake",
            "object_lock_enabled": False,
            "versioning": {"status": "Enabled"},
            "server_side_encryption": {"sse_algorithm": "aws:kms", "bucket_key_enabled": True},
            "lifecycle_rule": [{"id": "tmp", "prefix": "tmp/", "expiration": {"days": 7}}],
            "policy": read_by(ACCOUNT),
            "public_access_block": {},
            "object_ownership": "BucketOwnerEnforced",
            "tags": {"team": "fraud", "stage": "test"},
        },
        updates={
            "versioning": {"status": "Suspended"},
            "server_side_encryption": {"sse_algorithm": "aws:kms", "kms_master_key_id": "alias/lab"},
            "lifecycle_rule": [
                {"id": "old", "transition": [{"days": 30, "storage_class": "GLACIER"}], "expiration": {"days": 99}},
                {
                    "id": "tmp",
                    "prefix": "tmp/",
                    "noncurrent_version_expiration": {"noncurrent_days": 3},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": 2},
                },
            ],
            "policy": read_by("222222222222"),
            "public_access_block": {"restrict_public_buckets": False},
            "object_ownership": "BucketOwnerPreferred",
            "tags": {"team": "risk"},
        },
        replaces={"bucket": "lab-pond", "object_lock_enabled": True},
        resets={
            "lifecycle_rule": None,
            "policy": None,
            "tags": None,
        },
        outside={
            "versioning": lambda lab, id: lab.boto("s3").put_bucket_versioning(
                Bucket=id, VersioningConfiguration={"Status": "Suspended"}
            ),
            "server_side_encryption": lambda lab, id: lab.boto("s3").delete_bucket_encryption(Bucket=id),
            "lifecycle_rule": lambda lab, id: lab.boto("s3").delete_bucket_lifecycle(Bucket=id),
            "policy": lambda lab, id: lab.boto("s3").put_bucket_policy(
                Bucket=id, Policy=json.dumps(read_by("333333333333"))
            ),
            "public_access_block": lambda lab, id: lab.boto("s3").put_public_access_block(
                Bucket=id, PublicAccessBlockConfiguration=BLOCK
            ),
            "object_ownership": lambda lab, id: lab.boto("s3").put_bucket_ownership_controls(
                Bucket=id, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
            ),
            "tags": lambda lab, id: lab.boto("s3").delete_bucket_tagging(Bucket=id),
        },
        remove=lambda lab, id: lab.boto("s3").delete_bucket(Bucket=id),
        name="bucket",
        noop_calls=31,
    ),
    Sample(
        "aws.s3_objects",
        {"bucket": "${resource.lake.bucket}", "prefix": "data/", "source": "seeds"},
        replaces={"bucket": "${resource.pond.bucket}", "prefix": "other/"},
        untried={
            "source": "its files are what counts: tried in test_services",
            "files": "the same",
        },
        needs={
            "lake": {"type": "aws.s3_bucket", "bucket": "lab-lake"},
            "pond": {"type": "aws.s3_bucket", "bucket": "lab-pond"},
        },
        before=seed,
        name="prefix",
        creating="PutObject",
        remove=lambda lab, id: lab.boto("s3").delete_objects(
            Bucket="lab-lake", Delete={"Objects": [{"Key": "data/a.csv"}, {"Key": "data/deep/b.csv"}]}
        ),
        noop_calls=9,
    ),
    Sample(
        "aws.s3_object",
        {"bucket": "${resource.lake.bucket}", "key": "motd.txt", "content": "Be kind.\n", "content_type": "text/csv"},
        updates={"content": "Be brave, ä.\n", "content_type": "text/markdown"},
        replaces={"bucket": "${resource.pond.bucket}", "key": "other.txt"},
        resets={"content_type": "text/plain"},
        outside={
            "content": lambda lab, id: _put(lab, Body=b"Be loud.", ContentType="text/csv"),
            "content_type": lambda lab, id: _put(lab, Body=b"Be kind.\n", ContentType="text/html"),
        },
        needs={
            "lake": {"type": "aws.s3_bucket", "bucket": "lab-lake"},
            "pond": {"type": "aws.s3_bucket", "bucket": "lab-pond"},
        },
        name="key",
        creating="PutObject",
        discoverable=False,
        remove=lambda lab, id: lab.boto("s3").delete_object(Bucket="lab-lake", Key="motd.txt"),
        noop_calls=12,
    ),
]


def _put(lab: Lab, **told: Any) -> Any:
    return lab.boto("s3").put_object(Bucket="lab-lake", Key="motd.txt", **told)
