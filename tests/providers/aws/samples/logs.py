"""Samples of CloudWatch Logs."""

from __future__ import annotations

from tests.providers.aws.conformance import Sample
from tests.providers.aws.lab import ACCOUNT, REGION

NAME = "/lab/training"
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{letter * 8}-0000-4000-8000-000000000000" for letter in "ab"]
SAMPLES = [
    Sample(
        "aws.cloudwatch_log_group",
        {
            "name": NAME,
            "retention_in_days": 30,
            "kms_key_id": KEYS[0],
            "log_group_class": "STANDARD",
            "tags": {"team": "fraud", "stage": "test"},
        },
        updates={"retention_in_days": 60, "kms_key_id": KEYS[1], "tags": {"team": "risk", "new": "tag"}},
        replaces={"name": "/lab/other", "log_group_class": "INFREQUENT_ACCESS"},
        resets={"retention_in_days": None, "kms_key_id": None, "tags": None},
        outside={
            "retention_in_days": lambda lab, id: lab.boto("logs").put_retention_policy(
                logGroupName=id, retentionInDays=7
            ),
            "kms_key_id": lambda lab, id: lab.boto("logs").associate_kms_key(logGroupName=id, kmsKeyId=KEYS[1]),
            "tags": lambda lab, id: lab.boto("logs").tag_resource(
                resourceArn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{id}", tags={"team": "someone"}
            ),
        },
        remove=lambda lab, id: lab.boto("logs").delete_log_group(logGroupName=id),
        noop_calls=2,
    )
]
