"""The quickstart on AWS: nothing but an environment's block is added, and the real command line brings it up and takes it down.

AWS is the emulator here, reached as the SDK reaches any other endpoint. Containers do not run in it: what is proved is which
objects there are, with which fields, and that none is left.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from tests.emulator.server import Emulator

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart"
ACCOUNT = "123456789012"
REGION = "eu-west-1"
BLOCK = f'  staging: {{ provider: aws, region: {REGION}, account: "{ACCOUNT}" }}\n'
HOLDERS = [
    "registry.models/s3_bucket.artifacts",
    "storage.lake/s3_bucket.bucket",
    "registry.models/sagemaker_model_package_group.fraud",
    "feature_store.fraud/sagemaker_feature_group.user_txn",
]
"""What would be lost with the quickstart, and must be agreed to."""


class Cloud:
    """A copy of the quickstart, the commands that its users give, and AWS seen without mlinfra."""

    def __init__(self, root: Path, emulator: Emulator) -> None:
        self.root = root
        self.emulator = emulator
        shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
        blueprint = root / "blueprint.yaml"
        text = blueprint.read_text("utf-8")
        assert text.count("environments:\n") == 1
        blueprint.write_text(text.replace("environments:\n", f"environments:\n{BLOCK}"), "utf-8")
        self.session = botocore.session.get_session()

    @property
    def environ(self) -> dict[str, str]:
        found = {key: value for key, value in os.environ.items() if not key.startswith(("MLINFRA_", "AWS_"))}
        return {
            **found,
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}TEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments, "-e", "staging"],
            cwd=self.root,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def well(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"mlinfra {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def plan(self, *arguments: str) -> dict[str, Any]:
        records = [json.loads(line) for line in self.well("plan", "--json", *arguments).splitlines()]
        return next(record for record in records if record.get("event") == "plan" or "resources" in record)

    def boto(self, service: str) -> Any:
        return self.session.create_client(
            service,
            region_name=REGION,
            endpoint_url=self.emulator.url,
            aws_access_key_id=f"AKIA{ACCOUNT}TEST",
            aws_secret_access_key="secret",
        )

    def everything(self) -> list[str]:
        """Whatever there is in the account, asked of each service that the blueprint uses, tagged or not."""
        sagemaker, iam = self.boto("sagemaker"), self.boto("iam")
        found = [f"bucket {one['Name']}" for one in self.boto("s3").list_buckets()["Buckets"]]
        found += [f"role {one['RoleName']}" for one in iam.list_roles()["Roles"]]
        found += [f"images {one['repositoryName']}" for one in self.boto("ecr").describe_repositories()["repositories"]]
        found += [f"logs {one['logGroupName']}" for one in self.boto("logs").describe_log_groups()["logGroups"]]
        for operation, key, name in (
            ("list_models", "Models", "ModelName"),
            ("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName"),
            ("list_endpoints", "Endpoints", "EndpointName"),
            ("list_feature_groups", "FeatureGroupSummaries", "FeatureGroupName"),
            ("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroupName"),
            ("list_pipelines", "PipelineSummaries", "PipelineName"),
        ):
            found += [f"{operation} {one[name]}" for one in getattr(sagemaker, operation)()[key]]
        return sorted(found)

    def tagged(self) -> list[str]:
        filters = [{"Key": "mlinfra:blueprint", "Values": ["fraud"]}]
        told = self.boto("resourcegroupstaggingapi").get_resources(TagFilters=filters)["ResourceTagMappingList"]
        return sorted(one["ResourceARN"] for one in told)


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with Emulator() as emulator:
        emulator.reset()
        yield Cloud(tmp_path / "quickstart", emulator)
        assert emulator.problems == []


def test_the_quickstart_goes_up_and_down(cloud: Cloud) -> None:
    cloud.emulator.polls(2)
    cloud.well("apply", "--auto-approve")
    sagemaker = cloud.boto("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName="fraud-staging-endpoint-fraud")
    assert endpoint["EndpointStatus"] == "InService"
    config = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    (variant,) = config["ProductionVariants"]
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    (version,) = sagemaker.list_model_packages(ModelPackageGroupName="fraud-staging-registry-models-fraud")[
        "ModelPackageSummaryList"
    ]
    assert model["PrimaryContainer"]["ModelPackageName"] == version["ModelPackageArn"]
    lake = f"fraud-staging-storage-lake-{ACCOUNT}"
    keys = [one["Key"] for one in cloud.boto("s3").list_objects_v2(Bucket=lake)["Contents"]]
    assert keys == ["reference.parquet", "transactions.parquet", "user_txn.parquet"]

    changed = len(cloud.emulator.calls.of())
    cloud.well("plan", "--detailed-exitcode")
    asked = {call.operation for call in cloud.emulator.calls.calls[changed:]}
    assert asked
    assert not {name for name in asked if name.startswith(("Create", "Put", "Update", "Delete", "Add", "Start"))}
    assert cloud.well("apply", "--auto-approve")
    cloud.well("plan", "--detailed-exitcode")

    assert cloud.tagged() != []
    refused = cloud.run("destroy", "--auto-approve")
    holders = re.findall(r"agree to lose it with --allow-data-loss (\S+)\.\n", refused.stderr)
    assert refused.returncode == 1
    assert sorted(holders) == sorted(HOLDERS)
    loss = [word for address in holders for word in ("--allow-data-loss", address)]
    cloud.well("destroy", "--auto-approve", *loss)
    assert cloud.tagged() == []
    assert cloud.everything() == []
