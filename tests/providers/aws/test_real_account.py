"""The command line against a real account, behind a switch; against the emulator always, by the same steps.

``MLINFRA_TEST_AWS_ACCOUNT=<account id>`` with credentials that answer as that account (``AWS_PROFILE`` and so on) turns it on;
``MLINFRA_TEST_AWS_REGION`` chooses the region (default eu-west-1). What it makes costs a few cents, has names that begin with
``mlt``, and is destroyed at the end; what a broken run left behind carries the tag ``mlinfra:blueprint=mlt…``.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3.session
import pytest
import yaml
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.emulator.server import Emulator
from tests.providers.aws.lab import ACCOUNT, REGION
from tests.providers.aws.samples.iam import trust

SWITCH = "MLINFRA_TEST_AWS_ACCOUNT"
PATIENCE = 180.0
"""Seconds that AWS's index of tags may lag behind; the emulator's does not."""
Fields = dict[str, Any]


@dataclass
class Target:
    """Where it is run: an account, and how it is reached. ``environ`` is what the commands are given besides."""

    account: str
    region: str
    environ: Mapping[str, str]
    endpoint: str | None = None

    @cached_property
    def session(self) -> Any:
        return boto3.session.Session(region_name=self.region)

    def boto(self, service: str) -> Any:
        return self.session.client(service, endpoint_url=self.endpoint)


def real() -> Target:
    """The account that the switch names; skips, and says why, if it cannot be used."""
    account = os.environ.get(SWITCH)
    if not account:
        pytest.skip(f"{SWITCH} is not set: no real account is used")
    region = os.environ.get("MLINFRA_TEST_AWS_REGION", REGION)
    config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    try:
        found = boto3.session.Session(region_name=region).client("sts", config=config).get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        pytest.skip(f"{SWITCH} is {account}, and there are no credentials that answer: {error}")
    if found["Account"] != account:
        pytest.skip(f"{SWITCH} is {account}, and the credentials are of {found['Account']}: nothing is done there")
    return Target(account, region, {})


@pytest.fixture(params=["emulator", "account"])
def target(request: pytest.FixtureRequest) -> Target:
    """The emulator, and the real account if there is one."""
    if request.param == "account":
        return real()
    emulator: Emulator = request.getfixturevalue("emulator")
    return Target(ACCOUNT, REGION, {"AWS_ENDPOINT_URL": emulator.url}, emulator.url)


@dataclass
class Site:
    """A blueprint in a folder of its own, and the commands that its users give. Its name is no other's, nor are its objects'."""

    folder: Path
    target: Target
    name: str

    def write(self, **sections: Any) -> None:
        environment = {
            "provider": "aws",
            "region": self.target.region,
            "account": self.target.account,
            "disposable": True,
        }
        blueprint = {"blueprint": self.name, "environments": {"t": environment}, **sections}
        (self.folder / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), "utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.target.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1800,
        )

    def well(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, f"mlinfra {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def converge(self) -> None:
        """Apply, and nothing is left to do."""
        self.well("apply", "--auto-approve")
        self.well("plan", "--detailed-exitcode")

    def tagged(self) -> list[str]:
        """The ARNs of all that carries this blueprint's tag and is not only waiting for its deletion."""
        pages = self.target.boto("resourcegroupstaggingapi").get_paginator("get_resources")
        filters = [{"Key": "mlinfra:blueprint", "Values": [self.name]}]
        found = [
            one["ResourceARN"] for page in pages.paginate(TagFilters=filters) for one in page["ResourceTagMappingList"]
        ]
        return [arn for arn in found if not self._going(arn)]

    def _going(self, arn: str) -> bool:
        if ":secret:" not in arn:
            return False
        try:
            return "DeletedDate" in self.target.boto("secretsmanager").describe_secret(SecretId=arn)
        except ClientError:
            return True

    def left(self) -> list[str]:
        """What is there after a destroy, once the index of tags has caught up."""
        until = time.monotonic() + (PATIENCE if self.target.endpoint is None else 0.0)
        while (found := self.tagged()) and time.monotonic() < until:
            time.sleep(5.0)
        return found


@pytest.fixture
def site(tmp_path: Path, target: Target) -> Iterator[Site]:
    """An empty site; whatever a test does, what it made is destroyed."""
    site = Site(tmp_path, target, f"mlt{secrets.token_hex(4)}")
    yield site
    site.run("destroy", "--auto-approve")


