"""Samples of Batch."""

from __future__ import annotations

from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.samples.ec2 import NETS, group, subnet
from tests.providers.aws.samples.iam import role

ROLES = {"role": role("batcher", "batch"), "other_role": role("other-batcher", "batch")}
WHERE = {**ROLES, **NETS, **subnet("near", "10.0.1.0/24"), **subnet("far", "10.0.2.0/24"), **group("inside")}
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/train"


def fargate(most: int, where: str = "near", kind: str = "FARGATE") -> dict[str, Any]:
    """What jobs run on."""
    return {
        "type": kind,
        "max_vcpus": most,
        "subnets": [f"${{resource.{where}.id}}"],
        "security_group_ids": ["${resource.inside.id}"],
    }


def environment(name: str) -> dict[str, Any]:
    """An environment for other samples."""
    return {
        "type": "aws.batch_compute_environment",
        "name": name,
        "service_role": "${resource.role.arn}",
        "compute_resources": fargate(8),
    }


def container(version: str) -> dict[str, Any]:
    """A container with two processors."""
    needs = [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]
    return {"image": f"{IMAGE}:{version}", "command": ["train", "Ref::day"], "resourceRequirements": needs}


def update(**told: Any) -> Outside:
    """Somebody changes an environment."""
    return lambda lab, id: lab.boto("batch").update_compute_environment(computeEnvironment=id, **told)


def requeue(**told: Any) -> Outside:
    """Somebody changes a queue."""
    return lambda lab, id: lab.boto("batch").update_job_queue(jobQueue=id, **told)


def tag(word: str) -> Outside:
    """Somebody changes a tag."""
    return lambda lab, id: lab.boto("batch").tag_resource(
        resourceArn=f"arn:aws:batch:{REGION}:{ACCOUNT}:{word}/{id}", tags={"team": "someone"}
    )


def revise(**changed: Any) -> Outside:
    """Somebody makes another revision."""

    def change(lab: Lab, id: str) -> Any:
        told = lab.boto("batch").describe_job_definitions(jobDefinitionName=id, status="ACTIVE")["jobDefinitions"][-1]
        names = ("parameters", "retryStrategy", "timeout", "platformCapabilities", "propagateTags", "tags")
        same = {name: told[name] for name in names if name in told}
        properties = {k: v for k, v in told["containerProperties"].items() if k in container("1")}
        same |= {"jobDefinitionName": id, "type": "container", "containerProperties": properties}
        return lab.boto("batch").register_job_definition(**{**same, **changed})

    return change


def unregister(lab: Lab, id: str) -> None:
    for one in lab.boto("batch").describe_job_definitions(jobDefinitionName=id, status="ACTIVE")["jobDefinitions"]:
        lab.boto("batch").deregister_job_definition(jobDefinition=one["jobDefinitionArn"])


def retag(lab: Lab, id: str) -> Any:
    told = lab.boto("batch").describe_job_definitions(jobDefinitionName=id, status="ACTIVE")["jobDefinitions"][-1]
    return lab.boto("batch").tag_resource(resourceArn=told["jobDefinitionArn"], tags={"team": "someone"})


def unqueue(lab: Lab, id: str) -> None:
    lab.boto("batch").update_job_queue(jobQueue=id, state="DISABLED")
    lab.boto("batch").delete_job_queue(jobQueue=id)


def remove(lab: Lab, id: str) -> None:
    lab.boto("batch").update_compute_environment(computeEnvironment=id, state="DISABLED")
    lab.boto("batch").delete_compute_environment(computeEnvironment=id)


SAMPLES = [
    Sample(
        "aws.batch_compute_environment",
        {
            "name": "training",
            "management": "MANAGED",
            "state": "ENABLED",
            "service_role": "${resource.role.arn}",
            "compute_resources": fargate(16),
            "tags": {"team": "fraud"},
        },
        updates={
            "state": "DISABLED",
            "service_role": "${resource.other_role.arn}",
            "compute_resources": fargate(32, "far"),
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other", "management": "UNMANAGED"},
        besides={"management": {"compute_resources": None}},
        resets={"tags": None},
        outside={
            "state": update(state="DISABLED"),
            "service_role": update(serviceRole=f"arn:aws:iam::{ACCOUNT}:role/other-batcher"),
            "compute_resources": update(computeResources={"maxvCpus": 99}),
            "tags": lambda lab, id: lab.boto("batch").tag_resource(
                resourceArn=f"arn:aws:batch:{REGION}:{ACCOUNT}:compute-environment/{id}", tags={"team": "someone"}
            ),
        },
        needs=WHERE,
        remove=remove,
        discoverable=False,
        noop_calls=2,
    ),
    Sample(
        "aws.batch_job_queue",
        {
            "name": "trainings",
            "state": "ENABLED",
            "priority": 1,
            "compute_environment_order": [{"order": 1, "compute_environment": "${resource.first.arn}"}],
            "tags": {"team": "fraud"},
        },
        updates={
            "state": "DISABLED",
            "priority": 5,
            "compute_environment_order": [{"order": 1, "compute_environment": "${resource.second.arn}"}],
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other"},
        resets={"tags": None},
        untried={"scheduling_policy_arn": "needs a scheduling policy that exists"},
        outside={
            "state": requeue(state="DISABLED"),
            "priority": requeue(priority=9),
            "compute_environment_order": requeue(
                computeEnvironmentOrder=[
                    {
                        "order": 1,
                        "computeEnvironment": f"arn:aws:batch:{REGION}:{ACCOUNT}:compute-environment/environment-2",
                    }
                ]
            ),
            "tags": tag("job-queue"),
        },
        needs={**WHERE, "first": environment("environment-1"), "second": environment("environment-2")},
        remove=unqueue,
        discoverable=False,
        creating="CreateJobQueue",
        noop_calls=3,
    ),
    Sample(
        "aws.batch_job_definition",
        {
            "name": "train",
            "job_type": "container",
            "container_properties": container("1"),
            "parameters": {"day": "monday"},
            "retry_strategy": {"attempts": 2},
            "timeout": {"attempt_duration_seconds": 600},
            "platform_capabilities": ["EC2"],
            "propagate_tags": True,
            "tags": {"team": "fraud"},
        },
        updates={
            "container_properties": container("2"),
            "parameters": {"day": "friday"},
            "retry_strategy": {"attempts": 3},
            "timeout": {"attempt_duration_seconds": 900},
            "platform_capabilities": ["FARGATE"],
            "propagate_tags": False,
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"name": "other"},
        resets={"parameters": None, "retry_strategy": None, "timeout": None, "tags": None},
        untried={"job_type": "there is one only"},
        outside={
            "container_properties": revise(containerProperties=container("9")),
            "parameters": revise(parameters={"day": "mine"}),
            "retry_strategy": revise(retryStrategy={"attempts": 9}),
            "timeout": revise(timeout={"attemptDurationSeconds": 60}),
            "platform_capabilities": revise(platformCapabilities=["FARGATE"]),
            "propagate_tags": revise(propagateTags=False),
            "tags": retag,
        },
        remove=unregister,
        discoverable=False,
        creating="RegisterJobDefinition",
        noop_calls=5,
    ),
]
