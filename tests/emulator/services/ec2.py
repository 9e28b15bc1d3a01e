"""EC2: VPC endpoints are found by their ids and by the tagging API, tell their state in the words of the model, and all of them
can be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.ec2.models import EC2Backend
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.responses import EC2Response

from . import before, operation


@before(EC2Response, "modify_vpc_endpoint")
def _more(response: Any) -> None:
    endpoint = response.ec2_backend.vpc_end_points.get(response._get_param("VpcEndpointId"))
    if endpoint is None:
        return
    if response._get_bool_param("ResetPolicy"):
        endpoint.policy_document = None
    if response._get_param("PrivateDnsEnabled") is not None:
        endpoint.private_dns_enabled = response._get_bool_param("PrivateDnsEnabled")


@operation(EC2Response)
def describe_vpc_endpoints(response: Any) -> dict[str, Any]:
    """The endpoints that the filters let through."""
    filters = {one["Name"]: one["Values"] for one in response._get_param("Filters", [])}
    wanted = filters.pop("vpc-endpoint-id", None)
    ids = response._get_param("VpcEndpointIds", [])
    found = response.ec2_backend.describe_vpc_endpoints(vpc_end_point_ids=ids, filters=filters)
    return {"VpcEndpoints": [one for one in found if (wanted is None or one.id in wanted) and one.state != "Deleted"]}


def _state(endpoint: Any) -> str:
    told: str = endpoint.__dict__["mlinfra_state"]
    return told


def _set_state(endpoint: Any, state: str) -> None:
    endpoint.__dict__["mlinfra_state"] = state.capitalize()


VPCEndPoint.state = property(_state, _set_state)  # type: ignore[assignment]  # moto's own, in its place


_TAGGED = EC2Backend.iter_tagged_resources


def _iter_tagged(backend: Any) -> Iterator[TaggedResource]:
    yield from _TAGGED(backend)
    for one in backend.vpc_end_points.values():
        if one.state != "Deleted":
            arn = f"arn:{backend.partition}:ec2:{backend.region_name}:{backend.account_id}:vpc-endpoint/{one.id}"
            yield TaggedResource(arn, dict(backend.tags.get(one.id, {})), "ec2:vpc-endpoint")


EC2Backend.iter_tagged_resources = _iter_tagged  # type: ignore[method-assign]  # moto's own, in its place
