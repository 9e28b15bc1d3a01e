"""How services that the tagging API leaves out list their objects with their tags; also scaling policies, and generic
objects. Reads only.

A `Listed` are ids, as ``read`` takes them, and tags, of all objects of one type in the account and region.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, get_args

from mlinfra.sdk.discovery import Found, Scope
from mlinfra_aws.autoscaling import AUTOSCALING_TAGS, SERVICE, Namespace, ScalableTarget, ScalingPolicy
from mlinfra_aws.client import AwsClient
from mlinfra_aws.cloudcontrol import CloudControl
from mlinfra_aws.ec2_vpc_endpoint import VpcEndpoint
from mlinfra_aws.errors import AwsError
from mlinfra_aws.events import DEFAULT, EVENTS_TAGS
from mlinfra_aws.tags import TagCalls, unpaired

Listed = Iterator[tuple[str, Mapping[str, str]]]
THREADS: Final = 8
UNLISTED: Final = frozenset({"UnsupportedActionException", "InvalidRequestException"})
"""What Cloud Control says if objects of a type cannot be listed, or not without saying what they are in."""
POLICY: Final = ("service_namespace", "resource_id", "scalable_dimension", "name")
"""The fields that an id of a scaling policy is made of."""
_BETWEEN: Final = re.compile(r"[^\w.-]+")
"""What has no place in a name within an address."""


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
        for one in client.pages(SERVICE, "DescribeScalableTargets", "ScalableTargets", ServiceNamespace=namespace)
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
        # Of one name there may be several, revisions with tags of their own.
        return ((one[name], one.get("tags", {})) for one in client.pages("batch", operation, key, **more))

    return listed


def policies(client: AwsClient, scope: Scope, found: Sequence[Found]) -> list[Found]:
    """Scaling policies of targets of ours. One that the blueprint may have at several addresses, because what it is of is known
    only by what these refer to, is left out: it is found by its name then."""
    owners = {one.id: one.address for one in found if one.type == ScalableTarget.type}
    there: dict[str, dict[str, str]] = {}
    for namespace in sorted({target.partition("|")[0] for target in owners}):
        for one in client.pages(SERVICE, "DescribeScalingPolicies", "ScalingPolicies", ServiceNamespace=namespace):
            named = (namespace, one["ResourceId"], one["ScalableDimension"], one["PolicyName"])
            if "|".join(named[:3]) in owners:
                there["|".join(named)] = dict(zip(POLICY, named, strict=True))
    places = {
        address: [
            policy
            for policy, parts in there.items()
            if all(item.fields.get(key, parts[key]) == parts[key] for key in POLICY)
        ]
        for address, item in scope.wanted.items()
        if item.type == ScalingPolicy.type
    }
    told = []
    for policy, parts in there.items():
        mine = [address for address, some in places.items() if policy in some]
        if not mine:
            component = owners[policy.rpartition("|")[0]].partition("/")[0]
            name = _BETWEEN.sub("-", f"{parts['resource_id']}-{parts['name']}")
            told.append(Found(ScalingPolicy.type, policy, f"{component}/appautoscaling_policy.{name}"))
        elif len(mine) == 1 and places[mine[0]] == [policy]:
            told.append(Found(ScalingPolicy.type, policy, mine[0]))
    return told


def generic(client: AwsClient, scope: Scope, told: Iterable[Found]) -> Iterator[Found]:
    """Objects of Cloud Control, with the identifiers that it has for them: what tells of them does not tell those."""
    kinds: dict[str, list[Found]] = {}
    for one in told:
        kinds.setdefault(str(one.fields["type_name"]), []).append(one)
    for type_name, those in sorted(kinds.items()):
        try:
            listed = list(CloudControl.listed(client, type_name))
        except AwsError as error:
            if error.code not in UNLISTED:
                raise
            # What the blueprint has is looked for by its name, or by what it says that it is in.
            yield from (Found("", one.id, one.address) for one in those if not _wanted(scope, one))
            continue
        for identifier, tags in listed:
            if scope.mine(tags):
                yield Found(CloudControl.type, identifier, tags["mlinfra:address"], fields={"type_name": type_name})


def _wanted(scope: Scope, one: Found) -> bool:
    wanted = scope.wanted.get(one.address)
    return wanted is not None and wanted.type == one.type
