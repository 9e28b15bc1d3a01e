"""`aws.dynamodb_table`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, keyed_by
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.dynamodb_parts import Attribute, Encryption, GlobalIndex, LocalIndex, Name, Recovery, TimeToLive
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular
from mlinfra_aws.resource import Tagged
from mlinfra_aws.tags import TagCalls, pairs, unpaired
from mlinfra_aws.waits import until

DYNAMODB_TAGS = TagCalls("dynamodb", "ListTagsOfResource", "TagResource", "UntagResource", "ResourceArn")
TIMEOUT: Final = 60 * 60.0
"""Seconds for a table to be made or an index to be filled."""


class Table(Regular, Tagged):
    """A table.

    Example::

        resource:
          features:
            type: aws.dynamodb_table
            name: fraud-features
            hash_key: user_id
            attribute: [{ name: user_id, type: S }]
            ttl: { attribute_name: expires }
    """

    type: ClassVar[str] = "aws.dynamodb_table"
    noun: ClassVar[str] = "table"
    holds_data: ClassVar[bool] = True
    service: ClassVar[str] = "dynamodb"
    exists_if: ClassVar[tuple[Rule, ...]] = (Rule("ResourceInUseException", operation="CreateTable"),)
    tag_calls: ClassVar[TagCalls | None] = DYNAMODB_TAGS

    name: Annotated[Name, REPLACE]
    """Its name."""
    hash_key: Annotated[str, REPLACE]
    """The attribute that says where an item is."""
    range_key: Annotated[str | None, REPLACE] = None
    """The attribute that orders items with the same hash key."""
    attribute: Annotated[list[Attribute], keyed_by("name")] = Field(min_length=1)
    """The attributes of its keys and of those of its indexes."""
    billing_mode: Literal["PAY_PER_REQUEST", "PROVISIONED"] = "PAY_PER_REQUEST"
    """Whether each request is paid, or a capacity."""
    read_capacity: int | None = Field(None, ge=1)
    """Reads a second, if a capacity is paid."""
    write_capacity: int | None = Field(None, ge=1)
    """Writes a second, if a capacity is paid."""
    global_secondary_index: Annotated[list[GlobalIndex], keyed_by("name")] = Field([], max_length=20)
    """Other keys. An index that changes is made anew, from the table's items."""
    local_secondary_index: Annotated[list[LocalIndex], keyed_by("name"), REPLACE] = Field([], max_length=5)
    """Other orders of the items with the same hash key."""
    ttl: TimeToLive | None = None
    """When items go by themselves."""
    point_in_time_recovery: Recovery | None = None
    """Whether it can be put back to an earlier moment."""
    server_side_encryption: Encryption | None = None
    """A key of the account that encrypts it."""
    stream_enabled: bool = False
    """Whether its changes can be read."""
    stream_view_type: Literal["NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES", "KEYS_ONLY"] | None = None
    """What of a changed item is told."""
    table_class: Literal["STANDARD", "STANDARD_INFREQUENT_ACCESS"] = "STANDARD"
    """Whether keeping items or asking for them is cheaper."""
    deletion_protection_enabled: bool = False
    """Whether AWS refuses to delete it."""
    stream_arn: Annotated[str | None, COMPUTED] = None
    """The ARN of the stream of its changes."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        what = f"the table {fields['name']}"
        provisioned = fields["billing_mode"] == "PROVISIONED"
        given = fields["read_capacity"] is not None and fields["write_capacity"] is not None
        if provisioned != given:
            raise ProviderError(
                f"{what} and its capacity do not go together",
                remedy="Give read_capacity and write_capacity with billing_mode PROVISIONED, and not otherwise.",
            )
        if fields["stream_enabled"] != (fields["stream_view_type"] is not None):
            raise ProviderError(
                f"{what} and its stream do not go together",
                remedy="Give stream_view_type with stream_enabled, and not otherwise.",
            )
        _complete(what, fields)
        found = super().normalise(fields, place)
        # What is switched off is the same as what is not there.
        for name in ("ttl", "point_in_time_recovery", "server_side_encryption"):
            if found[name] and found[name].get("enabled") is False:
                found[name] = None
        return found

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        answer = cls.found(client, "DescribeTable", TableName=known.id)
        if answer is None or answer["Table"]["TableStatus"] == "DELETING":
            return None
        told = answer["Table"]
        capacity = told.get("ProvisionedThroughput", {})
        provisioned = told.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED") == "PROVISIONED"
        stream = told.get("StreamSpecification", {})
        live: Fields = {
            "name": told["TableName"],
            **_keys(told["KeySchema"]),
            "attribute": [
                {"name": one["AttributeName"], "type": one["AttributeType"]} for one in told["AttributeDefinitions"]
            ],
            "billing_mode": "PROVISIONED" if provisioned else "PAY_PER_REQUEST",
            "read_capacity": capacity.get("ReadCapacityUnits") if provisioned else None,
            "write_capacity": capacity.get("WriteCapacityUnits") if provisioned else None,
            "global_secondary_index": [
                _index(one, provisioned) for one in told.get("GlobalSecondaryIndexes", []) if _stays(one)
            ],
            "local_secondary_index": [_local(one) for one in told.get("LocalSecondaryIndexes", [])],
            "stream_enabled": bool(stream.get("StreamEnabled")),
            "stream_view_type": stream.get("StreamViewType"),
            "stream_arn": told.get("LatestStreamArn"),
            "table_class": told.get("TableClassSummary", {}).get("TableClass", "STANDARD"),
            "deletion_protection_enabled": bool(told.get("DeletionProtectionEnabled")),
            "arn": told["TableArn"],
        }
        sse = told.get("SSEDescription", {})
        if sse.get("Status") in ("ENABLED", "ENABLING", "UPDATING"):
            live["server_side_encryption"] = {"enabled": True, "kms_key_arn": sse.get("KMSMasterKeyArn")}
        return live | cls._besides(client, known)

    @classmethod
    def _besides(cls, client: AwsClient, known: Known) -> Fields:
        """What calls of their own tell, if it was declared."""
        live: Fields = {}
        if known.fields.get("ttl"):
            told = cls.call(client, "DescribeTimeToLive", TableName=known.id)["TimeToLiveDescription"]
            if told.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
                live["ttl"] = {"attribute_name": told["AttributeName"], "enabled": True}
        if known.fields.get("point_in_time_recovery"):
            told = cls.call(client, "DescribeContinuousBackups", TableName=known.id)["ContinuousBackupsDescription"]
            recovery = told.get("PointInTimeRecoveryDescription", {})
            if recovery.get("PointInTimeRecoveryStatus") == "ENABLED":
                live["point_in_time_recovery"] = {"enabled": True}
        return live

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {}
        if self.global_secondary_index:
            more["GlobalSecondaryIndexes"] = [self._asked(one) for one in self.global_secondary_index]
        if self.local_secondary_index:
            more["LocalSecondaryIndexes"] = [
                {
                    "IndexName": one.name,
                    "KeySchema": _schema(self.hash_key, one.range_key),
                    "Projection": _projection(one),
                }
                for one in self.local_secondary_index
            ]
        if self.server_side_encryption:
            more["SSESpecification"] = self._encryption()
        if self.stream_enabled:
            more["StreamSpecification"] = self._stream()
        self.call(
            client,
            "CreateTable",
            op=op,
            TableName=self.name,
            KeySchema=_schema(self.hash_key, self.range_key),
            AttributeDefinitions=self._attributes(),
            **self._capacity(),
            TableClass=self.table_class,
            DeletionProtectionEnabled=self.deletion_protection_enabled,
            Tags=pairs(self.owned(op)),
            **more,
        )
        # These two are refused until it is there.
        later = {name for name in ("ttl", "point_in_time_recovery") if getattr(self, name)}
        if later:
            self._settled(client, self.name, op)
            self._later(client, later, None, op)
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        # AWS takes one sort of change at a time.
        steps: list[dict[str, Any]] = []
        if changed & {"billing_mode", "read_capacity", "write_capacity"}:
            steps.append(self._capacity())
        if "table_class" in changed:
            steps.append({"TableClass": self.table_class})
        if "deletion_protection_enabled" in changed:
            steps.append({"DeletionProtectionEnabled": self.deletion_protection_enabled})
        if changed & {"stream_enabled", "stream_view_type"}:
            if known.fields.get("stream_enabled"):  # a stream is not changed: it ends, and another one begins
                steps.append({"StreamSpecification": {"StreamEnabled": False}})
            steps += [{"StreamSpecification": self._stream()}] if self.stream_enabled else []
        if "server_side_encryption" in changed:
            steps.append({"SSESpecification": self._encryption()})
        steps += self._indexes(known.fields.get("global_secondary_index") or [])
        for step in steps:
            self._settled(client, known.id, op)
            self.call(client, "UpdateTable", op=op, TableName=known.id, **step)
        self._settled(client, known.id, op)
        self._later(client, changed, known.fields.get("ttl"), op)
        return None

    def _indexes(self, there: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The steps from the indexes that it has to those that it shall have."""
        old = {one["name"]: GlobalIndex.model_validate(one) for one in there}
        new = {one.name: one for one in self.global_secondary_index}
        gone = [name for name, one in old.items() if new.get(name) != one]
        steps: list[dict[str, Any]] = [
            {
                "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}],
                "AttributeDefinitions": self._attributes(),
            }
            for name in gone
        ]
        return steps + [
            {
                "GlobalSecondaryIndexUpdates": [{"Create": self._asked(one)}],
                "AttributeDefinitions": self._attributes(),
            }
            for name, one in new.items()
            if old.get(name) != one
        ]

    def _later(self, client: AwsClient, changed: set[str], before: Mapping[str, Any] | None, op: Operation) -> None:
        if "ttl" in changed:
            wanted = self.ttl.attribute_name if self.ttl else None
            if before and before["attribute_name"] != wanted:
                off = {"AttributeName": before["attribute_name"], "Enabled": False}
                self.call(client, "UpdateTimeToLive", op=op, TableName=self.name, TimeToLiveSpecification=off)
            if wanted:
                on = {"AttributeName": wanted, "Enabled": True}
                self.call(client, "UpdateTimeToLive", op=op, TableName=self.name, TimeToLiveSpecification=on)
        if "point_in_time_recovery" in changed:
            told = {"PointInTimeRecoveryEnabled": bool(self.point_in_time_recovery)}
            self.call(
                client,
                "UpdateContinuousBackups",
                op=op,
                TableName=self.name,
                PointInTimeRecoverySpecification=told,
            )

    def _asked(self, one: GlobalIndex) -> dict[str, Any]:
        found: dict[str, Any] = {
            "IndexName": one.name,
            "KeySchema": _schema(one.hash_key, one.range_key),
            "Projection": _projection(one),
        }
        if self.billing_mode == "PROVISIONED":
            found["ProvisionedThroughput"] = {
                "ReadCapacityUnits": one.read_capacity or self.read_capacity,
                "WriteCapacityUnits": one.write_capacity or self.write_capacity,
            }
        return found

    def _attributes(self) -> list[dict[str, str]]:
        return [{"AttributeName": one.name, "AttributeType": one.type} for one in self.attribute]

    def _capacity(self) -> dict[str, Any]:
        if self.billing_mode != "PROVISIONED":
            return {"BillingMode": self.billing_mode}
        units = {"ReadCapacityUnits": self.read_capacity, "WriteCapacityUnits": self.write_capacity}
        return {"BillingMode": self.billing_mode, "ProvisionedThroughput": units}

    def _encryption(self) -> dict[str, Any]:
        if self.server_side_encryption is None:
            return {"Enabled": False}
        key = self.server_side_encryption.kms_key_arn
        return {"Enabled": True, "SSEType": "KMS", **({"KMSMasterKeyId": key} if key else {})}

    def _stream(self) -> dict[str, Any]:
        return {"StreamEnabled": True, "StreamViewType": self.stream_view_type}

    # -- waiting --------------------------------------------------------------------------------------------------------

    @classmethod
    def _settled(cls, client: AwsClient, name: str, op: Operation) -> None:
        def look() -> tuple[str, str]:
            told = cls.call(client, "DescribeTable", TableName=name)["Table"]
            filling = [one for one in told.get("GlobalSecondaryIndexes", []) if one.get("IndexStatus") != "ACTIVE"]
            return ("UPDATING" if filling else str(told["TableStatus"])), ""

        what = f"the table {name}"
        until(client, op, what, look, ready=("ACTIVE",), working=("CREATING", "UPDATING"), timeout=TIMEOUT)

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls._settled(client, known.id, op)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        if cls.found(client, "DeleteTable", op=op, TableName=known.id) is None:
            return

        def look() -> tuple[str, str]:
            answer = cls.found(client, "DescribeTable", TableName=known.id)
            return ("gone" if answer is None else str(answer["Table"]["TableStatus"])), ""

        until(client, op, f"the table {known.id}", look, ready=("gone",), working=("DELETING",), timeout=TIMEOUT)

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        told = cls.found(client, "DescribeTable", TableName=known.id)
        if told is None:
            return None
        # The count that AWS keeps is up to six hours old: whether there is any item is asked of the table.
        if not cls.call(client, "Scan", TableName=known.id, Limit=1, Select="COUNT")["Count"]:
            return None
        count = told["Table"].get("ItemCount") or 0
        return f"its items, {count} when they were last counted" if count else "its items"

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        return unpaired(client.pages("dynamodb", "ListTagsOfResource", "Tags", ResourceArn=live["arn"]))


