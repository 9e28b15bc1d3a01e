"""What is measured: cells of a bucket (versioning, encryption, tags), a role, a model and an endpoint configuration."""

from __future__ import annotations

import json
from typing import Any

ACCOUNT = "123456789012"
REGION = "eu-west-1"
TRUST = {
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]
}
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/served:1"
TAGS = {"team": "risk", "cost": "ml"}


def blueprint(count: int) -> str:
    """A blueprint of so many cells (JSON is YAML)."""
    resources: dict[str, Any] = {}
    for number in range(count):
        name = f"cell-{number:03}"
        resources |= {
            f"bucket-{number}": {
                "type": "aws.s3_bucket",
                "bucket": f"bench-{name}-{ACCOUNT}",
                "versioning": {"status": "Enabled"},
                "server_side_encryption": {"sse_algorithm": "AES256"},
                "tags": TAGS,
            },
            f"role-{number}": {
                "type": "aws.iam_role",
                "name": f"bench-{name}",
                "assume_role_policy": TRUST,
                "tags": TAGS,
            },
            f"model-{number}": {
                "type": "aws.sagemaker_model",
                "name": f"bench-{name}",
                "execution_role_arn": f"${{resource.role-{number}.arn}}",
                "primary_container": {
                    "image": IMAGE,
                    "model_data_url": f"s3://${{resource.bucket-{number}.bucket}}/model.tar.gz",
                },
                "tags": TAGS,
            },
            f"config-{number}": {
                "type": "aws.sagemaker_endpoint_configuration",
                "name": f"bench-{name}",
                "production_variants": [
                    {
                        "variant_name": "champion",
                        "model_name": f"${{resource.model-{number}.name}}",
                        "instance_type": "ml.m5.large",
                        "initial_instance_count": 1,
                    }
                ],
                "tags": TAGS,
            },
        }
    environment = {"provider": "aws", "region": REGION, "account": ACCOUNT, "disposable": True}
    return json.dumps({"blueprint": "bench", "environments": {"b": environment}, "resource": resources}, indent=1)
