"""`SageMakerResource`: what all types of SageMaker share. Its operations are regular (Create…, Describe…, Delete…), so a type says
its fields and the API's words, and the API's model does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import StringConstraints

from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws import shapes
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.names import common_start
from mlinfra_aws.resource import BULK, Tagged, missing
from mlinfra_aws.shapes import absent, from_api, plain, snake
from mlinfra_aws.tags import SAGEMAKER, TagCalls, pairs

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$", max_length=63)]
"""The name of most things: letters, digits and hyphens, 63 at most."""
RoleArn = Annotated[str, StringConstraints(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$", max_length=2048)]
InstanceType = Annotated[str, StringConstraints(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$")]


class SageMakerResource(Tagged):
    """A thing of SageMaker. A subclass with fields of the API's own names needs no more than the words below."""

    tag_calls: ClassVar[TagCalls | None] = SAGEMAKER

    api: ClassVar[str]
    """What its operations are about: ``Endpoint`` for CreateEndpoint and so on."""
    words: ClassVar[Mapping[str, str]]
    """Fields that the API calls otherwise than by the field's name in capitals: ``name`` → ``EndpointName``."""
    listing: ClassVar[tuple[str, str] | None] = None
    """The operation that lists them and the member with the items, if it tells ``stamp``: then what has not changed since it was
    read is not described again."""
    narrowing: ClassVar[str] = "NameContains"
    """The list's parameter that narrows it down to names like those wanted."""
    stamp: ClassVar[str] = "CreationTime"
    """The time that says whether it changed: when it was made, for what never changes."""

    def object_id(self) -> str:
        return str(getattr(self, self._id_field()))

    @classmethod
    def _id_field(cls) -> str:
        return next(iter(cls.words))

    @classmethod
    def _id_member(cls) -> str:
        return next(iter(cls.words.values()))

    @classmethod
    def _named(cls, name: str) -> dict[str, Any]:
        """The parameter that names one."""
        return {cls._id_member(): name}

    @classmethod
    def member(cls, field: str, shape: Any) -> str | None:
        """The API's member for a field, or None if this operation has none."""
        wanted = cls.words.get(field)
        if wanted is not None:
            return wanted if wanted in shape.members else None
        return next((name for name in shape.members if snake(name) == field), None)

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        if cls.listing is None or len(known) < BULK:
            return {item.address: cls.described(client, item) for item in known}
        stamps = cls._stamps(client, [item.id for item in known])
        found: dict[str, Fields | None] = {}
        for item in known:
            stamp = stamps.get(item.id)
            if stamp is None:
                found[item.address] = None
            elif stamp == item.fields.get(snake(cls.stamp)):
                found[item.address] = {name: value for name, value in item.fields.items() if name != "tags"}
            else:
                found[item.address] = cls.described(client, item)
        return found

    @classmethod
    def _stamps(cls, client: AwsClient, names: Sequence[str]) -> dict[str, str]:
        """When each was last changed, by name. Only pages with names like these are read."""
        assert cls.listing is not None
        operation, key = cls.listing
        common = common_start(names).strip("-")
        more: dict[str, Any] = {cls.narrowing: common} if common else {}
        return {
            item[cls._id_member()]: plain(item[cls.stamp])
            for item in client.pages("sagemaker", operation, key, MaxResults=100, **more)
        }

    @classmethod
    def described(cls, client: AwsClient, known: Known) -> Fields | None:
        """One of them, as it is."""
        try:
            answer = client.call("sagemaker", f"Describe{cls.api}", **cls._named(known.id))
        except AwsError as error:
            missing(error)
            return None
        return cls.told(client, answer)

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        """The fields of what describe answered."""
        shape = client.shape("sagemaker", f"Describe{cls.api}", output=True)
        live: Fields = {"arn": answer[f"{cls.api}Arn"]}
        for field in cls.model_fields:
            member = cls.member(field, shape)
            if member is not None and not absent(answer.get(member)):
                live[field] = from_api(shape.members[member], answer[member])
        return live

    # -- changing -------------------------------------------------------------------------------------------------------

    @classmethod
    def beside(cls, changes: Sequence[FieldChange]) -> bool:
        """With another name: an endpoint goes over to its new configuration before the old one and its models go."""
        return any(change.path == cls._id_field() for change in changes)

    def asked(self, client: AwsClient, operation: str) -> dict[str, Any]:
        """Its fields as the parameters of an operation; what is not given is left out."""
        shape = client.shape("sagemaker", operation)
        found: dict[str, Any] = {}
        for field, value in self.fields().items():
            member = self.member(field, shape) if field != "tags" else None
            if member is not None:
                found[member] = shapes.to_api(shape.members[member], value)
        return found

    def make(self, client: AwsClient, op: Operation) -> Created:
        operation = f"Create{self.api}"
        params = self.asked(client, operation)
        if "ClientRequestToken" in client.shape("sagemaker", operation).members:
            params["ClientRequestToken"] = op.token
        client.call("sagemaker", operation, op=op, **params, Tags=pairs(self.owned(op)))
        return Created(self.object_id())

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        try:
            client.call("sagemaker", f"Delete{cls.api}", op=op, **cls._named(known.id))
        except AwsError as error:
            missing(error)

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        found = client.pages("sagemaker", "ListTags", "Tags", ResourceArn=live["arn"])
        return {tag["Key"]: tag["Value"] for tag in found}