def _complete(what: str, fields: Mapping[str, Any]) -> None:
    """Refuse attributes that belong to no key, and keys that are no attribute: AWS does, in words hard to read.

    Errors: ProviderError.
    """
    used = {fields["hash_key"], fields["range_key"]}
    for one in (*fields["global_secondary_index"], *fields["local_secondary_index"]):
        used |= {one.get("hash_key"), one.get("range_key")}
    used -= {None}
    given = {one["name"] for one in fields["attribute"]}
    if not all(isinstance(name, str) for name in (*used, *given)) or used == given:
        return
    wrong = [f"{name} is part of a key and no attribute" for name in sorted(used - given)]
    wrong += [f"{name} is an attribute and part of no key" for name in sorted(given - used)]
    raise ProviderError(f"{what}: {', '.join(wrong)}", remedy="Make `attribute` name what keys use, and nothing else.")


def _schema(hash_key: str, range_key: str | None) -> list[dict[str, str]]:
    schema = [{"AttributeName": hash_key, "KeyType": "HASH"}]
    return [*schema, {"AttributeName": range_key, "KeyType": "RANGE"}] if range_key else schema


def _keys(schema: Sequence[Mapping[str, str]]) -> Fields:
    names = {one["KeyType"]: one["AttributeName"] for one in schema}
    return {"hash_key": names["HASH"], **({"range_key": names["RANGE"]} if "RANGE" in names else {})}


def _projection(one: GlobalIndex | LocalIndex) -> dict[str, Any]:
    more = {"NonKeyAttributes": one.non_key_attributes} if one.non_key_attributes else {}
    return {"ProjectionType": one.projection_type, **more}


def _stays(index: Mapping[str, Any]) -> bool:
    return index.get("IndexStatus") != "DELETING"


def _local(told: Mapping[str, Any]) -> Fields:
    projection = told["Projection"]
    found: Fields = {
        "name": told["IndexName"],
        "range_key": _keys(told["KeySchema"]).get("range_key"),
        "projection_type": projection["ProjectionType"],
    }
    return found | (
        {"non_key_attributes": projection["NonKeyAttributes"]} if projection.get("NonKeyAttributes") else {}
    )


def _index(told: Mapping[str, Any], provisioned: bool) -> Fields:
    found = {**_local(told), **_keys(told["KeySchema"])}
    found = {key: value for key, value in found.items() if value is not None}
    if provisioned:
        units = told.get("ProvisionedThroughput", {})
        found |= {"read_capacity": units.get("ReadCapacityUnits"), "write_capacity": units.get("WriteCapacityUnits")}
    return found
