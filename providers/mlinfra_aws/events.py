"""`aws.cloudwatch_event_rule`: a rule of EventBridge with its targets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, keyed_by
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document, read, text
from mlinfra_aws.names import common_start
from mlinfra_aws.regular import Regular, arn_of
from mlinfra_aws.resource import BULK, Part, Tagged
from mlinfra_aws.shapes import from_api, to_api
from mlinfra_aws.tags import TagCalls, pairs

EVENTS_TAGS = TagCalls("events", "ListTagsForResource", "TagResource", "UntagResource", "ResourceARN")
DEFAULT = "default"
"""The bus that every account has, on which AWS itself tells what happens."""


class DeadLetters(Part):
    """The queue for events that no target took."""

    arn: str


class Retries(Part):
    """How often, and how long, a target that failed is tried again."""

    maximum_event_age_in_seconds: int | None = Field(None, ge=60, le=86400)
    maximum_retry_attempts: int | None = Field(None, ge=0, le=185)


class InputTransformer(Part):
    """What a target is told, made of parts of the event."""

    input_paths: dict[str, str] = Field({}, max_length=100)
    input_template: str = Field(min_length=1, max_length=8192)


class PipelineParameter(Part):
    """A parameter of the pipeline."""

    name: str
    value: str


class PipelineTarget(Part):
    """Parameters of a SageMaker pipeline that is started."""

    pipeline_parameter_list: list[PipelineParameter] = Field([], max_length=200)


class BatchTarget(Part):
    """The job of Batch that is submitted."""

    job_definition: str
    job_name: str


class SqsTarget(Part):
    """The group of a message."""

    message_group_id: str | None = None


class EventTarget(Part):
    """What an event is given to."""

    target_id: str = Field(pattern=r"^[.\-_A-Za-z0-9]{1,64}$")
    arn: str = Field(min_length=1, max_length=1600)
    role_arn: str | None = None
    input: str | None = Field(None, max_length=8192)
    input_path: str | None = Field(None, max_length=256)
    input_transformer: InputTransformer | None = None
    dead_letter_config: DeadLetters | None = None
    retry_policy: Retries | None = None
    sagemaker_pipeline_target: PipelineTarget | None = None
    batch_target: BatchTarget | None = None
    sqs_target: SqsTarget | None = None


INNER: Mapping[str, str] = {
    "target_id": "id",
    "sagemaker_pipeline_target": "sage_maker_pipeline_parameters",
    "batch_target": "batch_parameters",
    "sqs_target": "sqs_parameters",
}
"""Keys of a target → the API's words in small letters."""


