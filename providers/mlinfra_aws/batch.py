"""AWS Batch: `aws.batch_compute_environment` and `aws.batch_job_queue`, and what all of Batch share (`Described`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, UNORDERED
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular, batches
from mlinfra_aws.resource import Part, Tagged
from mlinfra_aws.tags import TagCalls, shown
from mlinfra_aws.waits import until

BATCH_TAGS = TagCalls(
    "batch", "ListTagsForResource", "TagResource", "UntagResource", "resourceArn", "tags", "tagKeys", key=""
)
GONE: Final = (Rule("ClientException", "does not exist"),)
EXISTS: Final = (Rule("ClientException", "already exists"), Rule("ClientException", "Object already exists"))
TIMEOUT: Final = 30 * 60.0
"""Seconds for an environment or a queue to come, to change or to go."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$")]


class Described(Regular, Tagged):
    """What is told whole by one describe call for up to 100 of them, tags included."""

    service: ClassVar[str] = "batch"
    gone_if: ClassVar[tuple[Rule, ...]] = GONE
    exists_if: ClassVar[tuple[Rule, ...]] = EXISTS
    tag_calls: ClassVar[TagCalls | None] = BATCH_TAGS

    describing: ClassVar[tuple[str, str]]
    """The operation, and the member that names them in its request and holds them in its answer."""
    named: ClassVar[str]
    """The member with the name."""

    @classmethod
    def all(cls, client: AwsClient, names: Sequence[str]) -> dict[str, Any]:
        """Those of these names that there are, by name."""
        operation, key = cls.describing
        wanted: dict[str, Any] = {key: list(names)}
        told = client.pages("batch", operation, key, **wanted)
        return {one[cls.named]: one for one in told if one.get("status") not in ("DELETED", "DELETING")}

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found: dict[str, Fields] = {}
        shape = client.shape("batch", cls.describing[0], output=True).members[cls.describing[1]].member
        for some in batches(list(known), 100):
            for name, one in cls.all(client, [item.id for item in some]).items():
                found[name] = {**cls.told(shape, one), "tags": shown(one.get("tags", {}))}
        return {item.address: found.get(item.id) for item in known}

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls._settled(client, known.id, op)

    @classmethod
    def _settled(cls, client: AwsClient, name: str, op: Operation, *, gone: bool = False) -> None:
        operation, key = cls.describing
        wanted: dict[str, Any] = {key: [name]}

        def look() -> tuple[str, str]:
            told = cls.call(client, operation, **wanted)[key]
            status = str(told[0].get("status", "VALID")) if told else "DELETED"
            return status, str(told[0].get("statusReason", "")) if told else ""

        until(
            client,
            op,
            f"the {cls._noun()} {name}",
            look,
            ready=("DELETED",) if gone else ("VALID",),
            working=("CREATING", "UPDATING", "DELETING"),
            timeout=TIMEOUT,
        )

    @classmethod
    def _removed(cls, client: AwsClient, known: Known, op: Operation, word: str) -> None:
        """Disabled first, then deleted, as the service wants it."""
        if known.id not in cls.all(client, [known.id]):
            return
        name: dict[str, Any] = {word[0].lower() + word[1:]: known.id}
        if cls.found(client, f"Update{word}", op=op, **name, state="DISABLED") is None:
            return
        cls._settled(client, known.id, op)
        cls.found(client, f"Delete{word}", op=op, **name)
        cls._settled(client, known.id, op, gone=True)


class ComputeResources(Part):
    """What a managed environment runs on."""

    type: Literal["EC2", "SPOT", "FARGATE", "FARGATE_SPOT"]
    max_vcpus: int = Field(ge=0)
    min_vcpus: int | None = Field(None, ge=0)
    desired_vcpus: int | None = Field(None, ge=0)
    allocation_strategy: str | None = None
    instance_type: list[str] = []
    instance_role: str | None = None
    image_id: str | None = None
    ec2_key_pair: str | None = None
    subnets: Annotated[list[str], UNORDERED] = Field(min_length=1, max_length=16)
    security_group_ids: list[str] = Field([], max_length=16)
    bid_percentage: int | None = Field(None, ge=1, le=100)
    spot_iam_fleet_role: str | None = None
    placement_group: str | None = None


STAYS: Final = ("type", "allocation_strategy", "spot_iam_fleet_role", "image_id", "ec2_key_pair", "placement_group")
"""What of an environment's resources is fixed, in environments with a role of their own for the service."""


