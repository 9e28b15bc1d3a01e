"""`aws.sns_topic`: a topic with its subscriptions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, keyed_by
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document, Policy, policy, text
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular, arn_of
from mlinfra_aws.resource import Part, Tagged
from mlinfra_aws.tags import TagCalls, pairs

SNS_TAGS = TagCalls("sns", "ListTagsForResource", "TagResource", "UntagResource", "ResourceArn")
PENDING = "PendingConfirmation"
"""The ARN of a subscription that whoever gets its messages has not agreed to yet."""
ATTRIBUTES: Mapping[str, str] = {
    "display_name": "DisplayName",
    "kms_master_key_id": "KmsMasterKeyId",
    "content_based_deduplication": "ContentBasedDeduplication",
}
"""Fields → attributes of a topic that can change, besides its policy."""


class Subscription(Part):
    """Who gets the topic's messages."""

    protocol: Literal["email", "email-json", "http", "https", "lambda", "sqs", "sms", "firehose", "application"]
    endpoint: str = Field(min_length=1)
    raw_message_delivery: bool = False
    filter_policy: Document | None = None
    filter_policy_scope: Literal["MessageAttributes", "MessageBody"] = "MessageAttributes"
    redrive_policy: Document | None = None


class Topic(Regular, Tagged):
    """A topic.

    Example::

        resource:
          alerts:
            type: aws.sns_topic
            name: fraud-alerts
            subscription: [{ protocol: email, endpoint: ml@example.com }]
    """

    type: ClassVar[str] = "aws.sns_topic"
    noun: ClassVar[str] = "topic"
    service: ClassVar[str] = "sns"
    gone_if: ClassVar[tuple[Rule, ...]] = (Rule("NotFound"), Rule("NotFoundException"))
    looks_first: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = SNS_TAGS

    name: Annotated[str, REPLACE] = Field(pattern=r"^[A-Za-z0-9_-]{1,256}(\.fifo)?$", max_length=256)
    """Its name."""
    display_name: str = Field("", max_length=100)
    """What its mails are from."""
    policy: Policy | None = None
    """Who may publish and subscribe; the account alone if not given."""
    kms_master_key_id: str | None = None
    """The key that encrypts its messages."""
    fifo_topic: Annotated[bool, REPLACE] = False
    """Whether its messages come in order and once. Then its name ends in ``.fifo``."""
    content_based_deduplication: bool = False
    """Whether messages with the same content are the same message."""
    subscription: Annotated[list[Subscription], keyed_by("endpoint")] = []
    """Who gets its messages: all of them. Those that others made are left alone as long as none is given here."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if fields["fifo_topic"] != fields["name"].endswith(".fifo"):
            raise ProviderError(
                f"the topic {fields['name']} and fifo_topic do not go together",
                remedy="The names of topics that keep the order end in .fifo, and of no others.",
            )
        found = super().normalise(fields, place)
        # AWS tells the scope of a filter only.
        usual = {"filter_policy_scope": "MessageAttributes"}
        found["subscription"] = [one if one.get("filter_policy") else {**one, **usual} for one in found["subscription"]]
        return found

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        arn = _arn(client, known)
        answer = cls.found(client, "GetTopicAttributes", TopicArn=arn)
        if answer is None:
            return None
        told = answer["Attributes"]
        live: Fields = {
            "name": known.id,
            "display_name": told.get("DisplayName", ""),
            "kms_master_key_id": told.get("KmsMasterKeyId"),
            "fifo_topic": told.get("FifoTopic") == "true",
            "content_based_deduplication": told.get("ContentBasedDeduplication") == "true",
            "arn": arn,
        }
        if known.fields.get("policy"):
            live["policy"] = policy(told.get("Policy"))
        if known.fields.get("subscription"):
            declared = {one["endpoint"]: one for one in known.fields["subscription"]}
            live["subscription"] = [cls._subscription(client, one, declared) for one in _subscriptions(client, arn)]
        return live

    @classmethod
    def _subscription(cls, client: AwsClient, one: Mapping[str, Any], declared: Mapping[str, Any]) -> Fields:
        if one["SubscriptionArn"] == PENDING:  # nobody can look at it: it is as it was asked for
            return {"protocol": one["Protocol"], "endpoint": one["Endpoint"], **declared.get(one["Endpoint"], {})}
        told: Mapping[str, Any] = {}
        if one["Endpoint"] in declared:
            answer = cls.found(client, "GetSubscriptionAttributes", SubscriptionArn=one["SubscriptionArn"])
            told = (answer or {}).get("Attributes", {})
        found: Fields = {
            "protocol": one["Protocol"],
            "endpoint": one["Endpoint"],
            "raw_message_delivery": told.get("RawMessageDelivery") == "true",
            "filter_policy_scope": told.get("FilterPolicyScope") or "MessageAttributes",
        }
        documents = {"filter_policy": told.get("FilterPolicy"), "redrive_policy": told.get("RedrivePolicy")}
        # An empty one is what is left of one that was taken away.
        return found | {
            name: document for name, value in documents.items() if value and (document := json.loads(value))
        }

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        given: dict[str, str] = {"DisplayName": self.display_name} if self.display_name else {}
        given |= {"KmsMasterKeyId": self.kms_master_key_id} if self.kms_master_key_id else {}
        given |= {"Policy": text(self.policy)} if self.policy else {}
        if self.fifo_topic:
            given |= {"FifoTopic": "true", "ContentBasedDeduplication": _word(self.content_based_deduplication)}
        arn = self.call(client, "CreateTopic", op=op, Name=self.name, Attributes=given, Tags=pairs(self.owned(op)))[
            "TopicArn"
        ]
        for one in self.subscription:
            self._subscribe(client, arn, one, op)
        return Created(self.name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        arn = _arn(client, known)
        told = {"policy": text(self.policy or _usual(arn))} if "policy" in changed else {}
        told |= {name: _word(getattr(self, name)) for name in ATTRIBUTES if name in changed}
        for name, value in told.items():
            attribute = ATTRIBUTES.get(name, "Policy")
            self.call(client, "SetTopicAttributes", op=op, TopicArn=arn, AttributeName=attribute, AttributeValue=value)
        if "subscription" in changed:
            self._subscriptions(client, arn, op)
        return None

    def _subscriptions(self, client: AwsClient, arn: str, op: Operation) -> None:
        """From the subscriptions that it has to those that it shall have. First what is added."""
        there = {(one["Protocol"], one["Endpoint"]): one["SubscriptionArn"] for one in _subscriptions(client, arn)}
        for one in self.subscription:
            found = there.pop((one.protocol, one.endpoint), None)
            if found is None:
                self._subscribe(client, arn, one, op)
            elif found != PENDING:
                for name, value in _attributes(one).items():
                    self.call(
                        client,
                        "SetSubscriptionAttributes",
                        op=op,
                        SubscriptionArn=found,
                        AttributeName=name,
                        AttributeValue=value,
                    )
        for found in there.values():
            if found != PENDING:  # AWS forgets it by itself if nobody agrees
                self.found(client, "Unsubscribe", op=op, SubscriptionArn=found)

    def _subscribe(self, client: AwsClient, arn: str, one: Subscription, op: Operation) -> None:
        self.call(
            client,
            "Subscribe",
            op=op,
            TopicArn=arn,
            Protocol=one.protocol,
            Endpoint=one.endpoint,
            Attributes={name: value for name, value in _attributes(one).items() if value not in ("{}", "false")},
            ReturnSubscriptionArn=True,
        )

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        arn = _arn(client, known)
        for one in list(cls._remaining(client, arn)):
            if one["SubscriptionArn"] != PENDING:
                cls.found(client, "Unsubscribe", op=op, SubscriptionArn=one["SubscriptionArn"])
        cls.found(client, "DeleteTopic", op=op, TopicArn=arn)

    @classmethod
    def _remaining(cls, client: AwsClient, arn: str) -> list[Any]:
        """Its subscriptions; none if it is gone. AWS keeps those of a topic that goes for some days."""
        if cls.found(client, "GetTopicAttributes", TopicArn=arn) is None:
            return []
        return _subscriptions(client, arn)


def _arn(client: AwsClient, known: Known) -> str:
    return str(known.fields.get("arn") or arn_of(client, "sns", known.id))


def _subscriptions(client: AwsClient, arn: str) -> list[Any]:
    return list(client.pages("sns", "ListSubscriptionsByTopic", "Subscriptions", TopicArn=arn))


def _attributes(one: Subscription) -> dict[str, str]:
    """What a subscription is, as its attributes. The scope comes first: the policy is checked by it."""
    return {
        "FilterPolicyScope": one.filter_policy_scope,
        "RawMessageDelivery": _word(one.raw_message_delivery),
        "FilterPolicy": text(one.filter_policy or {}),
        "RedrivePolicy": text(one.redrive_policy or {}),
    }


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value or "")


def _usual(arn: str) -> dict[str, Any]:
    """The policy that AWS gives a topic that was made without one."""
    account = arn.split(":")[4]
    verbs = "GetTopicAttributes SetTopicAttributes AddPermission RemovePermission DeleteTopic Subscribe ListSubscriptionsByTopic"
    return {
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [
            {
                "Sid": "__default_statement_ID",
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": [f"SNS:{verb}" for verb in (*verbs.split(), "Publish")],
                "Resource": arn,
                "Condition": {"StringEquals": {"AWS:SourceOwner": account}},
            }
        ],
    }
