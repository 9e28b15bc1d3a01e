"""Every resource type while AWS misbehaves, where `conformance` does not look already (there it throttles, and loses the replies of
creates and deletes). Nothing is lost, nothing made twice, and what is told says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from tests.emulator import faults
from tests.emulator.faults import Fault
from tests.emulator.services.sagemaker import SAGEMAKER
from tests.providers.aws.conformance import Fields, Sample, Trial, gone
from tests.providers.aws.lab import ACCOUNT, Lab
from tests.providers.aws.samples.iam import role
from tests.providers.aws.test_conformance import SAMPLES


def told_by(lab: Lab) -> list[str]:
    """What an apply fails with, be it while it reads or while it acts."""
    try:
        return lab.failures()
    except DiagnosticError as error:
        return [f"{one.detail} {one.remedy}" for one in error.diagnostics]


def replies_to_updates_are_lost(trial: Trial) -> None:
    """Each call of an update works and is answered with 500 once."""
    trial.start()
    made = trial.id
    trial.lab.emulator.faults.add(faults.lost_reply())
    for name, value in trial.sample.updates.items():
        trial.want({name: value})
        trial.lab.converge()
        if name in trial.sample.one_way:
            break  # its way back is another object
        assert trial.id == made
    trial.want({})
    trial.lab.converge()
    gone(trial, trial.id)


def the_line_breaks(trial: Trial) -> None:
    """Each call works, and the connection breaks before it is answered, once. What must not be done twice is not tried again by
    itself: then that is told, and the next apply finds what was made."""
    if trial.sample.before is not None:
        trial.sample.before(trial.lab)
    trial.want({})
    trial.lab.emulator.faults.add(faults.broken_line())
    for _ in range(4):
        told = told_by(trial.lab)
        assert [one for one in told if "Look at the network" not in one] == []
        if not told:
            break
    assert trial.lab.plan().empty
    gone(trial, trial.id)


def credentials_expire(trial: Trial) -> None:
    """After some calls every one is refused; with new credentials it goes on from there."""
    if trial.sample.before is not None:
        trial.sample.before(trial.lab)
    trial.want({})
    for calls in (1, 4, 8):
        fault = trial.lab.emulator.faults.add(faults.expired(skip=calls))
        told = told_by(trial.lab)
        assert bool(told) == bool(fault.hits)
        assert [one for one in told if "Log in again" not in one or "goes on from here" not in one] == []
        trial.lab.emulator.faults.clear()
    trial.lab.converge()
    gone(trial, trial.id)


@pytest.mark.parametrize("check", [replies_to_updates_are_lost, the_line_breaks, credentials_expire])
@pytest.mark.parametrize("sample", SAMPLES, ids=str)
def test_each_type(lab: Lab, sample: Sample, check: Callable[[Trial], None]) -> None:
    check(Trial(lab, sample))


# -- roles that are not known everywhere yet ---------------------------------------------------------------------------------

TAKERS: dict[str, tuple[str, Fields, Fault]] = {
    "lambda": (
        "lambda",
        {
            "type": "aws.lambda_function",
            "function_name": "score",
            "package_type": "Image",
            "image_uri": f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/score:1",
            "role": "${resource.role.arn}",
        },
        Fault(
            "lambda",
            "CreateFunction",
            "InvalidParameterValueException",
            "The role defined for the function cannot be assumed by Lambda.",
        ),
    ),
    "scheduler": (
        "scheduler",
        {
            "type": "aws.scheduler_schedule",
            "name": "nightly",
            "schedule_expression": "rate(1 day)",
            "flexible_time_window": {"mode": "OFF"},
            "target": {"arn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:q", "role_arn": "${resource.role.arn}"},
        },
        Fault(
            "scheduler",
            "CreateSchedule",
            "ValidationException",
            "The execution role you provide must allow AWS EventBridge Scheduler to assume the role.",
        ),
    ),
    "states": (
        "states",
        {
            "type": "aws.sfn_state_machine",
            "name": "steps",
            "role_arn": "${resource.role.arn}",
            "definition": {"StartAt": "End", "States": {"End": {"Type": "Succeed"}}},
        },
        Fault(
            "stepfunctions",
            "CreateStateMachine",
            "AccessDeniedException",
            "Neither the global service principal states.amazonaws.com, nor the regional one is authorized to assume the "
            "provided role.",
        ),
    ),
    "events": (
        "events",
        {
            "type": "aws.cloudwatch_event_rule",
            "name": "failed",
            "event_pattern": {"source": ["aws.sagemaker"]},
            "role_arn": "${resource.role.arn}",
        },
        Fault(
            "events",
            "PutRule",
            "ValidationException",
            "Provided role 'arn' cannot be assumed by principal 'events.amazonaws.com'.",
        ),
    ),
    "sagemaker": (
        "sagemaker",
        {
            "type": "aws.sagemaker_mlflow_tracking_server",
            "tracking_server_name": "runs",
            "artifact_store_uri": "s3://lab-runs/mlflow",
            "role_arn": "${resource.role.arn}",
        },
        Fault("sagemaker", "CreateMlflowTrackingServer", "ValidationException", "The execution role ARN is invalid."),
    ),
}


@pytest.mark.parametrize("taker", TAKERS.values(), ids=TAKERS)
def test_a_role_of_this_run_is_waited_for_and_another_one_is_told(lab: Lab, taker: tuple[str, Fields, Fault]) -> None:
    service, fields, fault = taker
    fault = replace(fault, times=3, hits=0)
    lab.emulator.faults.add(fault)
    lab.write({"role": role("worker", service), "subject": fields})
    lab.converge()
    assert fault.hits == 3
    lab.write({"role": role("worker", service)})
    lab.converge()
    # The role is old by now: that it cannot be assumed will not change by waiting.
    fault = replace(fault, times=None, hits=0)
    lab.emulator.faults.add(fault)
    lab.write({"role": role("worker", service), "subject": fields})
    (told,) = lab.failures()
    assert fault.hits == 1
    assert fault.message in told
    assert "trust policy" in told


# -- what ends in failure -------------------------------------------------------------------------------------------------------

ENDINGS = {
    "aws.sagemaker_feature_group": ("FeatureGroup", "CreateFailed"),
    "aws.sagemaker_mlflow_tracking_server": ("MlflowTrackingServer", "CreateFailed"),
    "aws.sagemaker_monitoring_schedule": ("MonitoringSchedule", "Failed"),
}
"""Type → the emulator's word, and the status of one that can only be made anew. Endpoints: see test_faults."""


@pytest.mark.parametrize("type_name", ENDINGS)
def test_what_cannot_be_made_is_told_and_made_anew_by_the_next_apply(lab: Lab, type_name: str) -> None:
    word, status = ENDINGS[type_name]
    trial = Trial(lab, next(one for one in SAMPLES if one.type == type_name))
    if trial.sample.before is not None:
        trial.sample.before(lab)
    trial.want({})
    lab.emulator.polls(1)
    SAGEMAKER.endings[word, str(trial.sample.fields[trial.sample.name])] = (status, "the store is not there")
    (told,) = lab.failures()
    assert status in told
    assert "Mend the cause, then run `mlinfra apply` again" in told
    node = lab.node("resource.subject")
    assert node.action == "replace"
    assert "holds nothing" in node.summary or "watches nothing" in node.summary
    assert node.would_lose == ""
    lab.converge()
    gone(trial, trial.id)
