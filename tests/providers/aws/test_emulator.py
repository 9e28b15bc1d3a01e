"""The emulator: each behaviour that tests rely on, and what it says of itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator import faults
from tests.emulator.answers import Answer
from tests.emulator.calls import Call
from tests.emulator.contract import wrong_answer
from tests.emulator.server import Emulator
from tests.providers.aws.lab import ACCOUNT, Lab

SERVICES = {
    "s3": "list_buckets",
    "iam": "list_roles",
    "sagemaker": "list_models",
    "scheduler": "list_schedules",
    "cloudwatch": "describe_alarms",
    "ec2": "describe_vpcs",
}
"""A service of each protocol, with a call."""


@pytest.fixture
def aws(lab: Lab) -> Lab:
    """A laboratory whose own calls are struck by faults too."""
    lab.emulator.faults.agent = ""
    return lab


@pytest.fixture(autouse=True)
def _as_it_was(emulator: Emulator) -> Any:
    yield
    emulator.faults.agent = "mlinfra/"


def refused(lab: Lab, service: str, operation: str, **params: Any) -> tuple[str, str, int]:
    with pytest.raises(ClientError) as caught:
        getattr(lab.boto(service), operation)(**params)
    told = caught.value.response
    return told["Error"]["Code"], told["Error"]["Message"], told["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(("service", "operation"), SERVICES.items())
def test_a_fault_comes_in_the_protocol_of_the_service(aws: Lab, service: str, operation: str) -> None:
    aws.emulator.faults.add(faults.Fault(service, code="Strange", message="so <it> is", status=418, times=1))
    assert refused(aws, service, operation) == ("Strange", "so <it> is", 418)
    getattr(aws.boto(service), operation)()


def test_faults_count_pass_and_choose(aws: Lab) -> None:
    logs = aws.boto("logs")
    fault = aws.emulator.faults.add(faults.Fault("logs", "Describe*", code="No", skip=1, times=2))
    logs.describe_log_groups()
    for _ in range(2):
        assert refused(aws, "logs", "describe_log_groups")[0] == "No"
    logs.describe_log_groups()
    logs.create_log_group(logGroupName="x")
    assert fault.hits == 2


def test_a_rate_is_about_kept_and_the_same_each_time(aws: Lab) -> None:
    seen = []
    for _ in range(2):
        aws.emulator.faults.clear()
        fault = aws.emulator.faults.add(faults.throttled(0.2))
        for _ in range(200):
            aws.emulator.faults.strike(Call("s3", "ListBuckets", "", None, {}, "rest-xml", None))
        seen.append(fault.hits)
    assert seen[0] == seen[1]
    assert 20 < seen[0] < 60


def test_a_lost_reply_is_one_whose_call_worked(aws: Lab) -> None:
    aws.emulator.faults.add(faults.lost_reply("logs", "CreateLogGroup"))
    for name in ("a", "b"):
        assert refused(aws, "logs", "create_log_group", logGroupName=name)[2] == 500
        assert refused(aws, "logs", "create_log_group", logGroupName=name)[0] == "ResourceAlreadyExistsException"


def test_a_slow_service_answers_all_the_same(aws: Lab) -> None:
    fault = aws.emulator.faults.add(faults.Fault("logs", latency=0.05))
    started = time.monotonic()
    aws.boto("logs").describe_log_groups()
    assert fault.hits == 1
    assert time.monotonic() - started >= 0.05


def test_every_call_is_logged_with_its_parameters(aws: Lab) -> None:
    aws.boto("iam").list_roles(PathPrefix="/lab/")
    (call,) = aws.emulator.calls.of("iam")
    assert (call.operation, call.params, call.status, call.account) == (
        "ListRoles",
        {"PathPrefix": "/lab/"},
        200,
        ACCOUNT,
    )


@pytest.mark.parametrize(
    ("service", "operation", "params", "code", "told"),
    [
        ("sagemaker", "create_model", {"ModelName": "m" * 64}, "ValidationException", "at 'modelName'"),
        ("sagemaker", "create_model", {"ModelName": "a_b"}, "ValidationException", "regular expression"),
        (
            "sagemaker",
            "add_tags",
            {
                "ResourceArn": f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:model/m",
                "Tags": [{"Key": str(i), "Value": ""} for i in range(51)],
            },
            "ValidationException",
            "less than or equal to 50",
        ),
        (
            "sagemaker",
            "create_model",
            {"ModelName": "m", "ExecutionRoleArn": f"arn:aws:iam::{ACCOUNT}:role/none"},
            "ValidationException",
            "Could not assume role",
        ),
        (
            "sagemaker",
            "create_endpoint",
            {"EndpointName": "e", "EndpointConfigName": "none"},
            "ValidationException",
            "Could not find",
        ),
        ("sagemaker", "describe_feature_group", {"FeatureGroupName": "none"}, "ResourceNotFound", "can't find"),
        ("iam", "create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": "{}"}, "ValidationError", "at 'roleName'"),
    ],
)  # fmt: skip
def test_what_aws_refuses_is_refused(lab: Lab, service: str, operation: str, params: Any, code: str, told: str) -> None:
    found = refused(lab, service, operation, **params)
    assert found[0] == code
    assert told in found[1]
    assert found[2] in (400, 404)


def test_names_are_taken_once(lab: Lab) -> None:
    group = {"ModelPackageGroupName": "fraud"}
    lab.boto("sagemaker").create_model_package_group(**group)
    code, told, _ = refused(lab, "sagemaker", "create_model_package_group", **group)
    assert (code, "already exists" in told) == ("ValidationException", True)


def test_statuses_take_as_many_looks_as_they_are_told(lab: Lab) -> None:
    lab.emulator.polls(2)
    sagemaker = lab.boto("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="fraud")
    told = [
        sagemaker.describe_model_package_group(ModelPackageGroupName="fraud")["ModelPackageGroupStatus"]
        for _ in range(4)
    ]
    assert told == ["Pending", "Pending", "Completed", "Completed"]


def test_what_is_not_emulated_says_so_and_is_not_tried_again(lab: Lab) -> None:
    code, told, status = refused(lab, "sagemaker", "create_hub", HubName="x", HubDescription="x")
    assert (code, status) == ("EmulatorNotImplemented", 501)
    assert "sagemaker.CreateHub" in told
    assert len(lab.emulator.calls.of("sagemaker")) == 1


def test_an_answer_that_breaks_the_model_is_a_problem(emulator: Emulator, lab: Lab) -> None:
    lab.boto("logs").describe_log_groups()
    (seen,) = emulator.calls.of("logs")
    body = b'{"logGroups": [{"logGroupName": 7, "logGroupClass": "GOLD", "colour": "red"}]}'
    found = wrong_answer(seen, Answer(200, [], body))
    assert found[:2] == [".logGroups[].logGroupName is 7 and no string", ".logGroups[].colour is not in the model"]
    assert found[2].startswith(".logGroups[].logGroupClass is 'GOLD', which is none of STANDARD,")


def test_accounts_do_not_see_one_another(lab: Lab) -> None:
    lab.boto("logs").create_log_group(logGroupName="mine")
    other = lab.session.client(
        "logs",
        region_name="eu-west-1",
        endpoint_url=lab.emulator.url,
        aws_access_key_id="AKIA222222222222TEST",
        aws_secret_access_key="x",
    )
    assert other.describe_log_groups()["logGroups"] == []


def test_it_listens_on_this_machine_only(emulator: Emulator) -> None:
    assert emulator.url.startswith("http://127.0.0.1:")


def test_the_sandbox_starts_it_says_that_it_is_not_aws_and_takes_it_along(tmp_path: Path, session: Any) -> None:
    command = [sys.executable, "-m", "mlinfra", "sandbox", "aws", "--port", "0"]
    pipe, env = subprocess.PIPE, {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True, env=env) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = next(line for line in process.stdout if "AWS_ENDPOINT_URL=" in line)
        url = line.rpartition("=")[2].strip()
        keys = {"aws_access_key_id": f"AKIA{ACCOUNT}DEMO", "aws_secret_access_key": "none"}
        sts = session.client("sts", region_name="eu-west-1", endpoint_url=url, **keys)
        assert sts.get_caller_identity()["Account"] == ACCOUNT
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert "NOT AWS" in process.stderr.read()  # which ends when the emulator does: it has the other end
