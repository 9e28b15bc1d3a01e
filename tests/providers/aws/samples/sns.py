"""Samples of SNS."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab


def arn(id: str) -> str:
    return f"arn:aws:sns:{REGION}:{ACCOUNT}:{id}"


def policy(action: str) -> dict[str, Any]:
    """Who may do what on a topic."""
    who = {"Service": "cloudwatch.amazonaws.com"}
    statement = {"Sid": "lab", "Effect": "Allow", "Principal": who, "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def put(member: str, value: str) -> Outside:
    """Somebody changes an attribute of a topic."""
    return lambda lab, id: lab.boto("sns").set_topic_attributes(
        TopicArn=arn(id), AttributeName=member, AttributeValue=value
    )


def queue(name: str, **more: Any) -> dict[str, Any]:
    """A queue that gets messages."""
    return {"protocol": "sqs", "endpoint": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", **more}


def queues(lab: Lab) -> None:
    for name in ("first", "second", "third", "dead"):
        lab.boto("sqs").create_queue(QueueName=name)


def filtered(lab: Lab, id: str) -> None:
    """Somebody changes what a subscription lets through."""
    sns = lab.boto("sns")
    found = sns.list_subscriptions_by_topic(TopicArn=arn(id))["Subscriptions"]
    told = {"AttributeName": "FilterPolicy", "AttributeValue": json.dumps({"level": ["mine"]})}
    sns.set_subscription_attributes(SubscriptionArn=found[0]["SubscriptionArn"], **told)


SAMPLES = [
    Sample(
        "aws.sns_topic",
        {
            "name": "alerts",
            "display_name": "alerts of the lab",
            "policy": policy("SNS:Publish"),
            "kms_master_key_id": "alias/lab",
            "fifo_topic": False,
            "subscription": [
                queue("first", filter_policy={"level": ["high"]}),
                queue("second", raw_message_delivery=True),
            ],
            "tags": {"team": "fraud"},
        },
        updates={
            "display_name": "of the lab",
            "policy": policy("SNS:Subscribe"),
            "kms_master_key_id": "alias/other",
            "subscription": [
                queue("first", filter_policy={"level": ["low"]}, filter_policy_scope="MessageBody"),
                queue("third"),
            ],
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other", "fifo_topic": True},
        besides={"fifo_topic": {"name": "alerts.fifo"}},
        resets={"display_name": None, "kms_master_key_id": None, "subscription": None, "tags": None},
        untried={"content_based_deduplication": "only of topics that keep the order: tried in test_more_services"},
        outside={
            "display_name": put("DisplayName", "mine"),
            "policy": put("Policy", json.dumps(policy("SNS:DeleteTopic"))),
            "kms_master_key_id": put("KmsMasterKeyId", "alias/mine"),
            "subscription": filtered,
            "tags": lambda lab, id: lab.boto("sns").tag_resource(
                ResourceArn=arn(id), Tags=[{"Key": "team", "Value": "someone"}]
            ),
        },
        before=queues,
        remove=lambda lab, id: lab.boto("sns").delete_topic(TopicArn=arn(id)),
        noop_calls=21,
    ),
]
