"""`aws.vpc_endpoint`: a way from a network to a service. Waited for as it comes and as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from mlinfra.sdk.fields import REPLACE, UNORDERED
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Policy, policy, text
from mlinfra_aws.ec2 import Ec2Resource
from mlinfra_aws.waits import until

TIMEOUT: Final = 15 * 60.0
"""Seconds for an endpoint to come or to go."""


class VpcEndpoint(Ec2Resource):
    """A way from a network to a service of AWS that does not leave it.

    Example::

        resource:
          s3: { type: aws.vpc_endpoint, vpc_id: "${resource.net.id}", service_name: com.amazonaws.eu-west-1.s3 }
    """

    type: ClassVar[str] = "aws.vpc_endpoint"
    noun: ClassVar[str] = "VPC endpoint"
    describing: ClassVar[tuple[str, str, str]] = ("DescribeVpcEndpoints", "VpcEndpoints", "VpcEndpointId")
    narrowing: ClassVar[str] = "vpc-endpoint-id"
    word: ClassVar[str] = "vpc-endpoint"

    vpc_id: Annotated[str, REPLACE]
    """The network."""
    service_name: Annotated[str, REPLACE]
    """The service: ``com.amazonaws.<region>.<service>``."""
    vpc_endpoint_type: Annotated[Literal["Gateway", "Interface"], REPLACE] = "Gateway"
    """Whether routes or addresses lead to it."""
    policy: Policy | None = None
    """What may be done through it; everything if not given."""
    route_table_ids: Annotated[list[str], UNORDERED] = []
    """The route tables that lead to a gateway."""
    subnet_ids: Annotated[list[str], UNORDERED] = []
    """The subnets in which an interface has addresses."""
    security_group_ids: Annotated[list[str], UNORDERED] = []
    """The security groups of an interface."""
    private_dns_enabled: bool = False
    """Whether the service's usual name leads to an interface."""

    @classmethod
    def told_of(cls, client: AwsClient, known: Known, told: Mapping[str, Any]) -> Fields:
        live: Fields = {
            "vpc_id": told["VpcId"],
            "service_name": told["ServiceName"],
            "vpc_endpoint_type": told.get("VpcEndpointType", "Gateway"),
            "route_table_ids": told.get("RouteTableIds", []),
            "subnet_ids": told.get("SubnetIds", []),
            "security_group_ids": [one["GroupId"] for one in told.get("Groups", [])],
            "private_dns_enabled": told.get("PrivateDnsEnabled", False),
        }
        return {**live, "policy": policy(told.get("PolicyDocument"))} if known.fields.get("policy") else live

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {"PolicyDocument": text(self.policy)} if self.policy else {}
        lists = {
            "RouteTableIds": self.route_table_ids,
            "SubnetIds": self.subnet_ids,
            "SecurityGroupIds": self.security_group_ids,
        }
        more |= {name: value for name, value in lists.items() if value}
        if self.vpc_endpoint_type == "Interface":
            more["PrivateDnsEnabled"] = self.private_dns_enabled
        told = client.call(
            "ec2",
            "CreateVpcEndpoint",
            op=op,
            once=True,
            VpcId=self.vpc_id,
            ServiceName=self.service_name,
            VpcEndpointType=self.vpc_endpoint_type,
            ClientToken=op.token,
            TagSpecifications=self.tagged(op),
            **more,
        )
        return Created(str(told["VpcEndpoint"]["VpcEndpointId"]))

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        more: dict[str, Any] = {}
        for field, word in (
            ("route_table_ids", "RouteTableIds"),
            ("subnet_ids", "SubnetIds"),
            ("security_group_ids", "SecurityGroupIds"),
        ):
            if field in changed:
                there, wanted = set(known.fields.get(field) or []), set(getattr(self, field))
                more |= {f"Add{word}": sorted(wanted - there)} if wanted - there else {}
                more |= {f"Remove{word}": sorted(there - wanted)} if there - wanted else {}
        if "policy" in changed:
            more |= {"PolicyDocument": text(self.policy)} if self.policy else {"ResetPolicy": True}
        if "private_dns_enabled" in changed:
            more["PrivateDnsEnabled"] = self.private_dns_enabled
        if more:
            self.call(client, "ModifyVpcEndpoint", op=op, VpcEndpointId=known.id, **more)
        return None

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        until(
            client,
            op,
            f"the VPC endpoint {known.id}",
            lambda: cls._state(client, known.id),
            ready=("available", "pendingacceptance"),
            working=("pending",),
            timeout=TIMEOUT,
        )

    @classmethod
    def _state(cls, client: AwsClient, id: str) -> tuple[str, str]:
        answer = cls.found(client, "DescribeVpcEndpoints", Filters=[{"Name": cls.narrowing, "Values": [id]}])
        told: Mapping[str, Any] = next(iter((answer or {}).get("VpcEndpoints", [])), {"State": "gone"})
        state = str(told["State"]).lower()
        return ("gone" if state == "deleted" else state), str(told.get("LastError", {}).get("Message", ""))

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Deleted once AWS says that it is gone: its subnets and groups are in use until then."""
        cls.found(client, "DeleteVpcEndpoints", op=op, VpcEndpointIds=[known.id])
        until(
            client,
            op,
            f"the VPC endpoint {known.id}",
            lambda: cls._state(client, known.id),
            ready=("gone",),
            working=("deleting",),
            timeout=TIMEOUT,
        )
