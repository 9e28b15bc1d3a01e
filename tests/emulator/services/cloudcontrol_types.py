"""The types that the emulator's Cloud Control has: made by moto's own CloudFormation models, so that they really come to be.

Those models can make and mostly delete; what they lack, how an object is found, read and changed, is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from moto.ecr.models import Repository, ecr_backends
from moto.logs.models import LogGroup, LogResourcePolicy, logs_backends
from moto.sns.models import Topic, sns_backends
from moto.sqs.models import Queue, sqs_backends
from moto.ssm.models import Parameter, ssm_backends
from moto.ssm.utils import parameter_arn

Properties = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Where:
    """An account and a region of it."""

    account: str
    region: str


class Queues:
    """``AWS::SQS::Queue``."""

    schema = "AWS::SQS::Queue"
    settings: Final = (
        "DelaySeconds",
        "KmsDataKeyReusePeriodSeconds",
        "KmsMasterKeyId",
        "MaximumMessageSize",
        "MessageRetentionPeriod",
        "ReceiveMessageWaitTimeSeconds",
        "RedrivePolicy",
        "VisibilityTimeout",
    )

    def all(self, where: Where) -> dict[str, Any]:
        """Objects by identifier."""
        return {one.physical_resource_id: one for one in sqs_backends[where.account][where.region].queues.values()}

    def create(self, where: Where, state: Properties) -> Any:
        """Make one."""
        settings = {name: value for name, value in state.items() if name != "QueueName"}
        return Queue.create_from_cloudformation_json(
            state["QueueName"], {"Properties": settings}, where.account, where.region
        )

    def read(self, where: Where, one: Any) -> Properties:
        """Its properties."""
        told = {name: value for name in self.settings if (value := one.attributes.get(name)) is not None}
        more = (
            {"FifoQueue": True, "ContentBasedDeduplication": one.content_based_deduplication} if one.fifo_queue else {}
        )
        return {
            **told,
            **more,
            "QueueName": one.name,
            "QueueUrl": one.physical_resource_id,
            "Arn": one.queue_arn,
            "Tags": _pairs(one.tags),
        }

    def update(self, where: Where, one: Any, state: Properties) -> None:
        """Give it these properties."""
        usual = {"KmsDataKeyReusePeriodSeconds": 300, **Queue("usual", where.region, where.account).attributes}
        one._set_attributes({name: state.get(name, usual.get(name)) for name in self.settings})
        one.tags = _mapping(state.get("Tags"))

    def delete(self, where: Where, identifier: str) -> None:
        """Delete it."""
        Queue.delete_from_cloudformation_json(identifier, {"Properties": {}}, where.account, where.region)


class LogGroups:
    """``AWS::Logs::LogGroup``."""

    schema = "AWS::Logs::LogGroup"

    def all(self, where: Where) -> dict[str, Any]:
        """Objects by identifier."""
        return dict(logs_backends[where.account][where.region].groups)

    def create(self, where: Where, state: Properties) -> Any:
        """Make one."""
        name = state["LogGroupName"]
        made = LogGroup.create_from_cloudformation_json(name, {"Properties": state}, where.account, where.region)
        made.kms_key_id = state.get("KmsKeyId")
        return made

    def read(self, where: Where, one: Any) -> Properties:
        """Its properties."""
        tags = logs_backends[where.account][where.region].list_tags_for_resource(one.arn)
        more = {"RetentionInDays": one.retention_in_days, "KmsKeyId": one.kms_key_id}
        told = {name: value for name, value in more.items() if value is not None}
        return {"LogGroupName": one.name, "Arn": f"{one.arn}:*", "Tags": _pairs(tags), **told}

    def update(self, where: Where, one: Any, state: Properties) -> None:
        """Give it these properties."""
        backend = logs_backends[where.account][where.region]
        one.retention_in_days, one.kms_key_id = state.get("RetentionInDays"), state.get("KmsKeyId")
        tags = _mapping(state.get("Tags"))
        backend.untag_resource(one.arn, list(backend.list_tags_for_resource(one.arn)))
        backend.tag_resource(one.arn, tags)

    def delete(self, where: Where, identifier: str) -> None:
        """Delete it."""
        self.all(where)[identifier].delete(where.account, where.region)


class Topics:
    """``AWS::SNS::Topic``."""

    schema = "AWS::SNS::Topic"
    settings: Final = ("DisplayName", "KmsMasterKeyId")

    def all(self, where: Where) -> dict[str, Any]:
        """Objects by identifier."""
        return dict(sns_backends[where.account][where.region].topics)

    def create(self, where: Where, state: Properties) -> Any:
        """Make one."""
        settings = {name: state[name] for name in (*self.settings, "FifoTopic") if name in state}
        made = Topic.create_from_cloudformation_json(
            state["TopicName"], {"Properties": settings}, where.account, where.region
        )
        made._tags = _mapping(state.get("Tags"))
        return made

    def read(self, where: Where, one: Any) -> Properties:
        """Its properties."""
        more = {"DisplayName": one.display_name, "KmsMasterKeyId": one.kms_master_key_id, "FifoTopic": one.fifo_topic}
        told = {name: value for name, value in more.items() if value}
        return {"TopicName": one.name, "TopicArn": one.arn, "Tags": _pairs(one._tags), **told}

    def update(self, where: Where, one: Any, state: Properties) -> None:
        """Give it these properties."""
        one.display_name, one.kms_master_key_id = state.get("DisplayName", ""), state.get("KmsMasterKeyId", "")
        one._tags = _mapping(state.get("Tags"))

    def delete(self, where: Where, identifier: str) -> None:
        """Delete it."""
        self.all(where)[identifier].delete(where.account, where.region)


class Parameters:
    """``AWS::SSM::Parameter``, whose tags are a map, and which does not tell all that it is given."""

    schema = "AWS::SSM::Parameter"

    def all(self, where: Where) -> dict[str, Any]:
        """Objects by identifier."""
        return {name: versions[-1] for name, versions in self._backend(where)._parameters.items() if versions}

    def _backend(self, where: Where) -> Any:
        return ssm_backends[where.account][where.region]

    def create(self, where: Where, state: Properties) -> Any:
        """Make one."""
        properties = {**state, "Tags": _pairs(state.get("Tags") or {})}
        made = Parameter.create_from_cloudformation_json(
            state["Name"], {"Properties": properties}, where.account, where.region
        )
        self._tag(where, state)
        return made

    def _tag(self, where: Where, state: Properties) -> None:
        backend, name = self._backend(where), state["Name"]
        backend.remove_tags_from_resource("Parameter", name, list(backend.list_tags_for_resource("Parameter", name)))
        backend.add_tags_to_resource("Parameter", name, dict(state.get("Tags") or {}))

    def read(self, where: Where, one: Any) -> Properties:
        """Its properties; four of them are write-only."""
        tags = self._backend(where).list_tags_for_resource("Parameter", one.name)
        told = {"Name": one.name, "Type": one.parameter_type, "Value": one.value, "DataType": one.data_type}
        return {**told, "Arn": parameter_arn(where.account, where.region, one.name), "Tags": dict(tags)}

    def update(self, where: Where, one: Any, state: Properties) -> None:
        """Give it these properties: what is not said is forgotten."""
        self._backend(where).put_parameter(
            name=one.name,
            description=state.get("Description", ""),
            value=state["Value"],
            parameter_type=state["Type"],
            allowed_pattern=state.get("AllowedPattern", ""),
            keyid=None,
            overwrite=True,
            tags=[],
            data_type=state.get("DataType", "text"),
            tier=state.get("Tier"),
            policies=state.get("Policies"),
        )
        self._tag(where, state)

    def delete(self, where: Where, identifier: str) -> None:
        """Delete it."""
        Parameter.delete_from_cloudformation_json(identifier, {"Properties": {}}, where.account, where.region)


class Repositories:
    """``AWS::ECR::Repository``, which the tagging API does not tell of."""

    schema = "AWS::ECR::Repository"

    def all(self, where: Where) -> dict[str, Any]:
        """Objects by identifier."""
        return dict(ecr_backends[where.account][where.region].repositories)

    def create(self, where: Where, state: Properties) -> Any:
        """Make one."""
        return Repository.create_from_cloudformation_json(
            state["RepositoryName"], {"Properties": state}, where.account, where.region
        )

    def read(self, where: Where, one: Any) -> Properties:
        """Its properties."""
        tags = ecr_backends[where.account][where.region].list_tags_for_resource(one.arn)["tags"]
        told = {"RepositoryName": one.name, "ImageTagMutability": str(one.image_tag_mutability)}
        return {**told, "Arn": one.arn, "RepositoryUri": one.uri, "Tags": tags}

    def update(self, where: Where, one: Any, state: Properties) -> None:
        """Give it these properties."""
        backend = ecr_backends[where.account][where.region]
        backend.put_image_tag_mutability(None, one.name, state.get("ImageTagMutability", "MUTABLE"), None)
        there = backend.list_tags_for_resource(one.arn)["tags"]
        backend.untag_resource(one.arn, [tag["Key"] for tag in there])
        backend.tag_resource(one.arn, state.get("Tags") or [])

    def delete(self, where: Where, identifier: str) -> None:
        """Delete it."""
        ecr_backends[where.account][where.region].delete_repository(identifier, force=True)


class ResourcePolicies:
    """``AWS::Logs::ResourcePolicy``, which carries no tags."""

    schema = "AWS::Logs::ResourcePolicy"

    def all(self, where: Where) -> dict[str, Any]:
        """Objects by identifier."""
        return dict(logs_backends[where.account][where.region].resource_policies)

    def create(self, where: Where, state: Properties) -> Any:
        """Make one."""
        return LogResourcePolicy.create_from_cloudformation_json("", {"Properties": state}, where.account, where.region)

    def read(self, where: Where, one: Any) -> Properties:
        """Its properties."""
        return {"PolicyName": one.policy_name, "PolicyDocument": one.policy_document}

    def update(self, where: Where, one: Any, state: Properties) -> None:
        """Give it these properties."""
        LogResourcePolicy.update_from_cloudformation_json(one, "", {"Properties": state}, where.account, where.region)

    def delete(self, where: Where, identifier: str) -> None:
        """Delete it."""
        LogResourcePolicy.delete_from_cloudformation_json(identifier, {}, where.account, where.region)


TYPES: Final[Mapping[str, Any]] = {
    "AWS::SQS::Queue": Queues(),
    "AWS::ECR::Repository": Repositories(),
    "AWS::Logs::LogGroup": LogGroups(),
    "AWS::Logs::ResourcePolicy": ResourcePolicies(),
    "AWS::SNS::Topic": Topics(),
    "AWS::SSM::Parameter": Parameters(),
    "Acme::Lab::Queue": Queues(),
}
"""Types by name. The last one is registered in the account itself: no list of public types has it."""


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _mapping(pairs: list[dict[str, str]] | None) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in pairs or []}
