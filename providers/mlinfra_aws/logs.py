"""`aws.cloudwatch_log_group`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.names import common_start
from mlinfra_aws.resource import Tagged, missing
from mlinfra_aws.tags import LOGS, TagCalls

Days = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653
]  # fmt: skip


class LogGroup(Tagged):
    """A CloudWatch log group.

    Example::

        resource:
          log: { type: aws.cloudwatch_log_group, name: /fraud/training, retention_in_days: 30 }
    """

    type: ClassVar[str] = "aws.cloudwatch_log_group"
    noun: ClassVar[str] = "log group"
    tag_calls: ClassVar[TagCalls | None] = LOGS

    name: Annotated[str, REPLACE] = Field(pattern=r"^[.\-_/#A-Za-z0-9]{1,512}$")
    """Its name."""
    retention_in_days: Days | None = None
    """How long events are kept; forever if not given."""
    kms_key_id: str | None = None
    """The ARN of the key that encrypts it."""
    log_group_class: Annotated[Literal["STANDARD", "INFREQUENT_ACCESS", "DELIVERY"], REPLACE] = "STANDARD"
    """Its class."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        wanted = {item.id for item in known}
        prefix = common_start(wanted)
        more: dict[str, Any] = {"logGroupNamePrefix": prefix} if prefix else {}
        found = {
            group["logGroupName"]: {
                "name": group["logGroupName"],
                "retention_in_days": group.get("retentionInDays"),
                "kms_key_id": group.get("kmsKeyId"),
                "log_group_class": group.get("logGroupClass", "STANDARD"),
                # Tag calls and policies want it without the `:*` that stands for its streams.
                "arn": group.get("logGroupArn") or group["arn"].removesuffix(":*"),
            }
            for group in client.pages("logs", "DescribeLogGroups", "logGroups", **more)
            if group["logGroupName"] in wanted
        }
        return {item.address: found.get(item.id) for item in known}

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {"kmsKeyId": self.kms_key_id} if self.kms_key_id else {}
        client.call(
            "logs",
            "CreateLogGroup",
            op=op,
            logGroupName=self.name,
            logGroupClass=self.log_group_class,
            tags=self.owned(op),
            **more,
        )
        if self.retention_in_days:
            self._keep(client)
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if "retention_in_days" in changed:
            self._keep(client)
        if "kms_key_id" in changed:
            if self.kms_key_id:
                client.call("logs", "AssociateKmsKey", logGroupName=known.id, kmsKeyId=self.kms_key_id)
            else:
                client.call("logs", "DisassociateKmsKey", logGroupName=known.id)
        return None

    def _keep(self, client: AwsClient) -> None:
        if self.retention_in_days:
            client.call("logs", "PutRetentionPolicy", logGroupName=self.name, retentionInDays=self.retention_in_days)
        else:
            client.call("logs", "DeleteRetentionPolicy", logGroupName=self.name)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        try:
            client.call("logs", "DeleteLogGroup", op=op, logGroupName=known.id)
        except AwsError as error:
            missing(error)
