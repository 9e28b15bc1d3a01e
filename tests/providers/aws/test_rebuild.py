"""A state that was lost is made anew from the tags of an account's objects, for every sample of every type."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mlinfra.engine.rebuild import Rebuilt, rebuild
from mlinfra.sdk.discovery import Scope
from mlinfra_aws import PROVIDER
from mlinfra_aws.discovery import BESIDES, LISTED, OF_OTHERS, TAGGED, UNTAGGED, discover, parsed
from mlinfra_aws.permissions import permitted
from tests.emulator.faults import Fault
from tests.providers.aws.conformance import SUBJECT, Sample, Trial
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.platform import census, sections
from tests.providers.aws.samples.iam import role
from tests.providers.aws.test_conformance import ROOT, SAMPLES

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
    assert sorted(BESIDES) == sorted(LISTED)


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_every_sample_is_found_again(lab: Lab, sample: Sample) -> None:
    trial = Trial(lab, sample)
    trial.start()
    before = recorded(lab)
    made = rebuilt(lab)
    assert made.strange == ()
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
    assert made.strange == ()
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


def scaled(dimension: str) -> dict[str, dict[str, Any]]:
    """A target of a table, and a policy of it that says by references what it is of."""
    name = dimension.lower()
    of = {key: f"${{resource.{name}.{key}}}" for key in ("resource_id", "scalable_dimension")}
    metric = {"predefined_metric_type": f"DynamoDB{dimension}CapacityUtilization"}
    return {
        name: {
            "type": "aws.appautoscaling_target",
            "resource_id": "table/lab",
            "service_namespace": "dynamodb",
            "scalable_dimension": f"dynamodb:table:{dimension}CapacityUnits",
            "min_capacity": 1,
            "max_capacity": 4,
        },
        f"{name}_load": {
            "type": "aws.appautoscaling_policy",
            "name": "load",
            "service_namespace": "dynamodb",
            **of,
            "target_tracking_scaling_policy_configuration": {
                "target_value": 70.0,
                "predefined_metric_specification": metric,
            },
        },
    }


def test_policies_of_one_name_are_each_found_with_their_own_target(lab: Lab) -> None:
    lab.write({**scaled("Read"), **scaled("Write")})
    lab.converge()
    before = recorded(lab)
    made = rebuilt(lab)
    assert made.missing == {}
    assert recorded(lab) == before
    assert lab.plan().empty


def test_a_policy_that_left_goes_though_its_target_stays(lab: Lab) -> None:
    both = scaled("Read")
    lab.write(both)
    lab.converge()
    lab.write({"read": both["read"]})
    (left,) = [row for row in rebuilt(lab).rows if row.role == "left"]
    assert left.address == "resource.read/appautoscaling_policy.table-lab-load"
    lab.converge()
    scaling = lab.boto("application-autoscaling")
    assert scaling.describe_scaling_policies(ServiceNamespace="dynamodb")["ScalingPolicies"] == []
    assert len(scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"]) == 1


QUEUE: dict[str, Any] = {
    "type": "aws.cloudcontrol",
    "type_name": "AWS::SQS::Queue",
    "desired_state": {"QueueName": "jobs", "VisibilityTimeout": 60},
}
WITHIN = "Missing or invalid ResourceModel property in AWS::SQS::Queue list handler request input."
"""What is said of types whose objects are listed only within something else, node groups of a cluster for one."""


def test_a_generic_object_that_cannot_be_listed_is_told_and_hinders_nothing(lab: Lab) -> None:
    lab.write({"jobs": QUEUE, "logs": {"type": "aws.cloudwatch_log_group", "name": "/lab/mine"}})
    lab.converge()
    lab.write({"logs": {"type": "aws.cloudwatch_log_group", "name": "/lab/mine"}})
    refusal = Fault("cloudcontrol", "ListResources", code="InvalidRequestException", message=WITHIN)
    lab.emulator.faults.add(refusal)
    made = rebuilt(lab)
    assert refusal.hits == 1
    assert made.strange == ((f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs", "resource.jobs"),)
    assert [row.id for row in made.rows] == ["/lab/mine"]


def test_a_generic_object_that_is_listed_within_another_is_found_by_what_it_says_that_is(lab: Lab) -> None:
    lab.write({"jobs": QUEUE})
    lab.converge()
    before = recorded(lab)
    lab.emulator.calls.clear()
    # Once for what carries our tags, and once for what the blueprint has.
    lab.emulator.faults.add(
        Fault("cloudcontrol", "ListResources", code="InvalidRequestException", message=WITHIN, times=2)
    )
    made = rebuilt(lab)
    assert (made.strange, dict(made.missing)) == ((), {})
    asked = [call.params.get("ResourceModel") for call in lab.emulator.calls.of("cloudcontrol", "ListResources")]
    assert asked[:2] == [None, None]
    assert json.loads(asked[2]) == QUEUE["desired_state"]
    assert recorded(lab) == before


def test_the_docs_tell_what_must_be_allowed_besides_reading(lab: Lab) -> None:
    rule = {"type": "aws.cloudwatch_event_rule", "name": "night", "schedule_expression": "rate(1 day)"}
    images = {"type": "aws.ecr_repository", "name": "lab/images"}
    lab.write({"jobs": QUEUE, "night": rule, "images": images, "key": {"type": "aws.kms_key"}, **scaled("Read")})
    lab.converge()
    lab.emulator.calls.clear()
    owner = {"mlinfra:blueprint": "lab", "mlinfra:environment": "test"}
    assert len(list(discover(lab.client(), Scope(owner)))) == 6
    section = (ROOT / "docs" / "state.md").read_text("utf-8").partition("## What the rebuild needs on AWS")[2]
    needed = {one for call in lab.emulator.calls.of() for one in permitted(f"{call.service}.{call.operation}")}
    assert needed - {"cloudformation:GetResource"} == set(re.findall("`([a-z0-9-]+:[A-Z][A-Za-z]+)`", section))


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
        (f"events:{REGION}:{ACCOUNT}:rule/bus/night", ("aws.cloudwatch_event_rule", "bus/night")),
        (f"ec2:{REGION}:{ACCOUNT}:vpc-endpoint/vpce-1", ("aws.vpc_endpoint", "vpce-1")),
        (f"batch:{REGION}:{ACCOUNT}:job-definition/train:3", ("aws.batch_job_definition", "train:3")),
        (f"sqs:{REGION}:{ACCOUNT}:jobs", ("", f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs")),
    ],
)
def test_an_arn_tells_type_and_id(rest: str, told: tuple[str, str]) -> None:
    assert parsed(f"arn:aws:{rest}") == told
