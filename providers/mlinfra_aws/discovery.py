"""Which objects of an account carry our tags: what the tagging API lists, and, of services that it leaves out, their own lists.
Reads only.

`TAGGED` tells a resource type and its id from an ARN, `LISTED` how a service lists its objects with their tags, `OF_OTHERS` which
objects are ours because what they are of is, `UNTAGGED` why objects of a type cannot be found so. Each type of the provider
stands in one of the four, but for the generic one: a tag says of its objects what they are, whoever lists them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from mlinfra.sdk.discovery import Found, Scope
from mlinfra_aws.client import AwsClient
from mlinfra_aws.cloudcontrol import KIND, CloudControl
from mlinfra_aws.discovery_lists import endpoints, generic, of_batch, policies, rules, targets
from mlinfra_aws.errors import AwsError
from mlinfra_aws.tags import ECR, unpaired

TAGGED: Final[Mapping[str, tuple[str, str]]] = {
    "aws.s3_bucket": ("s3", ""),
    "aws.kms_key": ("kms", "key/"),
    "aws.cloudwatch_log_group": ("logs", "log-group:"),
    "aws.secretsmanager_secret": ("secretsmanager", "secret:"),
    "aws.sns_topic": ("sns", ""),
    "aws.ssm_parameter": ("ssm", "parameter/"),
    "aws.dynamodb_table": ("dynamodb", "table/"),
    "aws.lambda_function": ("lambda", "function:"),
    "aws.sagemaker_model": ("sagemaker", "model/"),
    "aws.sagemaker_endpoint_configuration": ("sagemaker", "endpoint-config/"),
    "aws.sagemaker_endpoint": ("sagemaker", "endpoint/"),
    "aws.sagemaker_feature_group": ("sagemaker", "feature-group/"),
    "aws.sagemaker_model_package_group": ("sagemaker", "model-package-group/"),
    "aws.sagemaker_pipeline": ("sagemaker", "pipeline/"),
    "aws.sagemaker_training_job": ("sagemaker", "training-job/"),
    "aws.sagemaker_processing_job": ("sagemaker", "processing-job/"),
    "aws.sagemaker_data_quality_job_definition": ("sagemaker", "data-quality-job-definition/"),
    "aws.sagemaker_monitoring_schedule": ("sagemaker", "monitoring-schedule/"),
    "aws.sagemaker_mlflow_tracking_server": ("sagemaker", "mlflow-tracking-server/"),
    "aws.sagemaker_notebook_instance": ("sagemaker", "notebook-instance/"),
    "aws.sagemaker_domain": ("sagemaker", "domain/"),
    "aws.cloudwatch_metric_alarm": ("cloudwatch", "alarm:"),
    "aws.sfn_state_machine": ("states", "stateMachine:"),
    "aws.vpc": ("ec2", "vpc/"),
    "aws.subnet": ("ec2", "subnet/"),
    "aws.security_group": ("ec2", "security-group/"),
}
"""Type → the service in its ARNs, and what comes before the id in them."""
BESIDES: Final[Mapping[str, tuple[str, str]]] = {
    "aws.iam_role": ("iam", "role/"),
    "aws.ecr_repository": ("ecr", "repository/"),
    "aws.cloudwatch_event_rule": ("events", "rule/"),
    "aws.vpc_endpoint": ("ec2", "vpc-endpoint/"),
    "aws.appautoscaling_target": ("application-autoscaling", "scalable-target/"),
    "aws.batch_compute_environment": ("batch", "compute-environment/"),
    "aws.batch_job_queue": ("batch", "job-queue/"),
    "aws.batch_job_definition": ("batch", "job-definition/"),
}
"""The same of what is `LISTED`. Of some of it the tagging API tells in some accounts and in others not: its own list counts."""
UNTAGGED: Final[Mapping[str, str]] = {
    "aws.scheduler_schedule": "schedules carry no tags, only groups of them do",
    "aws.s3_objects": "files carry no tags of ours; the next apply puts them again, which changes nothing",
    "aws.s3_object": "files carry no tags of ours",
    "aws.cloudwatch_dashboard": "dashboards carry no tags",
    "aws.sagemaker_model_alias": "an alias is a mark on a version of a model, and goes with it",
}
"""Type → why no tag tells of it. If the blueprint has it, it is found by its name, files excepted."""
THREADS: Final = 8
_RUN: Final = re.compile(r"(?P<job>.+)-[0-9a-f]{10}")
"""The name of a run of a job."""
_RUN_ROOM: Final = 52
"""Characters of a job's name that the names of its runs have."""


def discover(client: AwsClient, scope: Scope) -> Iterator[Found]:
    """The objects of an environment, all services."""
    told = [*_tagged(client, scope), *_listed(client, scope)]
    found = [one for one in told if one.type != CloudControl.type]
    found += generic(client, scope, [one for one in told if one.type == CloudControl.type])
    for of_ours in OF_OTHERS.values():
        found += of_ours(client, scope, found)
    runs = _runs(found)
    return (one for one in found if one not in runs)


def _tagged(client: AwsClient, scope: Scope) -> Iterator[Found]:
    filters = [{"Key": key, "Values": [value]} for key, value in scope.owner.items()]
    pages = client.pages(
        "resourcegroupstaggingapi", "GetResources", "ResourceTagMappingList", TagFilters=filters, ResourcesPerPage=100
    )
    for item in pages:
        tags = unpaired(item["Tags"])
        if not scope.mine(tags):
            continue
        address = tags["mlinfra:address"]
        if KIND in tags:
            yield _generic(item["ResourceARN"], tags)
            continue
        type_name, object_id = parsed(item["ResourceARN"])
        if type_name in LISTED:
            continue
        if type_name == "aws.ssm_parameter":
            object_id = _parameter(client, object_id)
        yield Found(type_name, _spelt(object_id, address, scope), address)


