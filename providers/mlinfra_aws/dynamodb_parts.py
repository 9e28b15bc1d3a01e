"""The parts of a DynamoDB table's fields: attributes, indexes, settings. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from mlinfra_aws.resource import Part

Name = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.-]{3,255}$")]


class Attribute(Part):
    """An attribute that is part of a key: ``S`` for texts, ``N`` for numbers, ``B`` for bytes."""

    name: str = Field(min_length=1, max_length=255)
    type: Literal["S", "N", "B"]


class LocalIndex(Part):
    """Another order of the items with the same hash key."""

    name: Name
    range_key: str
    projection_type: Literal["ALL", "KEYS_ONLY", "INCLUDE"] = "ALL"
    non_key_attributes: list[str] = []


class GlobalIndex(Part):
    """Another key."""

    name: Name
    hash_key: str
    range_key: str | None = None
    projection_type: Literal["ALL", "KEYS_ONLY", "INCLUDE"] = "ALL"
    non_key_attributes: list[str] = []
    read_capacity: int | None = Field(None, ge=1)
    write_capacity: int | None = Field(None, ge=1)


class TimeToLive(Part):
    """The attribute with the time after which an item goes."""

    attribute_name: str = Field(min_length=1, max_length=255)
    enabled: bool = True


class Recovery(Part):
    """Whether the table can be put back to any moment of the last days."""

    enabled: bool


class Encryption(Part):
    """A key of the account instead of DynamoDB's own."""

    enabled: bool
    kms_key_arn: str | None = None