class ComputeEnvironment(Described):
    """What jobs run on.

    Example::

        resource:
          spot:
            type: aws.batch_compute_environment
            name: training
            service_role: ${resource.batcher.arn}
            compute_resources: { type: FARGATE_SPOT, max_vcpus: 32, subnets: ["${resource.near.id}"],
                                 security_group_ids: ["${resource.inside.id}"] }
    """

    type: ClassVar[str] = "aws.batch_compute_environment"
    noun: ClassVar[str] = "compute environment"
    words: ClassVar[Mapping[str, str]] = {
        "name": "computeEnvironmentName",
        "management": "type",
        "arn": "computeEnvironmentArn",
    }
    inner: ClassVar[Mapping[str, str]] = {
        "max_vcpus": "maxv_cpus",
        "min_vcpus": "minv_cpus",
        "desired_vcpus": "desiredv_cpus",
        "instance_type": "instance_types",
    }
    describing: ClassVar[tuple[str, str]] = ("DescribeComputeEnvironments", "computeEnvironments")
    named: ClassVar[str] = "computeEnvironmentName"

    name: Annotated[Name, REPLACE]
    """Its name."""
    management: Annotated[Literal["MANAGED", "UNMANAGED"], REPLACE] = "MANAGED"
    """Whether Batch starts and stops what it runs on. (The API's ``type``.)"""
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    """Whether it takes jobs."""
    service_role: str | None = None
    """The role that Batch has; its own one if not given."""
    compute_resources: ComputeResources | None = None
    """What it runs on, if it is managed."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if (fields["management"] == "MANAGED") != (fields["compute_resources"] is not None):
            raise ProviderError(
                f"the compute environment {fields['name']} and its management do not go together",
                remedy='Give "compute_resources" to a MANAGED one, and not to another.',
            )
        return super().normalise(fields, place)

    @classmethod
    def replaces(cls, changes: Sequence[FieldChange]) -> Sequence[str]:
        """Some of what it runs on is fixed."""
        return [change.path for change in changes if change.path in {f"compute_resources.{name}" for name in STAYS}]

    def make(self, client: AwsClient, op: Operation) -> Created:
        params = self.asked(client, "CreateComputeEnvironment")
        self.call(client, "CreateComputeEnvironment", op=op, **params, tags=self.owned(op))
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        params = self.asked(client, "UpdateComputeEnvironment")
        params.pop("computeResources", None)
        if "compute_resources" in changed and self.compute_resources is not None:
            fixed = dict.fromkeys(STAYS[1:])
            some = self.model_copy(update={"compute_resources": self.compute_resources.model_copy(update=fixed)})
            told = some.asked(client, "UpdateComputeEnvironment")["computeResources"]
            params["computeResources"] = {key: value for key, value in told.items() if key != "type"}
        self._settled(client, known.id, op)
        self.call(client, "UpdateComputeEnvironment", op=op, computeEnvironment=known.id, **params)
        self._settled(client, known.id, op)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls._removed(client, known, op, "ComputeEnvironment")


class EnvironmentOrder(Part):
    """An environment, and when it is asked."""

    order: int
    compute_environment: str


class JobQueue(Described):
    """Where jobs wait.

    Example::

        resource:
          trainings:
            type: aws.batch_job_queue
            name: trainings
            priority: 1
            compute_environment_order: [{ order: 1, compute_environment: "${resource.spot.arn}" }]
    """

    type: ClassVar[str] = "aws.batch_job_queue"
    noun: ClassVar[str] = "job queue"
    words: ClassVar[Mapping[str, str]] = {"name": "jobQueueName", "arn": "jobQueueArn"}
    describing: ClassVar[tuple[str, str]] = ("DescribeJobQueues", "jobQueues")
    named: ClassVar[str] = "jobQueueName"

    name: Annotated[Name, REPLACE]
    """Its name."""
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    """Whether it takes jobs."""
    priority: int = Field(ge=0, le=1000)
    """Which queue's jobs come first: the highest."""
    compute_environment_order: list[EnvironmentOrder] = Field(min_length=1, max_length=3)
    """What its jobs run on."""
    scheduling_policy_arn: Annotated[str | None, REPLACE] = None
    """How its jobs share it."""

    def object_id(self) -> str:
        return self.name

    def make(self, client: AwsClient, op: Operation) -> Created:
        self.call(client, "CreateJobQueue", op=op, **self.asked(client, "CreateJobQueue"), tags=self.owned(op))
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._settled(client, known.id, op)
        self.call(client, "UpdateJobQueue", op=op, jobQueue=known.id, **self.asked(client, "UpdateJobQueue"))
        self._settled(client, known.id, op)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls._removed(client, known, op, "JobQueue")
