"""Samples of the key service."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Sample
from tests.providers.aws.lab import ACCOUNT, Lab


def policy(sid: str) -> dict[str, Any]:
    """A key's policy, told apart by the id of its statement."""
    root = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    return {
        "Version": "2012-10-17",
        "Statement": [{"Sid": sid, "Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}],
    }


def put_policy(lab: Lab, id: str) -> None:
    from mlinfra_aws.documents import text

    lab.boto("kms").put_key_policy(KeyId=id, PolicyName="default", Policy=text(policy("outside")))


SAMPLES = [
    Sample(
        "aws.kms_key",
        {
            "description": "for the lake",
            "key_usage": "ENCRYPT_DECRYPT",
            "customer_master_key_spec": "SYMMETRIC_DEFAULT",
            "policy": policy("first"),
            "enable_key_rotation": True,
            "is_enabled": True,
            "multi_region": False,
            "deletion_window_in_days": 7,
            "tags": {"team": "fraud"},
        },
        updates={
            "description": "for the pond",
            "policy": policy("second"),
            "enable_key_rotation": False,
            "tags": {"team": "risk"},
            "deletion_window_in_days": 8,
        },
        replaces={"key_usage": "SIGN_VERIFY", "multi_region": True, "customer_master_key_spec": "RSA_2048"},
        besides={
            "key_usage": {"customer_master_key_spec": "RSA_2048", "enable_key_rotation": False},
            "customer_master_key_spec": {"key_usage": "SIGN_VERIFY", "enable_key_rotation": False},
        },
        resets={"tags": None},
        untried={"is_enabled": "a disabled key tells no rotation: tried in test_services"},
        outside={
            "description": lambda lab, id: lab.boto("kms").update_key_description(KeyId=id, Description="mine"),
            "policy": put_policy,
            "enable_key_rotation": lambda lab, id: lab.boto("kms").disable_key_rotation(KeyId=id),
            "tags": lambda lab, id: lab.boto("kms").tag_resource(
                KeyId=id, Tags=[{"TagKey": "team", "TagValue": "someone"}]
            ),
        },
        remove=lambda lab, id: lab.boto("kms").schedule_key_deletion(KeyId=id, PendingWindowInDays=7),
        name="",
        adoptable=False,
        noop_calls=16,
    ),
    Sample(
        "aws.kms_alias",
        {"name": "alias/lake", "target_key_id": "${resource.key.key_id}"},
        updates={"target_key_id": "${resource.other_key.key_id}"},
        replaces={"name": "alias/pond"},
        outside={
            "target_key_id": lambda lab, id: lab.boto("kms").update_alias(
                AliasName=id, TargetKeyId=lab.boto("kms").create_key()["KeyMetadata"]["KeyId"]
            )
        },
        needs={"key": {"type": "aws.kms_key"}, "other_key": {"type": "aws.kms_key"}},
        remove=lambda lab, id: lab.boto("kms").delete_alias(AliasName=id),
        noop_calls=6,
    ),
]
