"""`aws.ssm_parameter`: a value in the parameter store. The value reaches only the service; the state knows a fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, SECRET, VOLATILE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular, batches
from mlinfra_aws.resource import Tagged
from mlinfra_aws.tags import pairs, unpaired


class Parameter(Regular, Tagged):
    """A parameter.

    Example::

        resource:
          threshold: { type: aws.ssm_parameter, name: /fraud/threshold, parameter_type: String, value: "0.8" }
    """

    type: ClassVar[str] = "aws.ssm_parameter"
    noun: ClassVar[str] = "parameter"
    service: ClassVar[str] = "ssm"
    words: ClassVar[Mapping[str, str]] = {"arn": "ARN", "parameter_type": "Type"}
    gone_if: ClassVar[tuple[Rule, ...]] = (
        Rule("ParameterNotFound"),
        Rule("InvalidResourceId"),
        Rule("InvalidFilterValue"),
    )
    exists_if: ClassVar[tuple[Rule, ...]] = (Rule("ParameterAlreadyExists"),)

    name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9_./-]{1,1011}$")
    """Its name, with a path before it or not."""
    parameter_type: Annotated[Literal["String", "StringList", "SecureString"], REPLACE] = "String"
    """Whether it is a text, several with commas between, or an encrypted one."""
    value: Annotated[str, SECRET] = Field(min_length=1, max_length=8192)
    """Its value."""
    description: str = Field("", max_length=1024)
    """What it is for."""
    key_id: str | None = None
    """The key that encrypts it; the account's own one if not given. Only of a ``SecureString``."""
    tier: Literal["Standard", "Advanced"] = "Standard"
    """Values above 4 KB need the advanced one, which costs."""
    allowed_pattern: str | None = Field(None, max_length=1024)
    """What values must look like."""
    data_type: Literal["text", "aws:ec2:image"] = "text"
    """What AWS checks the value for."""
    version: Annotated[int | None, VOLATILE] = None
    """How often it was written."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if fields["key_id"] and fields["parameter_type"] != "SecureString":
            raise ProviderError(
                f"the parameter {fields['name']} is not encrypted, and has a key",
                remedy="Make it a SecureString, or remove key_id.",
            )
        return super().normalise(fields, place)

    @classmethod
    def replaces(cls, changes: Sequence[FieldChange]) -> Sequence[str]:
        """The standard tier is not gone back to."""
        return [change.path for change in changes if change.path == "tier" and change.new == "Standard"]

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        values: dict[str, Any] = {}
        for some in batches(list(known), 10):
            answer = cls.call(client, "GetParameters", Names=[item.id for item in some], WithDecryption=True)
            values |= {one["Name"]: one for one in answer["Parameters"]}
        found: dict[str, Fields] = {}
        shapes = [
            client.shape("ssm", "DescribeParameters", output=True).members["Parameters"].member,
            client.shape("ssm", "GetParameters", output=True).members["Parameters"].member,
        ]
        for some in batches([item for item in known if item.id in values], 50):
            names = {"Key": "Name", "Option": "Equals", "Values": [item.id for item in some]}
            for one in client.pages("ssm", "DescribeParameters", "Parameters", ParameterFilters=[names], MaxResults=50):
                told = [cls.told(shape, part) for shape, part in zip(shapes, (one, values[one["Name"]]), strict=True)]
                found[one["Name"]] = {"description": "", "tier": "Standard", "data_type": "text", **told[0], **told[1]}
        return {item.address: found.get(item.id) for item in known}

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        self.call(client, "PutParameter", op=op, **self.asked(client, "PutParameter"), Tags=pairs(self.owned(op)))
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        params = self.asked(client, "PutParameter")
        # The call leaves alone what is not named.
        params.setdefault("AllowedPattern", "")
        params.setdefault("Description", "")
        if self.parameter_type == "SecureString":
            params.setdefault("KeyId", "alias/aws/ssm")
        self.call(client, "PutParameter", op=op, **params, Overwrite=True)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteParameter", op=op, Name=known.id)

    # -- tags -----------------------------------------------------------------------------------------------------------

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        return unpaired(cls.call(client, "ListTagsForResource", ResourceType="Parameter", ResourceId=id)["TagList"])

    @classmethod
    def write_tags(
        cls, client: AwsClient, id: str, live: Mapping[str, Any], put: Mapping[str, str], gone: Iterable[str]
    ) -> None:
        named: dict[str, Any] = {"ResourceType": "Parameter", "ResourceId": id}
        rest = [key for key in gone if key not in put]
        if rest:
            cls.call(client, "RemoveTagsFromResource", **named, TagKeys=rest)
        if put:
            cls.call(client, "AddTagsToResource", **named, Tags=pairs(put))
