"""Samples of Cloud Control: a queue, whose address AWS makes; a log group, which has its own name; a parameter, of which AWS
does not tell all; a topic; a repository, of which the tagging API does not tell."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import Fields, Lab

TAGS = {"team": "fraud"}
OTHER_TAGS = {"team": "risk", "more": "tags"}
ALIKE = {
    "type_name": "with another type there are other properties: tried in test_cloudcontrol",
    "schema_check": "changes nothing of the object: tried in test_cloudcontrol",
    "create_only": "filled in by mlinfra",
}
QUEUE = {"QueueName": "jobs", "VisibilityTimeout": 60, "DelaySeconds": 5}
GROUP = {"LogGroupName": "/lab/jobs", "RetentionInDays": 7}
PARAMETER = {"Name": "/lab/limit", "Type": "String", "Value": "5", "Description": "a limit", "AllowedPattern": r"^\d+$"}
REPOSITORY = {"RepositoryName": "lab/images", "ImageTagMutability": "IMMUTABLE"}
TOPIC = {"TopicName": "alarms", "DisplayName": "Alarms"}


def queue(**told: str) -> Outside:
    """Somebody changes a queue."""
    return lambda lab, id: lab.boto("sqs").set_queue_attributes(QueueUrl=id, Attributes=told)


def parameter_tag(lab: Lab, id: str) -> Any:
    """Somebody changes a parameter's tag."""
    tags = [{"Key": "team", "Value": "someone"}]
    return lab.boto("ssm").add_tags_to_resource(ResourceType="Parameter", ResourceId=id, Tags=tags)


def group_tag(lab: Lab, id: str) -> Any:
    """Somebody changes a log group's tag."""
    arn = lab.boto("logs").describe_log_groups()["logGroups"][0]["logGroupArn"]
    return lab.boto("logs").tag_resource(resourceArn=arn, tags={"team": "someone"})


def repository(lab: Lab, id: str) -> Any:
    """Somebody changes a repository."""
    return lab.boto("ecr").put_image_tag_mutability(repositoryName=id, imageTagMutability="MUTABLE")


def repository_tag(lab: Lab, id: str) -> Any:
    """Somebody changes a repository's tag."""
    arn = lab.boto("ecr").describe_repositories(repositoryNames=[id])["repositories"][0]["repositoryArn"]
    return lab.boto("ecr").tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": "someone"}])


def topic(name: str, value: str) -> Outside:
    """Somebody changes a topic."""
    return lambda lab, id: lab.boto("sns").set_topic_attributes(TopicArn=id, AttributeName=name, AttributeValue=value)


def sample(type_name: str, state: Fields, update: Fields, replaced: Fields, **more: Any) -> Sample:
    """A sample of a type: another state to change to, and one that makes it anew."""
    return Sample(
        "aws.cloudcontrol",
        {"type_name": type_name, "desired_state": state, "tags": TAGS},
        updates={"desired_state": update, "tags": OTHER_TAGS},
        replaces={"desired_state": replaced},
        untried=ALIKE,
        resets={"tags": None},
        service="cloudcontrol",
        creating="CreateResource",
        name="desired_state",
        # GetResource of each, and the tags of all.
        noop_calls=6,
        **more,
    )


SAMPLES = [
    sample(
        "AWS::SQS::Queue",
        QUEUE,
        {"QueueName": "jobs", "VisibilityTimeout": 30},
        {**QUEUE, "QueueName": "other"},
        outside={
            "desired_state": queue(VisibilityTimeout="99"),
            "tags": lambda lab, id: lab.boto("sqs").tag_queue(QueueUrl=id, Tags={"team": "someone"}),
        },
        remove=lambda lab, id: lab.boto("sqs").delete_queue(QueueUrl=id),
        numbered=lambda state, number: {**state, "QueueName": f"jobs{number}"},
        adoptable=False,
    ),
    sample(
        "AWS::Logs::LogGroup",
        GROUP,
        {"LogGroupName": "/lab/jobs", "RetentionInDays": 14, "KmsKeyId": "arn:aws:kms:eu-west-1:111111111111:key/lab"},
        {**GROUP, "LogGroupName": "/lab/other"},
        outside={
            "desired_state": lambda lab, id: lab.boto("logs").put_retention_policy(logGroupName=id, retentionInDays=30),
            "tags": group_tag,
        },
        remove=lambda lab, id: lab.boto("logs").delete_log_group(logGroupName=id),
        numbered=lambda state, number: {**state, "LogGroupName": f"/lab/jobs{number}"},
    ),
    sample(
        "AWS::SSM::Parameter",
        PARAMETER,
        {**PARAMETER, "Value": "6", "AllowedPattern": r"^\d*$"},
        {**PARAMETER, "Name": "/lab/other"},
        outside={
            "desired_state": lambda lab, id: lab.boto("ssm").put_parameter(Name=id, Value="9", Overwrite=True),
            "tags": parameter_tag,
        },
        remove=lambda lab, id: lab.boto("ssm").delete_parameter(Name=id),
        numbered=lambda state, number: {**state, "Name": f"/lab/limit{number}"},
    ),
    sample(
        "AWS::SNS::Topic",
        TOPIC,
        {"TopicName": "alarms", "DisplayName": "Bells"},
        {**TOPIC, "TopicName": "other"},
        outside={
            "desired_state": topic("DisplayName", "Mine"),
            "tags": lambda lab, id: lab.boto("sns").tag_resource(
                ResourceArn=id, Tags=[{"Key": "team", "Value": "someone"}]
            ),
        },
        remove=lambda lab, id: lab.boto("sns").delete_topic(TopicArn=id),
        numbered=lambda state, number: {**state, "TopicName": f"alarms{number}"},
        adoptable=False,
    ),
    sample(
        "AWS::ECR::Repository",
        REPOSITORY,
        {**REPOSITORY, "ImageTagMutability": "MUTABLE"},
        {**REPOSITORY, "RepositoryName": "lab/other"},
        outside={"desired_state": repository, "tags": repository_tag},
        remove=lambda lab, id: lab.boto("ecr").delete_repository(repositoryName=id, force=True),
        numbered=lambda state, number: {**state, "RepositoryName": f"lab/images{number}"},
        discoverable=False,
    ),
]
