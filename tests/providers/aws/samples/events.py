"""Samples of EventBridge."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab

QUEUES = [f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}" for name in ("first", "second", "third")]
ROLES = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("starter", "other", "mine")]
PIPELINE = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:pipeline/train"


def pattern(status: str) -> dict[str, Any]:
    """Endpoints that come to a status."""
    detail = {"EndpointStatus": [status]}
    return {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"], "detail": detail}


def put(member: str, value: Any) -> Outside:
    """Somebody changes one member of a rule."""

    def change(lab: Lab, id: str) -> Any:
        events = lab.boto("events")
        told = events.describe_rule(Name=id)
        names = ("Name", "Description", "EventPattern", "ScheduleExpression", "State", "RoleArn")
        return events.put_rule(**{**{name: told[name] for name in names if name in told}, member: value})

    return change


def remove(lab: Lab, id: str) -> None:
    events = lab.boto("events")
    told = events.list_targets_by_rule(Rule=id)["Targets"]
    events.remove_targets(Rule=id, Ids=[one["Id"] for one in told])
    events.delete_rule(Name=id)


def bus(lab: Lab) -> None:
    if len(lab.boto("events").list_event_buses()["EventBuses"]) == 1:
        lab.boto("events").create_event_bus(Name="lab")


SAMPLES = [
    Sample(
        "aws.cloudwatch_event_rule",
        {
            "name": "failed",
            "event_bus_name": "default",
            "description": "an endpoint failed",
            "event_pattern": pattern("FAILED"),
            "schedule_expression": "rate(1 hour)",
            "state": "ENABLED",
            "role_arn": ROLES[0],
            "target": [
                {
                    "target_id": "queue",
                    "arn": QUEUES[0],
                    "input_transformer": {"input_paths": {"name": "$.detail.name"}, "input_template": '"<name>"'},
                    "dead_letter_config": {"arn": QUEUES[2]},
                    "retry_policy": {"maximum_event_age_in_seconds": 600, "maximum_retry_attempts": 3},
                },
                {
                    "target_id": "train",
                    "arn": PIPELINE,
                    "role_arn": ROLES[0],
                    "sagemaker_pipeline_target": {"pipeline_parameter_list": [{"name": "Day", "value": "monday"}]},
                },
            ],
            "tags": {"team": "fraud"},
        },
        updates={
            "description": "an endpoint is well",
            "event_pattern": pattern("IN_SERVICE"),
            "schedule_expression": "cron(0 3 * * ? *)",
            "state": "DISABLED",
            "role_arn": ROLES[1],
            "target": [
                {"target_id": "queue", "arn": QUEUES[1], "input": '{"a": 1}'},
                {"target_id": "third", "arn": QUEUES[2], "input_path": "$.detail"},
            ],
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other", "event_bus_name": "lab"},
        besides={"event_bus_name": {"schedule_expression": None}},
        resets={
            "description": None,
            "event_pattern": None,
            "schedule_expression": None,
            "role_arn": None,
            "tags": None,
        },
        outside={
            "description": put("Description", "mine"),
            "event_pattern": put("EventPattern", '{"source": ["mine"]}'),
            "schedule_expression": put("ScheduleExpression", "rate(9 days)"),
            "state": put("State", "DISABLED"),
            "role_arn": put("RoleArn", ROLES[2]),
            "target": lambda lab, id: lab.boto("events").put_targets(
                Rule=id, Targets=[{"Id": "mine", "Arn": QUEUES[0]}]
            ),
            "tags": lambda lab, id: lab.boto("events").tag_resource(
                ResourceARN=f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{id}", Tags=[{"Key": "team", "Value": "someone"}]
            ),
        },
        before=bus,
        remove=remove,
        discoverable=False,
        service="events",
        creating="PutRule",
        noop_calls=12,
    )
]
