"""The quickstart on AWS, as it is shipped: the real command line brings it up, changes it and takes it down.

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
ACCOUNT = "111111111111"
REGION = "eu-west-1"
CHAMPION = "{ model: registry.models/fraud@champion, weight: 100 }\n"
SCALE = "    scale: { replicas: 2..6, target: { requests_per_second: 100 } }\n"
HOLDERS = [
    "registry.models/s3_bucket.artifacts",
    "storage.lake/s3_bucket.bucket",
    "registry.models/sagemaker_model_package_group.fraud",
    "feature_store.fraud/sagemaker_feature_group.user_txn",
    "monitor.drift/s3_bucket.reports",
]
"""What would be lost with the quickstart, and must be agreed to."""


class Cloud:
    """A copy of the quickstart, the commands that its users give, and AWS seen without mlinfra."""

    def __init__(self, root: Path, emulator: Emulator) -> None:
        self.root = root
        self.emulator = emulator
        shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
        self.session = botocore.session.get_session()

    def edit(self, before: str, after: str) -> None:
        """Change the blueprint as somebody in an editor would."""
        blueprint = self.root / "blueprint.yaml"
        text = blueprint.read_text("utf-8")
        assert text.count(before) == 1
        blueprint.write_text(text.replace(before, after), "utf-8")

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

    def nothing_to_do(self) -> None:
        """A plan is empty, and changes nothing itself."""
        before = len(self.emulator.calls.of())
        self.well("plan", "--detailed-exitcode")
        asked = {call.operation for call in self.emulator.calls.calls[before:]}
        assert asked
        writing = ("Create", "Put", "Update", "Delete", "Add", "Start", "Register")
        assert not {name for name in asked if name.startswith(writing)}

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
            ("list_processing_jobs", "ProcessingJobSummaries", "ProcessingJobName"),
            ("list_data_quality_job_definitions", "JobDefinitionSummaries", "MonitoringJobDefinitionName"),
            ("list_monitoring_schedules", "MonitoringScheduleSummaries", "MonitoringScheduleName"),
        ):
            found += [f"{operation} {one[name]}" for one in getattr(sagemaker, operation)()[key]]
        found += [f"alarm {one['AlarmName']}" for one in self.boto("cloudwatch").describe_alarms()["MetricAlarms"]]
        found += [f"rule {one['Name']}" for one in self.boto("events").list_rules()["Rules"]]
        found += [f"topic {one['TopicArn']}" for one in self.boto("sns").list_topics()["Topics"]]
        scaling = self.boto("application-autoscaling")
        targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
        policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
        found += [f"scales {one['ResourceId']}" for one in targets]
        found += [f"policy {one['PolicyName']}" for one in policies]
        return sorted(found)

    def prefixed(self) -> list[str]:
        """What of it has a name that begins as this blueprint's do."""
        return [one for one in self.everything() if "fraud-staging-" in one]

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

    schedule = sagemaker.describe_monitoring_schedule(MonitoringScheduleName="fraud-staging-monitor-drift")
    assert schedule["MonitoringScheduleStatus"] == "Scheduled"
    assert schedule["EndpointName"] == "fraud-staging-endpoint-fraud"
    (alarm,) = cloud.boto("cloudwatch").describe_alarms(AlarmNames=["fraud-staging-monitor-drift"])["MetricAlarms"]
    assert len([one for one in alarm["Metrics"] if "MetricStat" in one]) == 4

    cloud.nothing_to_do()
    cloud.edit(CHAMPION, CHAMPION + SCALE)
    cloud.well("apply", "--auto-approve")
    scaling = cloud.boto("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 6)
    sagemaker.update_endpoint_weights_and_capacities(
        EndpointName="fraud-staging-endpoint-fraud",
        DesiredWeightsAndCapacities=[{"VariantName": "champion", "DesiredInstanceCount": 5}],
    )
    cloud.nothing_to_do()

    assert cloud.tagged() != []
    refused = cloud.run("destroy", "--auto-approve")
    holders = re.findall(r"agree to lose it with --allow-data-loss (\S+)\.\n", refused.stderr)
    assert refused.returncode == 1
    assert sorted(holders) == sorted(HOLDERS)
    loss = [word for address in holders for word in ("--allow-data-loss", address)]
    cloud.well("destroy", "--auto-approve", *loss)
    assert cloud.tagged() == []
    assert cloud.prefixed() == []
    assert cloud.everything() == []


def test_what_the_readme_says_of_the_emulator_works(tmp_path: Path) -> None:
    """The lines that the sandbox prints are all that a plan of the shipped blueprint needs."""
    root = tmp_path / "quickstart"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("MLINFRA_", "AWS_"))}
    environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    command = [sys.executable, "-m", "mlinfra"]
    sandbox = subprocess.Popen(
        [*command, "sandbox", "aws", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )
    try:
        assert sandbox.stdout is not None
        told: dict[str, str] = {}
        for line in sandbox.stdout:
            name, _, value = line.strip().removeprefix("export ").partition("=")
            if name.startswith("AWS_"):
                told[name] = value
            if len(told) == 3:
                break
        planned = subprocess.run(
            [*command, "plan", "-e", "staging"],
            cwd=root,
            env=environ | told,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert planned.returncode == 0, planned.stderr
        assert "to add, 0 to change, 0 to destroy" in planned.stdout
    finally:
        sandbox.terminate()
        sandbox.communicate()
