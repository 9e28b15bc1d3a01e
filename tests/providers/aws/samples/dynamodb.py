"""Samples of DynamoDB."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab

KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{letter * 8}-0000-4000-8000-000000000000" for letter in "ab"]
ATTRIBUTES = [{"name": "user_id", "type": "S"}, {"name": "at", "type": "N"}, {"name": "city", "type": "S"}]


def index(name: str, key: str, **more: Any) -> dict[str, Any]:
    """An index on another key."""
    return {"name": name, "hash_key": key, "projection_type": "ALL", **more}


def update(**told: Any) -> Outside:
    """Somebody changes a table."""
    return lambda lab, id: lab.boto("dynamodb").update_table(TableName=id, **told)


def unindexed(lab: Lab, id: str) -> None:
    gone = {"Delete": {"IndexName": "by-city"}}
    lab.boto("dynamodb").update_table(TableName=id, GlobalSecondaryIndexUpdates=[gone])


def no_recovery(lab: Lab, id: str) -> None:
    off = {"PointInTimeRecoveryEnabled": False}
    lab.boto("dynamodb").update_continuous_backups(TableName=id, PointInTimeRecoverySpecification=off)


def no_ttl(lab: Lab, id: str) -> None:
    off = {"AttributeName": "expires", "Enabled": False}
    lab.boto("dynamodb").update_time_to_live(TableName=id, TimeToLiveSpecification=off)


SAMPLES = [
    Sample(
        "aws.dynamodb_table",
        {
            "name": "lab-features",
            "hash_key": "user_id",
            "range_key": "at",
            "attribute": ATTRIBUTES,
            "billing_mode": "PAY_PER_REQUEST",
            "global_secondary_index": [index("by-city", "city", range_key="at")],
            "local_secondary_index": [
                {"name": "in-city", "range_key": "city", "projection_type": "INCLUDE", "non_key_attributes": ["amount"]}
            ],
            "ttl": {"attribute_name": "expires"},
            "point_in_time_recovery": {"enabled": True},
            "server_side_encryption": {"enabled": True, "kms_key_arn": KEYS[0]},
            "table_class": "STANDARD",
            "deletion_protection_enabled": False,
            "tags": {"team": "fraud"},
        },
        updates={
            "global_secondary_index": [index("by-city", "city"), index("by-time", "at", range_key="city")],
            "ttl": {"attribute_name": "gone_at"},
            "point_in_time_recovery": {"enabled": False},
            "server_side_encryption": {"enabled": True, "kms_key_arn": KEYS[1]},
            "table_class": "STANDARD_INFREQUENT_ACCESS",
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={
            "name": "lab-other",
            "hash_key": "city",
            "range_key": "city",
            "local_secondary_index": [{"name": "in-city", "range_key": "city", "projection_type": "KEYS_ONLY"}],
        },
        besides={
            "hash_key": {
                "global_secondary_index": [index("by-user", "user_id")],
                "local_secondary_index": [{"name": "in-city", "range_key": "user_id"}],
            },
            "range_key": {"local_secondary_index": [{"name": "in-city", "range_key": "at"}]},
        },
        resets={"ttl": None, "point_in_time_recovery": None, "server_side_encryption": None, "tags": None},
        untried={
            "attribute": "changes with the keys that use it",
            "billing_mode": "changes with the capacity: tried in test_more_services",
            "read_capacity": "only with another billing mode: tried in the sample after this",
            "write_capacity": "the same",
            "stream_enabled": "changes with its view type: tried in the sample after this",
            "stream_view_type": "the same",
            "deletion_protection_enabled": "a protected table is not destroyed: tried in the sample after this",
        },
        outside={
            "global_secondary_index": unindexed,
            "ttl": no_ttl,
            "point_in_time_recovery": no_recovery,
            "server_side_encryption": update(SSESpecification={"Enabled": True, "KMSMasterKeyId": KEYS[1]}),
            "table_class": update(TableClass="STANDARD_INFREQUENT_ACCESS"),
            "tags": lambda lab, id: lab.boto("dynamodb").tag_resource(
                ResourceArn=f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{id}",
                Tags=[{"Key": "team", "Value": "someone"}],
            ),
        },
        remove=lambda lab, id: lab.boto("dynamodb").delete_table(TableName=id),
        noop_calls=16,
    ),
    Sample(
        "aws.dynamodb_table",
        {
            "name": "lab-counts",
            "hash_key": "user_id",
            "attribute": ATTRIBUTES[:1],
            "billing_mode": "PROVISIONED",
            "read_capacity": 5,
            "write_capacity": 5,
            "stream_enabled": True,
            "stream_view_type": "NEW_IMAGE",
        },
        updates={
            "read_capacity": 7,
            "write_capacity": 7,
            "stream_view_type": "OLD_IMAGE",
            "deletion_protection_enabled": True,
        },
        untried=dict.fromkeys(
            (
                "name",
                "hash_key",
                "range_key",
                "attribute",
                "global_secondary_index",
                "local_secondary_index",
                "ttl",
                "point_in_time_recovery",
                "server_side_encryption",
                "table_class",
                "tags",
            ),
            "tried in the sample before this",
        )
        | {
            "billing_mode": "changes with the capacity: tried in test_more_services",
            "stream_enabled": "changes with its view type",
            "stream_view_type": "it is a stream of its own afterwards: nobody changes it outside in one call",
        },
        outside={
            "read_capacity": update(ProvisionedThroughput={"ReadCapacityUnits": 9, "WriteCapacityUnits": 5}),
            "write_capacity": update(ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 9}),
            "deletion_protection_enabled": update(DeletionProtectionEnabled=True),
        },
        resets={},
        noop_calls=6,
    ),
]
