"""Samples of IAM."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Sample
from tests.providers.aws.lab import Lab

MANAGED = "arn:aws:iam::aws:policy/"


def trust(service: str) -> dict[str, Any]:
    """Who may take a role on."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }


def may(action: str) -> dict[str, Any]:
    """A policy that allows an action."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}


def role(name: str, service: str = "sagemaker") -> dict[str, Any]:
    """A role for other samples."""
    return {"type": "aws.iam_role", "name": name, "assume_role_policy": trust(service)}


def remove(lab: Lab, id: str) -> None:
    iam = lab.boto("iam")
    for name in iam.list_role_policies(RoleName=id)["PolicyNames"]:
        iam.delete_role_policy(RoleName=id, PolicyName=name)
    for one in iam.list_attached_role_policies(RoleName=id)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=id, PolicyArn=one["PolicyArn"])
    iam.delete_role(RoleName=id)


SAMPLES = [
    Sample(
        "aws.iam_role",
        {
            "name": "trainer",
            "path": "/lab/",
            "assume_role_policy": trust("sagemaker"),
            "description": "trains",
            "max_session_duration": 7200,
            "permissions_boundary": f"{MANAGED}PowerUserAccess",
            "inline_policy": [{"name": "lake", "policy": may("s3:GetObject")}],
            "managed_policy_arns": [f"{MANAGED}ReadOnlyAccess", f"{MANAGED}AmazonS3ReadOnlyAccess"],
            "tags": {"team": "fraud"},
        },
        updates={
            "assume_role_policy": trust("lambda"),
            "description": "trains more",
            "max_session_duration": 3600,
            "permissions_boundary": f"{MANAGED}ReadOnlyAccess",
            "inline_policy": [
                {"name": "pond", "policy": may("s3:GetObject")},
                {"name": "lake", "policy": may("s3:PutObject")},
            ],
            "managed_policy_arns": [f"{MANAGED}ReadOnlyAccess"],
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other", "path": "/other/"},
        resets={"permissions_boundary": None, "inline_policy": None, "managed_policy_arns": None, "tags": None},
        outside={
            "assume_role_policy": lambda lab, id: lab.boto("iam").update_assume_role_policy(
                RoleName=id, PolicyDocument=json.dumps(trust("ec2"))
            ),
            "description": lambda lab, id: lab.boto("iam").update_role(
                RoleName=id, Description="mine", MaxSessionDuration=7200
            ),
            "max_session_duration": lambda lab, id: lab.boto("iam").update_role(
                RoleName=id, Description="trains", MaxSessionDuration=10000
            ),
            "permissions_boundary": lambda lab, id: lab.boto("iam").delete_role_permissions_boundary(RoleName=id),
            "inline_policy": lambda lab, id: lab.boto("iam").put_role_policy(
                RoleName=id, PolicyName="mine", PolicyDocument=json.dumps(may("s3:*"))
            ),
            "managed_policy_arns": lambda lab, id: lab.boto("iam").attach_role_policy(
                RoleName=id, PolicyArn=f"{MANAGED}AdministratorAccess"
            ),
            "tags": lambda lab, id: lab.boto("iam").untag_role(RoleName=id, TagKeys=["team"]),
        },
        remove=remove,
        discoverable=False,
        noop_calls=2,
    )
]
