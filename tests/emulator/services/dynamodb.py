"""DynamoDB: the class and the encryption of a table can be changed; a stream that ended does not stand in another's way."""

from __future__ import annotations

from typing import Any

from moto.dynamodb.exceptions import MockValidationException, ResourceNotFoundException
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler

from . import before

_CREATE = DynamoHandler.create_table
_DESCRIBE = Table.describe


def _create(response: Any) -> Any:
    answer = _CREATE(response)
    _keep_class(response.dynamodb_backend.get_table(response.body["TableName"]), response.body)
    return answer


def _describe(table: Any, base_key: str = "TableDescription") -> dict[str, Any]:
    told = _DESCRIBE(table, base_key)
    told[base_key]["TableClassSummary"] = {"TableClass": getattr(table, "mlinfra_class", "STANDARD")}
    return told


DynamoHandler.create_table = _create  # type: ignore[method-assign]  # moto's own, in its place
Table.describe = _describe  # type: ignore[method-assign]  # moto's own, in its place


@before(DynamoHandler, "update_table")
def _more(response: Any) -> None:
    table = response.dynamodb_backend.get_table(response.body["TableName"])
    there = {one.name for one in table.global_indexes}
    for told in response.body.get("GlobalSecondaryIndexUpdates", []):
        if "Delete" in told and told["Delete"]["IndexName"] not in there:
            raise ResourceNotFoundException("Requested resource not found")
        if "Create" in told and told["Create"]["IndexName"] in there:
            raise MockValidationException("Attempting to create an index which already exists")
    _keep_class(table, response.body)
    if "SSESpecification" in response.body:
        told = response.body["SSESpecification"]
        table.sse_specification = {"KMSMasterKeyId": "alias/aws/dynamodb", **told} if told.get("Enabled") else None
    if response.body.get("StreamSpecification", {}).get("StreamEnabled") is False:
        table.latest_stream_label = None


def _keep_class(table: Any, told: dict[str, Any]) -> None:
    if told.get("TableClass"):
        table.mlinfra_class = told["TableClass"]
