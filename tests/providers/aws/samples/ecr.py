"""Samples of ECR."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Sample
from tests.providers.aws.lab import ACCOUNT, REGION


def lifecycle(count: int) -> dict[str, Any]:
    """Keep so many images."""
    selection = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": count}
    return {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}


def pull(account: str) -> dict[str, Any]:
    """Another account may pull."""
    who = {"AWS": f"arn:aws:iam::{account}:root"}
    return {"Statement": [{"Sid": "pull", "Effect": "Allow", "Principal": who, "Action": ["ecr:BatchGetImage"]}]}


SAMPLES = [
    Sample(
        "aws.ecr_repository",
        {
            "name": "lab/fraud",
            "image_tag_mutability": "IMMUTABLE",
            "image_scanning_configuration": {"scan_on_push": True},
            "encryption_configuration": {"encryption_type": "AES256"},
            "lifecycle_policy": lifecycle(20),
            "policy": pull("222222222222"),
            "tags": {"team": "fraud"},
        },
        updates={
            "image_tag_mutability": "MUTABLE",
            "image_scanning_configuration": {"scan_on_push": False},
            "lifecycle_policy": lifecycle(5),
            "policy": pull("333333333333"),
            "tags": {"team": "risk"},
        },
        replaces={"name": "lab/other", "encryption_configuration": {"encryption_type": "KMS", "kms_key": "alias/x"}},
        resets={"lifecycle_policy": None, "policy": None, "tags": None},
        outside={
            "image_tag_mutability": lambda lab, id: lab.boto("ecr").put_image_tag_mutability(
                repositoryName=id, imageTagMutability="MUTABLE"
            ),
            "image_scanning_configuration": lambda lab, id: lab.boto("ecr").put_image_scanning_configuration(
                repositoryName=id, imageScanningConfiguration={"scanOnPush": False}
            ),
            "lifecycle_policy": lambda lab, id: lab.boto("ecr").put_lifecycle_policy(
                repositoryName=id, lifecyclePolicyText=json.dumps(lifecycle(3))
            ),
            "policy": lambda lab, id: lab.boto("ecr").delete_repository_policy(repositoryName=id),
            "tags": lambda lab, id: lab.boto("ecr").tag_resource(
                resourceArn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{id}",
                tags=[{"Key": "team", "Value": "someone"}],
            ),
        },
        remove=lambda lab, id: lab.boto("ecr").delete_repository(repositoryName=id, force=True),
        discoverable=False,
        noop_calls=17,
    )
]
