"""`aws.kms_key` and `aws.kms_alias`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, WRITE_ONLY
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Policy, policy, text
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import AwsResource, Tagged, missing
from mlinfra_aws.tags import KMS, TagCalls, pairs

SYMMETRIC = "SYMMETRIC_DEFAULT"


class KmsKey(Tagged):
    """A key of the key service. Its id is made by AWS; give it a name with an `aws.kms_alias`.

    Example::

        resource:
          lake_key: { type: aws.kms_key, description: encrypts the lake, enable_key_rotation: true }
    """

    type: ClassVar[str] = "aws.kms_key"
    noun: ClassVar[str] = "key"
    holds_data: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = KMS
    tagged_by: ClassVar[str] = "id"

    description: str = Field("", max_length=8192)
    """What it is for."""
    key_usage: Annotated[Literal["ENCRYPT_DECRYPT", "SIGN_VERIFY", "GENERATE_VERIFY_MAC"], REPLACE] = "ENCRYPT_DECRYPT"
    """What it can do."""
    customer_master_key_spec: Annotated[str, REPLACE] = SYMMETRIC
    """Its kind."""
    policy: Policy | None = None
    """Who may use it; AWS's own policy (the account decides by its roles) if not given."""
    enable_key_rotation: bool = False
    """Whether its material is made anew every year."""
    is_enabled: bool = True
    """Whether it can be used."""
    multi_region: Annotated[bool, REPLACE] = False
    """Whether it can be copied to other regions."""
    deletion_window_in_days: Annotated[int, WRITE_ONLY] = Field(30, ge=7, le=30)
    """How long a delete can be called off (`aws kms cancel-key-deletion`)."""
    key_id: Annotated[str | None, COMPUTED] = None
    """Its id."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if fields["enable_key_rotation"] and fields["customer_master_key_spec"] != SYMMETRIC:
            raise ProviderError(
                f"a key of the kind {fields['customer_master_key_spec']} is not made anew every year",
                remedy="Remove enable_key_rotation.",
            )
        return super().normalise(fields, place)

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        try:
            told = client.call("kms", "DescribeKey", KeyId=known.id)["KeyMetadata"]
            if told["KeyState"] in ("PendingDeletion", "PendingReplicaDeletion"):
                return None
            live: Fields = {
                "description": told.get("Description", ""),
                "key_usage": told["KeyUsage"],
                "customer_master_key_spec": told.get("KeySpec", SYMMETRIC),
                "is_enabled": told["Enabled"],
                "multi_region": told.get("MultiRegion", False),
                "key_id": told["KeyId"],
                "arn": told["Arn"],
                "enable_key_rotation": False,
                "deletion_window_in_days": known.fields.get("deletion_window_in_days"),
            }
            if told.get("KeySpec", SYMMETRIC) == SYMMETRIC and told["Enabled"]:
                live["enable_key_rotation"] = client.call("kms", "GetKeyRotationStatus", KeyId=known.id)[
                    "KeyRotationEnabled"
                ]
            if known.fields.get("policy"):
                live["policy"] = policy(
                    client.call("kms", "GetKeyPolicy", KeyId=known.id, PolicyName="default")["Policy"]
                )
            return live
        except AwsError as error:
            missing(error)
            return None

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        """A key has no name of its own: it is found by its tags."""
        for item in client.pages(
            "resourcegroupstaggingapi",
            "GetResources",
            "ResourceTagMappingList",
            TagFilters=[{"Key": key, "Values": [value]} for key, value in op.owner.items()],
            ResourceTypeFilters=["kms:key"],
        ):
            key: str = item["ResourceARN"].rpartition("/")[2]
            if self._one(client, Known(op.address, key, {})) is not None:
                return key
        return None

    def create(self, client: AwsClient, op: Operation) -> Created:
        """CreateKey has no token: after a reply that was lost, the key is looked for before another one is made."""
        for left in (2, 1, 0):
            try:
                return self.make(client, op)
            except AwsError as error:
                if not error.lost or not left:
                    raise
                found = self.locate(client, op)
                if found is not None:
                    return self._converged(client, Known(op.address, found, self._live(client, found, op) or {}), op)
        raise AssertionError("the last try returns or raises")

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {"Policy": text(self.policy)} if self.policy else {}
        told = client.call(
            "kms",
            "CreateKey",
            op=op,
            once=True,
            Description=self.description,
            KeyUsage=self.key_usage,
            KeySpec=self.customer_master_key_spec,
            MultiRegion=self.multi_region,
            Tags=pairs(self.owned(op), "TagKey", "TagValue"),
            **more,
        )["KeyMetadata"]
        client.made(told["KeyId"])
        if self.enable_key_rotation:
            client.call("kms", "EnableKeyRotation", KeyId=told["KeyId"])
        if not self.is_enabled:
            client.call("kms", "DisableKey", KeyId=told["KeyId"])
        return Created(told["KeyId"], self.fields(key_id=told["KeyId"], arn=told["Arn"]))

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if "is_enabled" in changed and self.is_enabled:
            client.call("kms", "EnableKey", KeyId=known.id)
        if "description" in changed:
            client.call("kms", "UpdateKeyDescription", KeyId=known.id, Description=self.description)
        if "policy" in changed:
            told = text(self.policy or _usual(str(known.fields["arn"])))
            client.call("kms", "PutKeyPolicy", op=op, KeyId=known.id, PolicyName="default", Policy=told)
        if "enable_key_rotation" in changed:
            verb = "EnableKeyRotation" if self.enable_key_rotation else "DisableKeyRotation"
            client.call("kms", verb, KeyId=known.id)
        if "is_enabled" in changed and not self.is_enabled:
            client.call("kms", "DisableKey", KeyId=known.id)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        days = known.fields.get("deletion_window_in_days") or 30
        try:
            client.call("kms", "ScheduleKeyDeletion", op=op, KeyId=known.id, PendingWindowInDays=int(days))
        except AwsError as error:
            if error.code != "KMSInvalidStateException":  # it is being deleted already
                missing(error)

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        days = known.fields.get("deletion_window_in_days") or 30
        return f"everything that is encrypted with it, {days} days after"


def _usual(arn: str) -> dict[str, Any]:
    """The policy that AWS gives a key that was made without one: the account decides, by its roles."""
    _, partition, _, _, account, _ = arn.split(":", 5)
    root = {"AWS": f"arn:{partition}:iam::{account}:root"}
    statement = {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": root}
    return {"Version": "2012-10-17", "Statement": [{**statement, "Action": "kms:*", "Resource": "*"}]}


class KmsAlias(AwsResource):
    """A name for a key.

    Example::

        resource:
          lake_alias: { type: aws.kms_alias, name: alias/lake, target_key_id: "${resource.lake_key.key_id}" }
    """

    type: ClassVar[str] = "aws.kms_alias"
    noun: ClassVar[str] = "key alias"

    name: Annotated[str, REPLACE] = Field(pattern=r"^alias/[a-zA-Z0-9/_-]{1,250}$")
    """Its name, with ``alias/`` before it."""
    target_key_id: str
    """The id of the key."""

    @field_validator("name")
    @classmethod
    def _free(cls, value: str) -> str:
        if value.startswith("alias/aws/"):
            raise ValueError("names that begin with alias/aws/ are those of AWS")
        return value

    def object_id(self) -> str:
        return self.name

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found = {
            alias["AliasName"]: {
                "name": alias["AliasName"],
                "target_key_id": alias.get("TargetKeyId"),
                "arn": alias["AliasArn"],
            }
            for alias in client.pages("kms", "ListAliases", "Aliases", Limit=100)
        }
        return {item.address: found.get(item.id) for item in known}

    def make(self, client: AwsClient, op: Operation) -> Created:
        client.call("kms", "CreateAlias", op=op, AliasName=self.name, TargetKeyId=self.target_key_id)
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        client.call("kms", "UpdateAlias", op=op, AliasName=known.id, TargetKeyId=self.target_key_id)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        try:
            client.call("kms", "DeleteAlias", op=op, AliasName=known.id)
        except AwsError as error:
            missing(error)
