"""`aws.scheduler_schedule`: a call that AWS makes at times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.regular import Regular
from mlinfra_aws.resource import Part

Arn = Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:.+$", max_length=1600)]


class Window(Part):
    """Whether it may be a while later."""

    mode: Literal["OFF", "FLEXIBLE"]
    maximum_window_in_minutes: int | None = Field(None, ge=1, le=1440)


class DeadLetters(Part):
    """The queue for calls that failed."""

    arn: Arn


class Retries(Part):
    """How often, and how long, a call that failed is tried again."""

    maximum_event_age_in_seconds: int | None = Field(None, ge=60, le=86400)
    maximum_retry_attempts: int | None = Field(None, ge=0, le=185)


class PipelineParameter(Part):
    """A parameter of the pipeline."""

    name: str = Field(max_length=256)
    value: str = Field(max_length=1024)


class PipelineParameters(Part):
    """Parameters of a SageMaker pipeline that is started."""

    pipeline_parameter: list[PipelineParameter] = Field([], max_length=200)


class EventBridgeParameters(Part):
    """What an event that is put says of itself."""

    detail_type: str = Field(min_length=1, max_length=128)
    source: str = Field(min_length=1, max_length=256)


class SqsParameters(Part):
    """The group of a message."""

    message_group_id: str | None = Field(None, max_length=128)


class ScheduleTarget(Part):
    """What is called."""

    arn: Arn
    role_arn: Arn
    input: str | None = Field(None, min_length=1)
    dead_letter_config: DeadLetters | None = None
    retry_policy: Retries | None = None
    sagemaker_pipeline_parameters: PipelineParameters | None = None
    eventbridge_parameters: EventBridgeParameters | None = None
    sqs_parameters: SqsParameters | None = None


class Schedule(Regular):
    """A schedule. It carries no tags (only groups of them do): one that is as this one shall be is taken as its own.

    Example::

        resource:
          nightly:
            type: aws.scheduler_schedule
            name: retrain
            schedule_expression: cron(0 3 * * ? *)
            flexible_time_window: { mode: "OFF" }
            target: { arn: "${resource.train.arn}", role_arn: "${resource.starter.arn}" }
    """

    type: ClassVar[str] = "aws.scheduler_schedule"
    noun: ClassVar[str] = "schedule"
    service: ClassVar[str] = "scheduler"
    inner: ClassVar[Mapping[str, str]] = {
        "sagemaker_pipeline_parameters": "sage_maker_pipeline_parameters",
        "pipeline_parameter": "pipeline_parameter_list",
        "eventbridge_parameters": "event_bridge_parameters",
    }

    name: Annotated[str, REPLACE] = Field(pattern=r"^[0-9a-zA-Z_.-]{1,64}$")
    """Its name."""
    group_name: Annotated[str, REPLACE] = Field("default", pattern=r"^[0-9a-zA-Z_.-]{1,64}$")
    """The group that it is in."""
    description: str = Field("", max_length=512)
    """What it is for."""
    schedule_expression: str = Field(min_length=1, max_length=256, pattern=r"^(at|rate|cron)\(.+\)$")
    """When: ``rate(1 hour)``, ``cron(0 3 * * ? *)`` or ``at(2030-01-01T00:00:00)``."""
    schedule_expression_timezone: str = Field("UTC", min_length=1, max_length=50)
    """In which time zone."""
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    """Whether it goes."""
    kms_key_arn: str | None = None
    """The key that encrypts it."""
    flexible_time_window: Window
    """Whether a call may be made a while later."""
    target: ScheduleTarget
    """What is called."""
    action_after_completion: Literal["NONE", "DELETE"] = "NONE"
    """Whether it goes away after its last call."""

    def object_id(self) -> str:
        return f"{self.group_name}/{self.name}"

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        answer = cls.found(client, "GetSchedule", **_named(known.id))
        if answer is None:
            return None
        return {"description": "", **cls.told(client.shape("scheduler", "GetSchedule", output=True), answer)}

    def make(self, client: AwsClient, op: Operation) -> Created:
        self.call(client, "CreateSchedule", op=op, ClientToken=op.token, **self.asked(client, "CreateSchedule"))
        return Created(self.object_id())

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self.call(client, "UpdateSchedule", op=op, **self.asked(client, "UpdateSchedule"))
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteSchedule", op=op, ClientToken=op.token, **_named(known.id))


def _named(id: str) -> dict[str, Any]:
    group, _, name = id.partition("/")
    return {"GroupName": group, "Name": name}
