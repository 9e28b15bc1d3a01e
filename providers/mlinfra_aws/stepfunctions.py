"""`aws.sfn_state_machine`: steps in an order, run by Step Functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document, read, text
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular, arn_of
from mlinfra_aws.resource import Part, Tagged
from mlinfra_aws.tags import TagCalls, pairs
from mlinfra_aws.waits import until

STATES_TAGS = TagCalls(
    "stepfunctions",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
    "resourceArn",
    "tags",
    "tagKeys",
    "key",
    "value",
)
GONE = 10 * 60.0
"""Seconds for executions to end that run on while it is deleted."""


class Logging(Part):
    """What executions tell, and where."""

    log_destination: str | None = Field(None, pattern=r"^arn:.+:\*$")
    include_execution_data: bool = False
    level: Literal["ALL", "ERROR", "FATAL", "OFF"] = "OFF"


class Tracing(Part):
    """Whether executions are traced by X-Ray."""

    enabled: bool = False


class StateMachine(Regular, Tagged):
    """A state machine.

    Example::

        resource:
          retrain:
            type: aws.sfn_state_machine
            name: retrain
            role_arn: ${resource.stepper.arn}
            definition: { StartAt: done, States: { done: { Type: Succeed } } }
    """

    type: ClassVar[str] = "aws.sfn_state_machine"
    noun: ClassVar[str] = "state machine"
    service: ClassVar[str] = "stepfunctions"
    words: ClassVar[Mapping[str, str]] = {"state_machine_type": "type", "arn": "stateMachineArn"}
    gone_if: ClassVar[tuple[Rule, ...]] = (Rule("StateMachineDoesNotExist"), Rule("ResourceNotFound"))
    exists_if: ClassVar[tuple[Rule, ...]] = (Rule("StateMachineAlreadyExists"),)
    # A create of what exists with the same fields is answered as if it had made it.
    looks_first: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = STATES_TAGS

    name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9_-]{1,80}$")
    """Its name."""
    state_machine_type: Annotated[Literal["STANDARD", "EXPRESS"], REPLACE] = "STANDARD"
    """Whether executions are kept, or many, short and cheap."""
    definition: Document
    """Its states: a mapping, or JSON text."""
    role_arn: str
    """The role that its steps are started with."""
    logging_configuration: Logging | None = None
    """What executions tell, and where."""
    tracing_configuration: Tracing | None = None
    """Whether executions are traced."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        logging = fields["logging_configuration"] or {}
        if logging.get("level", "OFF") != "OFF" and not logging.get("log_destination"):
            raise ProviderError(
                f"the state machine {fields['name']} does not say where its logs go",
                remedy='Give "log_destination": the ARN of a log group with :* at its end.',
            )
        # A definition is somebody's document: what is empty in it is kept.
        return {**super().normalise(fields, place), "definition": fields["definition"]}

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        told = cls.found(client, "DescribeStateMachine", stateMachineArn=_arn(client, known))
        if told is None or told.get("status") == "DELETING":
            return None
        logging = told.get("loggingConfiguration") or {}
        where = [one["cloudWatchLogsLogGroup"]["logGroupArn"] for one in logging.get("destinations", [])]
        return {
            "name": told["name"],
            "state_machine_type": told["type"],
            "definition": read(told["definition"]),
            "role_arn": told["roleArn"],
            "logging_configuration": {
                "level": logging.get("level", "OFF"),
                "include_execution_data": logging.get("includeExecutionData", False),
                **({"log_destination": where[0]} if where else {}),
            },
            "tracing_configuration": {"enabled": (told.get("tracingConfiguration") or {}).get("enabled", False)},
            "arn": told["stateMachineArn"],
        }

    def _params(self) -> dict[str, Any]:
        logging = self.logging_configuration or Logging(log_destination=None)
        told: dict[str, Any] = {"level": logging.level, "includeExecutionData": logging.include_execution_data}
        if logging.log_destination:
            told["destinations"] = [{"cloudWatchLogsLogGroup": {"logGroupArn": logging.log_destination}}]
        return {
            "definition": text(self.definition),
            "roleArn": self.role_arn,
            "loggingConfiguration": told,
            "tracingConfiguration": {"enabled": (self.tracing_configuration or Tracing()).enabled},
        }

    def make(self, client: AwsClient, op: Operation) -> Created:
        self.call(
            client,
            "CreateStateMachine",
            op=op,
            name=self.name,
            type=self.state_machine_type,
            tags=pairs(self.owned(op), "key", "value"),
            **self._params(),
        )
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self.call(client, "UpdateStateMachine", op=op, stateMachineArn=_arn(client, known), **self._params())
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Deleted once AWS says that it is gone: executions go on until then, and the name is taken."""
        arn = _arn(client, known)
        cls.found(client, "DeleteStateMachine", op=op, stateMachineArn=arn)

        def look() -> tuple[str, str]:
            told = cls.found(client, "DescribeStateMachine", stateMachineArn=arn)
            return ("gone" if told is None else str(told.get("status"))), ""

        until(client, op, f"the state machine {known.id}", look, ready=("gone",), working=("DELETING",), timeout=GONE)


def _arn(client: AwsClient, known: Known) -> str:
    return str(known.fields.get("arn") or arn_of(client, "states", f"stateMachine:{known.id}"))
