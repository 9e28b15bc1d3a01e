"""Samples of Secrets Manager."""

from __future__ import annotations

from tests.providers.aws.conformance import Sample

SAMPLES = [
    Sample(
        "aws.secretsmanager_secret",
        {
            "name": "lab/token",
            "description": "a token",
            "kms_key_id": "alias/lab",
            "secret_string": "s3cret",
            "recovery_window_in_days": 0,
            "tags": {"team": "fraud"},
        },
        updates={
            "description": "another token",
            "kms_key_id": "alias/other",
            "secret_string": "an0ther",
            "recovery_window_in_days": 7,
            "tags": {"team": "risk"},
        },
        replaces={"name": "lab/other"},
        resets={"kms_key_id": None, "tags": None},
        untried={
            "generate": "one source of the value is given at a time: tried in test_services",
            "env": "the same",
            "from_file": "the same",
        },
        outside={
            "description": lambda lab, id: lab.boto("secretsmanager").update_secret(SecretId=id, Description="mine"),
            "kms_key_id": lambda lab, id: lab.boto("secretsmanager").update_secret(SecretId=id, KmsKeyId="alias/mine"),
            "secret_string": lambda lab, id: lab.boto("secretsmanager").put_secret_value(
                SecretId=id, SecretString="mine"
            ),
            "tags": lambda lab, id: lab.boto("secretsmanager").untag_resource(SecretId=id, TagKeys=["team"]),
        },
        remove=lambda lab, id: lab.boto("secretsmanager").delete_secret(SecretId=id, ForceDeleteWithoutRecovery=True),
        noop_calls=10,
    )
]
