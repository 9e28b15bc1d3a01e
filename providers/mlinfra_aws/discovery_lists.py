"""How services that the tagging API leaves out list their objects with their tags, and how generic ones are told. Reads only.

Each function gives ids, as ``read`` takes them, and tags, of all objects of one type in the account and region.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, get_args

from mlinfra.sdk.discovery import Found, Scope
from mlinfra_aws.autoscaling import AUTOSCALING_TAGS, Namespace
from mlinfra_aws.client import AwsClient
from mlinfra_aws.cloudcontrol import CloudControl
from mlinfra_aws.ec2_vpc_endpoint import VpcEndpoint
from mlinfra_aws.errors import AwsError
from mlinfra_aws.events import DEFAULT, EVENTS_TAGS
from mlinfra_aws.tags import TagCalls, unpaired

Listed = Iterator[tuple[str, Mapping[str, str]]]
THREADS: Final = 8


def rules(client: AwsClient) -> Listed:
    """Rules of all buses."""
    buses = [one["Name"] for one in client.pages("events", "ListEventBuses", "EventBuses")]
    arns = {
        rule["Name"] if bus == DEFAULT else f"{bus}/{rule['Name']}": rule["Arn"]
        for bus in buses
        for rule in client.pages("events", "ListRules", "Rules", EventBusName=bus)
    }
    return _asked(client, EVENTS_TAGS, arns)


def targets(client: AwsClient) -> Listed:
    """Scalable targets of all services."""
    arns = {
        f"{namespace}|{one['ResourceId']}|{one['ScalableDimension']}": one["ScalableTargetARN"]
        for namespace in get_args(Namespace)
        for one in client.pages(
            "application-autoscaling", "DescribeScalableTargets", "ScalableTargets", ServiceNamespace=namespace
        )
        if one.get("ScalableTargetARN")
    }
    return _asked(client, AUTOSCALING_TAGS, arns)


def _asked(client: AwsClient, calls: TagCalls, arns: Mapping[str, str]) -> Listed:
    """Objects that have their tags asked one by one. One that goes meanwhile has none."""

    def tags(item: tuple[str, str]) -> tuple[str, Mapping[str, str]]:
        try:
            return item[0], calls.of(client, item[1])
        except AwsError as error:
            if not error.gone:
                raise
            return item[0], {}

    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        return iter(list(pool.map(tags, arns.items())))


def endpoints(client: AwsClient) -> Listed:
    """VPC endpoints."""
    return ((one["VpcEndpointId"], unpaired(one.get("Tags", []))) for one in VpcEndpoint.all(client))


def of_batch(operation: str, key: str, name: str, **more: Any) -> Callable[[AwsClient], Listed]:
    """Lists objects of Batch by an operation that tells their tags with the rest, under ``key``, with their names in ``name``."""

    def listed(client: AwsClient) -> Listed:
        # Of one name there may be several, revisions of it.
        found = {one[name]: one.get("tags", {}) for one in client.pages("batch", operation, key, **more)}
        return iter(found.items())

    return listed


def generic(client: AwsClient, scope: Scope, type_names: Iterable[str]) -> Iterator[Found]:
    """Objects of Cloud Control, with the identifiers that it has for them: their ARNs do not tell those."""
    for type_name in sorted(set(type_names)):
        for identifier, tags in CloudControl.listed(client, type_name):
            if scope.mine(tags):
                yield Found(CloudControl.type, identifier, tags["mlinfra:address"], fields={"type_name": type_name})