CHEAP: Mapping[str, tuple[Fields, Fields, str]] = {
    "bucket": (
        {"type": "aws.s3_bucket", "bucket": "{}-{account}", "versioning": {"status": "Enabled"}},
        {
            "versioning": {"status": "Suspended"},
            "lifecycle_rule": [{"id": "tmp", "prefix": "tmp/", "expiration": {"days": 7}}],
        },
        "bucket",
    ),
    "role": (
        {"type": "aws.iam_role", "name": "{}", "assume_role_policy": trust("scheduler"), "description": "starts"},
        {
            "description": "starts more",
            "inline_policy": [
                {
                    "name": "topic",
                    "policy": {"Statement": [{"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}]},
                }
            ],
        },
        "",
    ),
    "steps_role": (
        {"type": "aws.iam_role", "name": "{}-steps", "assume_role_policy": trust("states")},
        {"max_session_duration": 7200},
        "",
    ),
    "log": (
        {"type": "aws.cloudwatch_log_group", "name": "/{}/log", "retention_in_days": 7},
        {"retention_in_days": 30},
        "name",
    ),
    "parameter": ({"type": "aws.ssm_parameter", "name": "/{}/threshold", "value": "0.3"}, {"value": "0.4"}, "name"),
    "topic": ({"type": "aws.sns_topic", "name": "{}"}, {"display_name": "drift"}, ""),
    "table": (
        {
            "type": "aws.dynamodb_table",
            "name": "{}",
            "hash_key": "user",
            "attribute": [{"name": "user", "type": "S"}],
        },
        {"ttl": {"attribute_name": "until", "enabled": True}},
        "name",
    ),
    "rule": (
        {"type": "aws.cloudwatch_event_rule", "name": "{}", "event_pattern": {"source": ["mlinfra.test"]}},
        {"description": "nothing sends this", "state": "DISABLED"},
        "name",
    ),
    "schedule": (
        {
            "type": "aws.scheduler_schedule",
            "name": "{}",
            "schedule_expression": "rate(30 days)",
            "state": "DISABLED",
            "flexible_time_window": {"mode": "OFF"},
            "target": {"arn": "${{resource.topic.arn}}", "role_arn": "${{resource.role.arn}}"},
        },
        {"schedule_expression": "rate(40 days)"},
        "name",
    ),
    "alarm": (
        {
            "type": "aws.cloudwatch_metric_alarm",
            "alarm_name": "{}",
            "comparison_operator": "GreaterThanThreshold",
            "evaluation_periods": 1,
            "metric_name": "drift",
            "namespace": "mlinfra/test",
            "period": 3600,
            "statistic": "Maximum",
            "threshold": 0.3,
        },
        {"threshold": 0.4, "alarm_actions": ["${{resource.topic.arn}}"]},
        "alarm_name",
    ),
    "machine": (
        {
            "type": "aws.sfn_state_machine",
            "name": "{}",
            "role_arn": "${{resource.steps_role.arn}}",
            "definition": {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}},
        },
        {"definition": {"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}},
        "name",
    ),
    "images": (
        {"type": "aws.ecr_repository", "name": "{}/train"},
        {"image_tag_mutability": "IMMUTABLE"},
        "name",
    ),
    "models": (
        {
            "type": "aws.sagemaker_model_package_group",
            "model_package_group_name": "{}",
            "tags": {"team": "fraud"},
        },
        {"tags": {"team": "risk"}},
        "model_package_group_name",
    ),
}
"""Raw resources that cost nothing to speak of and are there at once: fields, a change in place, and the field that replaces it."""


def resources(site: Site, *, changed: bool = False, other: bool = False) -> dict[str, Fields]:
    """The resources of `CHEAP`, with the names of a site; ``other``: with other names."""

    def named(value: Any, name: str) -> Any:
        if isinstance(value, str):
            return value.format(name, account=site.target.account) if "{" in value else value
        if isinstance(value, dict):
            return {key: named(item, name) for key, item in value.items()}
        return [named(item, name) for item in value] if isinstance(value, list) else value

    found: dict[str, Fields] = {}
    for key, (fields, more, anew) in CHEAP.items():
        wanted = named({**fields, **(more if changed else {})}, site.name)
        if other and anew:
            wanted[anew] = named(fields[anew], f"{site.name}b")
        found[key] = wanted
    return found


def actions(told: str) -> str:
    """The last line of a plan: how much it does."""
    return next(line for line in reversed(told.splitlines()) if line.startswith("Plan:"))


def test_cheap_resources_are_made_changed_replaced_and_gone(site: Site) -> None:
    count, fixed = len(CHEAP), sum(1 for _, _, anew in CHEAP.values() if not anew)
    site.write(resource=resources(site))
    assert actions(site.well("plan")) == f"Plan: {count} to add, 0 to change, 0 to destroy."
    site.converge()

    # Somebody else's change is seen and put back.
    site.target.boto("logs").put_retention_policy(logGroupName=f"/{site.name}/log", retentionInDays=1)
    assert actions(site.well("plan")) == "Plan: 0 to add, 1 to change, 0 to destroy."

    site.write(resource=resources(site, changed=True))
    assert actions(site.well("plan")) == f"Plan: 0 to add, {count} to change, 0 to destroy."
    site.converge()

    site.write(resource=resources(site, changed=True, other=True))
    anew = count - fixed
    assert actions(site.well("plan")) == f"Plan: {anew} to add, 0 to change, {anew} to destroy."
    site.converge()

    site.well("destroy", "--auto-approve")
    assert site.left() == []
    site.well("destroy", "--auto-approve")  # again: there is nothing to do
    site.well("plan")


def test_storage_and_a_secret_come_up_and_go(site: Site) -> None:
    (site.folder / "data").mkdir()
    (site.folder / "data" / "a.csv").write_text("id\n1\n", "utf-8")
    site.write(
        storage={"lake": {"contents": "data", "versioning": True}},
        secret={"token": {"generate": True}},
    )
    assert "iam:PassRole" not in site.well("plan", "--permissions")
    site.converge()
    buckets = [arn for arn in site.tagged() if arn.startswith("arn:aws:s3:::")]
    if site.target.endpoint is not None or buckets:  # the index of tags may lag behind
        (bucket,) = (arn.rpartition(":")[2] for arn in buckets)
        keys = [one["Key"] for one in site.target.boto("s3").list_objects_v2(Bucket=bucket)["Contents"]]
        assert keys == ["a.csv"]
    site.well("destroy", "--auto-approve")
    assert site.left() == []
