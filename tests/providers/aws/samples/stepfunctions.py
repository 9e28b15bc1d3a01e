"""Samples of Step Functions."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION

GROUPS = [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/lab/{name}:*" for name in ("first", "second")]
ROLES = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ("stepper", "other", "mine")]


def arn(id: str) -> str:
    return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{id}"


def definition(result: str) -> dict[str, Any]:
    """A state machine that ends at once."""
    return {"StartAt": "done", "States": {"done": {"Type": "Pass", "Result": result, "End": True}}}


def update(**told: Any) -> Outside:
    """Somebody changes a state machine."""
    return lambda lab, id: lab.boto("stepfunctions").update_state_machine(stateMachineArn=arn(id), **told)


SAMPLES = [
    Sample(
        "aws.sfn_state_machine",
        {
            "name": "retrain",
            "state_machine_type": "STANDARD",
            "definition": definition("one"),
            "role_arn": ROLES[0],
            "logging_configuration": {"log_destination": GROUPS[0], "include_execution_data": True, "level": "ERROR"},
            "tracing_configuration": {"enabled": True},
            "tags": {"team": "fraud"},
        },
        updates={
            "definition": definition("two"),
            "role_arn": ROLES[1],
            "logging_configuration": {"log_destination": GROUPS[1], "level": "ALL"},
            "tracing_configuration": {"enabled": False},
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other", "state_machine_type": "EXPRESS"},
        resets={"tags": None},
        outside={
            "definition": update(definition=json.dumps(definition("mine"))),
            "role_arn": update(roleArn=ROLES[2]),
            "logging_configuration": update(loggingConfiguration={"level": "OFF", "includeExecutionData": False}),
            "tracing_configuration": update(tracingConfiguration={"enabled": False}),
            "tags": lambda lab, id: lab.boto("stepfunctions").tag_resource(
                resourceArn=arn(id), tags=[{"key": "team", "value": "someone"}]
            ),
        },
        remove=lambda lab, id: lab.boto("stepfunctions").delete_state_machine(stateMachineArn=arn(id)),
        service="stepfunctions",
        noop_calls=6,
    )
]
