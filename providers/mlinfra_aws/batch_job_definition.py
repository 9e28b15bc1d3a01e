"""`aws.batch_job_definition`: each change is another revision of it, and the newest is what is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE, VOLATILE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.batch import Described, Name
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document
from mlinfra_aws.resource import Part
from mlinfra_aws.shapes import absent
from mlinfra_aws.tags import shown


class Exit(Part):
    """Whether a job that ended so is tried again."""

    action: Literal["RETRY", "EXIT"]
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None


class Retries(Part):
    """How often a job is tried."""

    attempts: int | None = Field(None, ge=1, le=10)
    evaluate_on_exit: list[Exit] = Field([], max_length=5)


class Timeout(Part):
    """How long a try may take."""

    attempt_duration_seconds: int = Field(ge=60)


class JobDefinition(Described):
    """What a job is. Each change is another revision of it; jobs that name no revision get the newest.

    Example::

        resource:
          train:
            type: aws.batch_job_definition
            name: train
            container_properties: { image: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/train:1",
                                    resourceRequirements: [{ type: VCPU, value: "2" }, { type: MEMORY, value: "4096" }] }
    """

    type: ClassVar[str] = "aws.batch_job_definition"
    noun: ClassVar[str] = "job definition"
    words: ClassVar[Mapping[str, str]] = {
        "name": "jobDefinitionName",
        "job_type": "type",
        "container_properties": "",
        "arn": "jobDefinitionArn",
    }
    # A register of a name that exists makes another revision of it.
    looks_first: ClassVar[bool] = True

    name: Annotated[Name, REPLACE]
    """Its name."""
    job_type: Annotated[Literal["container"], REPLACE] = "container"
    """What it is. (The API's ``type``.)"""
    container_properties: Document
    """The container, in the API's words: a mapping, or JSON text."""
    parameters: dict[str, str] = {}
    """What stands for ``Ref::name`` in its command, if a job does not say."""
    retry_strategy: Retries | None = None
    """How often a job is tried."""
    timeout: Timeout | None = None
    """How long a try may take."""
    platform_capabilities: list[Literal["EC2", "FARGATE"]] = Field([], max_length=1)
    """What it runs on."""
    propagate_tags: bool = False
    """Whether its tags are those of its tasks, too."""
    arn: Annotated[str | None, VOLATILE] = None
    """The ARN of its newest revision."""
    revision: Annotated[int | None, VOLATILE] = None
    """How often it was changed."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        # A definition is somebody's document: what is empty in it is kept.
        return {**super().normalise(fields, place), "container_properties": fields["container_properties"]}

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        shape = client.shape("batch", "DescribeJobDefinitions", output=True).members["jobDefinitions"].member
        found: dict[str, Fields | None] = {}
        for item in known:
            newest = max(cls._revisions(client, item.id), key=lambda one: int(one["revision"]), default=None)
            if newest is None:
                found[item.address] = None
                continue
            live = {"propagate_tags": False, **cls.told(shape, newest), "tags": shown(newest.get("tags", {}))}
            live["container_properties"] = _declared(
                newest.get("containerProperties", {}), item.fields.get("container_properties")
            )
            found[item.address] = live
        return found

    @classmethod
    def _revisions(cls, client: AwsClient, name: str) -> list[Any]:
        return list(
            client.pages("batch", "DescribeJobDefinitions", "jobDefinitions", jobDefinitionName=name, status="ACTIVE")
        )

    def make(self, client: AwsClient, op: Operation) -> Created:
        self._register(client, op)
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        old = self._revisions(client, known.id)
        self._register(client, op)
        for one in old:
            self.found(client, "DeregisterJobDefinition", op=op, jobDefinition=one["jobDefinitionArn"])
        return None

    def _register(self, client: AwsClient, op: Operation) -> None:
        params = self.asked(client, "RegisterJobDefinition")
        self.call(
            client,
            "RegisterJobDefinition",
            op=op,
            **params,
            containerProperties=self.container_properties,
            tags=self.owned(op),
        )

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """It is there at once."""

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        for one in cls._revisions(client, known.id):
            cls.found(client, "DeregisterJobDefinition", op=op, jobDefinition=one["jobDefinitionArn"])


def _declared(live: Any, known: Any) -> Any:
    """Without what AWS adds to a container that says nothing of it: empty lists and maps."""
    if isinstance(live, Mapping):
        names = known if isinstance(known, Mapping) else {}
        return {
            key: _declared(value, names.get(key)) for key, value in live.items() if key in names or not absent(value)
        }
    return live