def _listed(client: AwsClient, scope: Scope) -> Iterator[Found]:
    for type_name, listed in LISTED.items():
        for object_id, tags in listed(client):
            if scope.mine(tags):
                yield (
                    _generic(object_id, tags) if KIND in tags else Found(type_name, object_id, tags["mlinfra:address"])
                )


def _generic(told: str, tags: Mapping[str, str]) -> Found:
    """One of Cloud Control, by what it is told as: that is not what Cloud Control calls it."""
    return Found(CloudControl.type, told, tags["mlinfra:address"], fields={"type_name": tags[KIND]})


def parsed(arn: str) -> tuple[str, str]:
    """The type and the id that an ARN tells; no type and the ARN itself if it is of none of this provider.

    The parts of an ARN are told by the service authorization reference, "Resource types defined by …", for each service.
    """
    _, _, service, _, _, rest = arn.split(":", 5)
    for type_name, (of, before) in {**TAGGED, **BESIDES}.items():
        if service != of or not rest.startswith(before):
            continue
        object_id = rest.removeprefix(before)
        if of == "secretsmanager":
            object_id = object_id[:-7]  # AWS adds a hyphen and six characters to the name
        if of == "logs":
            object_id = object_id.removesuffix(":*")
        return type_name, object_id
    return "", arn


def _parameter(client: AwsClient, rest: str) -> str:
    """The name of a parameter: its ARN leaves out the slash that a name of several parts, and any other, may begin with."""
    if "/" in rest:
        return f"/{rest}"
    told = client.call("ssm", "GetParameters", Names=[rest, f"/{rest}"])["Parameters"]
    return str(told[0]["Name"]) if told else rest


def _spelt(object_id: str, address: str, scope: Scope) -> str:
    """The id as the blueprint writes it: some ARNs have small letters where the name has capitals."""
    wanted = scope.wanted.get(address)
    names: Sequence[Any] = list(wanted.fields.values()) if wanted else []
    return next((name for name in names if isinstance(name, str) and name.lower() == object_id), object_id)


def _roles(client: AwsClient) -> Iterator[tuple[str, Mapping[str, str]]]:
    roles = client.pages("iam", "GetAccountAuthorizationDetails", "RoleDetailList", Filter=["Role"], MaxItems=1000)
    return ((role["RoleName"], unpaired(role.get("Tags", []))) for role in roles)


def _repositories(client: AwsClient) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Repositories have their tags asked one by one."""
    every = list(client.pages("ecr", "DescribeRepositories", "repositories", maxResults=1000))

    def tags(repository: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
        try:
            return repository["repositoryName"], ECR.of(client, repository["repositoryArn"])
        except AwsError as error:
            if not error.gone:
                raise
            return repository["repositoryName"], {}

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        return iter(list(pool.map(tags, every)))


LISTED: Final[Mapping[str, Callable[[AwsClient], Iterable[tuple[str, Mapping[str, str]]]]]] = {
    "aws.iam_role": _roles,
    "aws.ecr_repository": _repositories,
    "aws.cloudwatch_event_rule": rules,
    "aws.vpc_endpoint": endpoints,
    "aws.appautoscaling_target": targets,
    "aws.batch_compute_environment": of_batch(
        "DescribeComputeEnvironments", "computeEnvironments", "computeEnvironmentName"
    ),
    "aws.batch_job_queue": of_batch("DescribeJobQueues", "jobQueues", "jobQueueName"),
    "aws.batch_job_definition": of_batch(
        "DescribeJobDefinitions", "jobDefinitions", "jobDefinitionName", status="ACTIVE"
    ),
}
"""Type → the ids and tags of all its objects in the account."""


def _aliases(client: AwsClient, scope: Scope, found: Sequence[Found]) -> list[Found]:
    """The names of keys of ours. A key that waits for its deletion keeps its names so long, and nobody else can have them."""
    keys = {one.id: one.address for one in found if one.type == "aws.kms_key"}
    if not keys:
        return []
    wanted = {
        item.fields.get("name"): address for address, item in scope.wanted.items() if item.type == "aws.kms_alias"
    }
    names = []
    for alias in client.pages("kms", "ListAliases", "Aliases", Limit=100):
        name, key = alias["AliasName"], keys.get(alias.get("TargetKeyId", ""))
        if key is not None:
            own = f"{key.partition('/')[0]}/kms_alias.{name.removeprefix('alias/').replace('/', '-')}"
            names.append(Found("aws.kms_alias", name, wanted.get(name, own)))
    return names


OF_OTHERS: Final[Mapping[str, Callable[[AwsClient, Scope, Sequence[Found]], list[Found]]]] = {
    "aws.kms_alias": _aliases,
    "aws.appautoscaling_policy": policies,
}
"""Type → its objects that belong to something found. Where only the blueprint knew their address they get one of their own."""


def _runs(found: Sequence[Found]) -> list[Found]:
    """Jobs that are runs of another one of the same address: the state never knows them, they are its past."""
    names: dict[tuple[str, str], set[str]] = {}
    for one in found:
        names.setdefault((one.type, one.address), set()).add(one.id[:_RUN_ROOM].rstrip("-"))
    runs = []
    for one in found:
        match = _RUN.fullmatch(one.id) if one.type.endswith("_job") else None
        if match is not None and match["job"] in names[one.type, one.address]:
            runs.append(one)
    return runs
