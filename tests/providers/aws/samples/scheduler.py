"""Samples of EventBridge Scheduler."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab

PIPELINE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/train"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/starter"
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:lost"
KEYS = [f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{letter * 8}-0000-4000-8000-000000000000" for letter in "abc"]
TOLD = (
    "Name",
    "GroupName",
    "Description",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "State",
    "KmsKeyArn",
    "FlexibleTimeWindow",
    "Target",
    "ActionAfterCompletion",
)


def target(value: str, **more: Any) -> dict[str, Any]:
    """A pipeline that is started with a parameter."""
    return {
        "arn": PIPELINE,
        "role_arn": ROLE,
        "dead_letter_config": {"arn": QUEUE},
        "retry_policy": {"maximum_event_age_in_seconds": 3600, "maximum_retry_attempts": 3},
        "sagemaker_pipeline_parameters": {"pipeline_parameter": [{"name": "Day", "value": value}]},
        **more,
    }


def put(member: str, value: Any) -> Outside:
    """Somebody changes one member of a schedule."""

    def change(lab: Lab, id: str) -> Any:
        scheduler = lab.boto("scheduler")
        group, _, name = id.partition("/")
        told = scheduler.get_schedule(GroupName=group, Name=name)
        return scheduler.update_schedule(**{**{key: told[key] for key in TOLD if key in told}, member: value})

    return change


def groups(lab: Lab) -> None:
    lab.boto("scheduler").create_schedule_group(Name="lab")
    lab.boto("scheduler").create_schedule_group(Name="other")


def remove(lab: Lab, id: str) -> None:
    group, _, name = id.partition("/")
    lab.boto("scheduler").delete_schedule(GroupName=group, Name=name)


def start(lab: Lab) -> None:
    known = {one["Name"] for one in lab.boto("scheduler").list_schedule_groups()["ScheduleGroups"]}
    if "lab" not in known:
        groups(lab)


SAMPLES = [
    Sample(
        "aws.scheduler_schedule",
        {
            "name": "retrain",
            "group_name": "lab",
            "description": "trains anew",
            "schedule_expression": "rate(1 day)",
            "schedule_expression_timezone": "Europe/Berlin",
            "state": "ENABLED",
            "kms_key_arn": KEYS[0],
            "flexible_time_window": {"mode": "FLEXIBLE", "maximum_window_in_minutes": 15},
            "target": target("monday"),
            "action_after_completion": "DELETE",
        },
        updates={
            "description": "trains",
            "schedule_expression": "cron(0 3 * * ? *)",
            "schedule_expression_timezone": "UTC",
            "state": "DISABLED",
            "kms_key_arn": KEYS[1],
            "flexible_time_window": {"mode": "OFF"},
            "target": target("friday", input="{}"),
            "action_after_completion": "NONE",
        },
        replaces={"name": "other", "group_name": "other"},
        resets={"description": None, "kms_key_arn": None},
        outside={
            "description": put("Description", "mine"),
            "schedule_expression": put("ScheduleExpression", "rate(7 days)"),
            "schedule_expression_timezone": put("ScheduleExpressionTimezone", "Asia/Tokyo"),
            "state": put("State", "DISABLED"),
            "kms_key_arn": put("KmsKeyArn", KEYS[2]),
            "flexible_time_window": put("FlexibleTimeWindow", {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1}),
            "target": put("Target", {"Arn": PIPELINE, "RoleArn": ROLE}),
            "action_after_completion": put("ActionAfterCompletion", "NONE"),
        },
        before=start,
        remove=remove,
        noop_calls=5,
    )
]