class EventRule(Regular, Tagged):
    """A rule: which events, or when, and what they are given to.

    Example::

        resource:
          drifted:
            type: aws.cloudwatch_event_rule
            name: fraud-drifted
            event_pattern: { source: [aws.sagemaker], detail-type: [SageMaker Endpoint State Change] }
            target: [{ target_id: alerts, arn: "${resource.alerts.arn}" }]
    """

    type: ClassVar[str] = "aws.cloudwatch_event_rule"
    noun: ClassVar[str] = "rule"
    service: ClassVar[str] = "events"
    looks_first: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = EVENTS_TAGS

    name: Annotated[str, REPLACE] = Field(pattern=r"^[.\-_A-Za-z0-9]{1,64}$")
    """Its name."""
    event_bus_name: Annotated[str, REPLACE] = Field(DEFAULT, pattern=r"^[.\-_/A-Za-z0-9]{1,256}$")
    """The bus whose events it sees."""
    description: str = Field("", max_length=512)
    """What it is for."""
    event_pattern: Document | None = None
    """Which events: a mapping, or JSON text."""
    schedule_expression: str | None = Field(None, max_length=256, pattern=r"^(rate|cron)\(.+\)$")
    """When, instead: ``rate(1 hour)`` or ``cron(0 3 * * ? *)``."""
    state: Literal["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"] = "ENABLED"
    """Whether it goes."""
    role_arn: str | None = None
    """The role with which targets are called that have none of their own."""
    target: Annotated[list[EventTarget], keyed_by("target_id")] = Field([], max_length=5)
    """What events are given to."""

    def object_id(self) -> str:
        return self.name if self.event_bus_name == DEFAULT else f"{self.event_bus_name}/{self.name}"

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if not fields["event_pattern"] and not fields["schedule_expression"]:
            raise ProviderError(
                f"the rule {fields['name']} says neither which events nor when",
                remedy='Give "event_pattern" or "schedule_expression".',
            )
        found = super().normalise(fields, place)
        # A pattern is somebody's document: what is empty in it is kept.
        return {**found, "event_pattern": fields["event_pattern"]}

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found: dict[str, Fields | None] = {}
        for bus in {_named(item.id)["EventBusName"] for item in known}:
            here = [item for item in known if _named(item.id)["EventBusName"] == bus]
            rules = cls._rules(client, bus, [_named(item.id)["Name"] for item in here])
            for item in here:
                rule = rules.get(_named(item.id)["Name"])
                found[item.address] = None if rule is None else cls._fields(client, item, rule)
        return found

    @classmethod
    def _rules(cls, client: AwsClient, bus: str, names: Sequence[str]) -> dict[str, Any]:
        if len(names) < BULK:
            told = {name: cls.found(client, "DescribeRule", Name=name, EventBusName=bus) for name in names}
            return {name: rule for name, rule in told.items() if rule is not None}
        common = common_start(names)
        more: dict[str, Any] = {"NamePrefix": common} if common else {}
        return {rule["Name"]: rule for rule in client.pages("events", "ListRules", "Rules", EventBusName=bus, **more)}

    @classmethod
    def _fields(cls, client: AwsClient, known: Known, rule: Mapping[str, Any]) -> Fields:
        shape = client.shape("events", "ListRules", output=True).members["Rules"].member
        live = {"description": "", **cls.told(shape, {k: v for k, v in rule.items() if k != "EventPattern"})}
        live["event_pattern"] = read(rule.get("EventPattern"))
        if known.fields.get("target"):
            shape = client.shape("events", "PutTargets").members["Targets"].member
            told = client.pages("events", "ListTargetsByRule", "Targets", **_rule(known.id))
            live["target"] = [_ours(from_api(shape, one)) for one in told]
        return live

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        self._put(client, op, Tags=pairs(self.owned(op)))
        self._targets(client, [], op)
        return Created(self.object_id())

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if changed - {"target"}:
            self._put(client, op)
        if "target" in changed:
            there = client.pages("events", "ListTargetsByRule", "Targets", **_rule(known.id))
            self._targets(client, [one["Id"] for one in there], op)
        return None

    def _put(self, client: AwsClient, op: Operation, **more: Any) -> None:
        params = self.model_copy(update={"event_pattern": None}).asked(client, "PutRule")
        if self.event_pattern:
            params["EventPattern"] = text(self.event_pattern)
        self.call(client, "PutRule", op=op, **params, **more)

    def _targets(self, client: AwsClient, there: Iterable[str], op: Operation) -> None:
        """From the targets that it has to those that it shall have. First what is added."""
        shape = client.shape("events", "PutTargets").members["Targets"].member
        if self.target:
            told = [to_api(shape, _theirs(one.model_dump(mode="json", exclude_none=True))) for one in self.target]
            answer = self.call(client, "PutTargets", op=op, Targets=told, **_rule(self.object_id()))
            for failed in answer.get("FailedEntries", [])[:1]:
                raise ProviderError(
                    f"the rule {self.name} does not take the target {failed.get('TargetId')}: "
                    f"{failed.get('ErrorMessage') or failed.get('ErrorCode')}"
                )
        rest = [one for one in there if one not in {target.target_id for target in self.target}]
        if rest:
            self.found(client, "RemoveTargets", op=op, Ids=rest, **_rule(self.object_id()))

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        told = cls.found(client, "ListTargetsByRule", **_rule(known.id))
        if told is None:
            return
        if told["Targets"]:
            cls.found(client, "RemoveTargets", op=op, Ids=[one["Id"] for one in told["Targets"]], **_rule(known.id))
        cls.found(client, "DeleteRule", op=op, **_named(known.id))

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        return EVENTS_TAGS.of(client, str(live.get("arn") or arn_of(client, "events", f"rule/{id}")))


def _named(id: str) -> dict[str, Any]:
    bus, _, name = id.rpartition("/")
    return {"Name": name, "EventBusName": bus or DEFAULT}


def _rule(id: str) -> dict[str, Any]:
    told = _named(id)
    return {"Rule": told["Name"], "EventBusName": told["EventBusName"]}


def _theirs(target: Mapping[str, Any]) -> Fields:
    found = {INNER.get(key, key): value for key, value in target.items()}
    if "input_transformer" in found:
        told = found["input_transformer"]
        found["input_transformer"] = {"input_paths_map": told["input_paths"], "input_template": told["input_template"]}
    return found


def _ours(target: Mapping[str, Any]) -> Fields:
    back = {theirs: ours for ours, theirs in INNER.items()}
    found = {back.get(key, key): value for key, value in target.items()}
    if "input_transformer" in found:
        told = found["input_transformer"]
        paths = {"input_paths": told["input_paths_map"]} if told.get("input_paths_map") else {}
        found["input_transformer"] = {**paths, "input_template": told["input_template"]}
    return found
