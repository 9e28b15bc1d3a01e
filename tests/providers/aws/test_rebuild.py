"""A state that was lost is made anew from the tags of an account's objects, for every sample of every type."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.engine.rebuild import Rebuilt, rebuild
from mlinfra_aws import PROVIDER
from mlinfra_aws.discovery import LISTED, OF_OTHERS, TAGGED, UNTAGGED, parsed
from tests.providers.aws.conformance import SUBJECT, Sample, Trial
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.platform import census, sections
from tests.providers.aws.samples.iam import role
from tests.providers.aws.test_conformance import SAMPLES

PUT_AGAIN = "aws.s3_objects"


def lose(lab: Lab) -> None:
    for path in (lab.folder / ".mlinfra" / "test").glob("state.db*"):
        path.unlink()


def rebuilt(lab: Lab) -> Rebuilt:
    lose(lab)
    with lab.open() as workspace:
        made, done = rebuild(workspace)
    assert done
    return made


def recorded(lab: Lab) -> dict[str, tuple[str, str]]:
    with lab.open() as workspace:
        entries = workspace.backend.load().state.resources
    return {address: (entry.type, entry.id) for address, entry in entries.items()}


def test_every_type_is_found_or_says_why_not() -> None:
    tables: list[Any] = [TAGGED, LISTED, OF_OTHERS, UNTAGGED]
    told = [name for table in tables for name in table]
    assert sorted([*told, "aws.cloudcontrol"]) == sorted(PROVIDER.resources)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_sample_is_found_again(lab: Lab, sample: Sample) -> None:
    trial = Trial(lab, sample)
    trial.start()
    before = recorded(lab)
    made = rebuilt(lab)
    by_tags = {row.address: (row.type, row.id) for row in made.rows if row.how == "tags"}
    assert by_tags == {address: key for address, key in before.items() if key[0] not in UNTAGGED}
    missing = {address for address, (name, _) in before.items() if name == PUT_AGAIN}
    assert set(made.missing) == missing
    plan = lab.plan()
    assert {node.address for node in plan.nodes} == missing, [(n.address, n.action, n.changes) for n in plan.nodes]
    lab.converge()
    assert recorded(lab) == before
    lab.converge(destroy=True)
    assert lab.tagged() == []


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_what_left_the_blueprint_meanwhile_goes(lab: Lab, sample: Sample) -> None:
    trial = Trial(lab, sample)
    trial.start()
    before = recorded(lab)
    lab.write({})
    made = rebuilt(lab)
    assert {(row.type, row.id) for row in made.rows} == {key for key in before.values() if key[0] not in UNTAGGED}
    assert {row.role for row in made.rows} <= {"left"}
    lab.converge()
    assert lab.tagged() == []
    assert recorded(lab) == {}


FILES = {"storage.lake/s3_objects.contents", "training.fraud/s3_objects.code"}
"""What is put again: see `UNTAGGED`."""


def test_a_whole_platform_comes_back_and_no_training_runs_again(lab: Lab) -> None:
    lab.write({}, **sections(lab.folder))
    lab.converge()
    before, there = recorded(lab), census(lab.boto)
    made = rebuilt(lab)
    files = {address for address, (name, _) in before.items() if name == PUT_AGAIN}
    assert set(made.missing) == files
    shown = {node.address: node.action for node in lab.plan().shown()}
    assert {address: action for address, action in shown.items() if action != "create"} == {}
    assert set(shown) == files
    lab.converge()
    assert recorded(lab) == before
    assert census(lab.boto) == there
    lab.converge(destroy=True)
    assert lab.tagged() == []


def test_of_a_platform_that_is_no_longer_wanted_nothing_is_left(lab: Lab) -> None:
    lab.write({}, **sections(lab.folder))
    lab.converge()
    lab.write({"other": {"type": "aws.cloudwatch_log_group", "name": "/lab/other"}})
    rebuilt(lab)
    lab.converge()
    left = [line for line in census(lab.boto) if not line.startswith("logs /lab/other")]
    assert left == []


def test_the_lists_cost_pages_and_not_objects(lab: Lab) -> None:
    groups = {f"g{i}": {"type": "aws.cloudwatch_log_group", "name": f"/lab/{i}"} for i in range(12)}
    lab.write({**groups, "role": role("server")})
    lab.converge()
    lab.emulator.calls.clear()
    rebuilt(lab)
    assert len(lab.emulator.calls.of("resourcegroupstaggingapi", "GetResources")) <= 2
    assert len(lab.emulator.calls.of("logs")) <= 4


def test_objects_of_another_environment_and_of_nobody_are_left_alone(lab: Lab) -> None:
    lab.write({"mine": {"type": "aws.cloudwatch_log_group", "name": "/lab/mine"}})
    lab.converge()
    tags = {"mlinfra:blueprint": "lab", "mlinfra:environment": "prod", "mlinfra:address": "resource.mine"}
    lab.boto("logs").create_log_group(logGroupName="/lab/prod", tags=tags)
    lab.boto("ecr").create_repository(repositoryName="theirs")
    assert [row.id for row in rebuilt(lab).rows] == ["/lab/mine"]


def test_what_is_of_no_known_type_is_told(lab: Lab) -> None:
    lab.write({"mine": {"type": "aws.cloudwatch_log_group", "name": "/lab/mine"}})
    lab.converge()
    tags = [{"Key": key, "Value": text} for key, text in lab.operation("resource.queue").owner.items()]
    url = lab.boto("sqs").create_queue(QueueName="lab-queue", tags={tag["Key"]: tag["Value"] for tag in tags})[
        "QueueUrl"
    ]
    made = rebuilt(lab)
    assert made.strange == ((f"arn:aws:sqs:{REGION}:{ACCOUNT}:lab-queue", "resource.queue"),)
    lab.boto("sqs").delete_queue(QueueUrl=url)


def test_the_runs_of_a_job_are_its_past_and_no_resources(lab: Lab) -> None:
    (sample,) = [one for one in SAMPLES if one.type == "aws.sagemaker_training_job"][:1]
    trial = Trial(lab, sample)
    trial.start()
    tags = [{"Key": key, "Value": text} for key, text in lab.operation(SUBJECT).owner.items()]
    told = lab.boto("sagemaker").describe_training_job(TrainingJobName=trial.id)
    again = {key: told[key] for key in ("RoleArn", "AlgorithmSpecification", "OutputDataConfig", "ResourceConfig")}
    again["AlgorithmSpecification"] = {
        key: value
        for key, value in again["AlgorithmSpecification"].items()
        if key in ("TrainingImage", "TrainingInputMode")
    }
    lab.boto("sagemaker").create_training_job(
        TrainingJobName=f"{trial.id}-0123456789", StoppingCondition=told["StoppingCondition"], Tags=tags, **again
    )
    made = rebuilt(lab)
    assert [row.id for row in made.rows if row.address.startswith(SUBJECT)] == [trial.id]
    assert lab.plan().empty


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ("s3:::lake", ("aws.s3_bucket", "lake")),
        (f"logs:{REGION}:{ACCOUNT}:log-group:/a/b:*", ("aws.cloudwatch_log_group", "/a/b")),
        (f"secretsmanager:{REGION}:{ACCOUNT}:secret:a/b-c-AbCdEf", ("aws.secretsmanager_secret", "a/b-c")),
        (f"sagemaker:{REGION}:{ACCOUNT}:endpoint-config/a", ("aws.sagemaker_endpoint_configuration", "a")),
        (f"sagemaker:{REGION}:{ACCOUNT}:model-package-group/a", ("aws.sagemaker_model_package_group", "a")),
        (f"ec2:{REGION}:{ACCOUNT}:vpc/vpc-1", ("aws.vpc", "vpc-1")),
        (f"states:{REGION}:{ACCOUNT}:stateMachine:retrain", ("aws.sfn_state_machine", "retrain")),
        (f"sqs:{REGION}:{ACCOUNT}:jobs", ("", f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs")),
    ],
)
def test_an_arn_tells_type_and_id(rest: str, told: tuple[str, str]) -> None:
    assert parsed(f"arn:aws:{rest}") == told
