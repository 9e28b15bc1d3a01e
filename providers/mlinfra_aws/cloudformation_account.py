"""Schemas of types that the table does not have: what the account's own registry tells. A type that it does not have either is an
error that names the nearest one."""

from __future__ import annotations

import json

from mlinfra.sdk.diagnostics import did_you_mean
from mlinfra.sdk.errors import ProviderError
from mlinfra_aws.client import AwsClient
from mlinfra_aws.cloudformation import Schema, kept, schema_of, type_names
from mlinfra_aws.errors import AwsError


def described(client: AwsClient, name: str) -> Schema:
    """The schema of a type, as the account tells it.

    Errors: ProviderError if there is no such type.
    """
    try:
        told = client.call("cloudformation", "DescribeType", Type="RESOURCE", TypeName=name)
    except AwsError as error:
        if error.code != "TypeNotFoundException":
            raise
        raise unsupported(client, name) from error
    return schema_of(kept(json.loads(told["Schema"])))


def unsupported(client: AwsClient, name: str) -> ProviderError:
    """The error for a type that this account has not got in this region."""
    return ProviderError(
        f"Cloud Control does not have the type {name} in {client.region} for this account.{did_you_mean(name, type_names())}",
        remedy="Correct its name; or activate the type in this account's CloudFormation registry, or choose a region that has it.",
    )
