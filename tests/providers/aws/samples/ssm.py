"""Samples of the parameter store."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample

TAGS = {"team": "fraud"}


def put(**told: Any) -> Outside:
    """Somebody writes a parameter over."""
    return lambda lab, id: lab.boto("ssm").put_parameter(Name=id, Overwrite=True, **{"Value": "0.5", **told})


SAMPLES = [
    Sample(
        "aws.ssm_parameter",
        {
            "name": "/lab/threshold",
            "parameter_type": "String",
            "value": "0.5",
            "description": "a threshold",
            "tier": "Standard",
            "allowed_pattern": r"^[\d.]+$",
            "data_type": "text",
            "tags": TAGS,
        },
        updates={
            "value": "0.8",
            "description": "another threshold",
            "tier": "Advanced",
            "allowed_pattern": r"^[\d.]*$",
            "tags": {"team": "risk", "more": "tags"},
        },
        one_way=("tier",),
        replaces={"name": "/lab/other", "parameter_type": "StringList"},
        resets={"description": None, "allowed_pattern": None, "tags": None},
        untried={
            "key_id": "only of encrypted ones: tried in the sample after this",
            "data_type": "the other one wants an image of EC2 that exists",
            "tier": "somebody else's change to the advanced one is not gone back on in place",
        },
        outside={
            "value": put(Value="0.1"),
            "description": put(Description="mine"),
            "allowed_pattern": put(AllowedPattern=".*"),
            "tags": lambda lab, id: lab.boto("ssm").add_tags_to_resource(
                ResourceType="Parameter", ResourceId=id, Tags=[{"Key": "team", "Value": "someone"}]
            ),
        },
        remove=lambda lab, id: lab.boto("ssm").delete_parameter(Name=id),
        creating="PutParameter",
        noop_calls=4,
    ),
    Sample(
        "aws.ssm_parameter",
        {
            "name": "/lab/token",
            "parameter_type": "SecureString",
            "value": "s3cret",
            "key_id": "alias/lab",
            "tags": TAGS,
        },
        updates={"value": "an0ther", "key_id": "alias/other"},
        resets={"key_id": "alias/aws/ssm"},
        untried=dict.fromkeys(
            ("name", "parameter_type", "description", "tier", "allowed_pattern", "data_type", "tags"),
            "tried in the sample before this",
        ),
        outside={"value": put(Value="mine"), "key_id": put(Value="s3cret", KeyId="alias/mine")},
        remove=lambda lab, id: lab.boto("ssm").delete_parameter(Name=id),
        creating="PutParameter",
        noop_calls=4,
    ),
]
