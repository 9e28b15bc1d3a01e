"""The floor: the same cells by boto3 alone, with 16 threads and no state, plan or checks: ``floor.py make|read|remove COUNT``."""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
from botocore.config import Config

from benchmarks.aws.cells import ACCOUNT, IMAGE, REGION, TAGS, TRUST

THREADS = 16


class Cells:
    """Cells on AWS, one after another in each thread."""

    def __init__(self) -> None:
        config = Config(max_pool_connections=THREADS)
        self.s3, self.iam, self.sagemaker = (
            boto3.client(name, region_name=REGION, config=config) for name in ("s3", "iam", "sagemaker")
        )

    def make(self, number: int) -> None:
        """What it takes to make one, tags included."""
        name, tags = f"cell-{number:03}", [{"Key": key, "Value": value} for key, value in TAGS.items()]
        bucket = f"bench-{name}-{ACCOUNT}"
        self.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        self.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
        self.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        self.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
        role = self.iam.create_role(RoleName=f"bench-{name}", AssumeRolePolicyDocument=json.dumps(TRUST), Tags=tags)
        container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/model.tar.gz"}
        self.sagemaker.create_model(
            ModelName=f"bench-{name}", ExecutionRoleArn=role["Role"]["Arn"], PrimaryContainer=container, Tags=tags
        )
        variant = {
            "VariantName": "champion",
            "ModelName": f"bench-{name}",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=f"bench-{name}", ProductionVariants=[variant], Tags=tags
        )

    def read(self, number: int) -> None:
        """One by one, as Terraform's provider does, but with the fewest calls that tell each field."""
        name = f"cell-{number:03}"
        bucket = f"bench-{name}-{ACCOUNT}"
        self.s3.get_bucket_tagging(Bucket=bucket)
        self.s3.get_bucket_versioning(Bucket=bucket)
        self.s3.get_bucket_encryption(Bucket=bucket)
        self.iam.get_role(RoleName=f"bench-{name}")
        model = self.sagemaker.describe_model(ModelName=f"bench-{name}")
        config = self.sagemaker.describe_endpoint_config(EndpointConfigName=f"bench-{name}")
        for arn in (model["ModelArn"], config["EndpointConfigArn"]):
            self.sagemaker.list_tags(ResourceArn=arn)

    def remove(self, number: int) -> None:
        """The other way round."""
        name = f"cell-{number:03}"
        self.sagemaker.delete_endpoint_config(EndpointConfigName=f"bench-{name}")
        self.sagemaker.delete_model(ModelName=f"bench-{name}")
        self.iam.delete_role(RoleName=f"bench-{name}")
        self.s3.delete_bucket(Bucket=f"bench-{name}-{ACCOUNT}")


def main() -> None:
    """Do it to all cells."""
    verb, count = sys.argv[1], int(sys.argv[2])
    work: Any = getattr(Cells(), verb)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(count)))


if __name__ == "__main__":
    main()
