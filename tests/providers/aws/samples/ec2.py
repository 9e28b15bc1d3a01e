"""Samples of EC2: the parts of a network."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import REGION, Lab

NETS = {
    "net": {"type": "aws.vpc", "cidr_block": "10.0.0.0/16"},
    "other_net": {"type": "aws.vpc", "cidr_block": "10.1.0.0/16"},
}
NET, OTHER_NET = "${resource.net.id}", "${resource.other_net.id}"
S3, SAGEMAKER = f"com.amazonaws.{REGION}.s3", f"com.amazonaws.{REGION}.sagemaker.api"
TAGS = {"Name": "lab", "team": "fraud"}
OTHER_TAGS = {"Name": "other", "more": "tags"}


def tag(lab: Lab, id: str) -> Any:
    """Somebody changes a tag."""
    return lab.boto("ec2").create_tags(Resources=[id], Tags=[{"Key": "team", "Value": "someone"}])


def attribute(member: str, value: bool) -> Outside:
    """Somebody changes an attribute of a network."""
    return lambda lab, id: lab.boto("ec2").modify_vpc_attribute(VpcId=id, **{member: {"Value": value}})


def policy(action: str) -> dict[str, Any]:
    """What may be done through an endpoint."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def let_in(lab: Lab, id: str) -> Any:
    """Somebody lets more in."""
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}
    return lab.boto("ec2").authorize_security_group_ingress(GroupId=id, IpPermissions=[ssh])


def let_out(lab: Lab, id: str) -> Any:
    """Somebody lets more out."""
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}
    return lab.boto("ec2").authorize_security_group_egress(GroupId=id, IpPermissions=[ssh])


def subnet(name: str, block: str) -> dict[str, Any]:
    """A subnet for other samples."""
    return {name: {"type": "aws.subnet", "vpc_id": NET, "cidr_block": block}}


def group(name: str) -> dict[str, Any]:
    """A security group for other samples."""
    return {name: {"type": "aws.security_group", "name": name, "vpc_id": NET}}


def endpoint(**told: Any) -> Outside:
    """Somebody changes an endpoint."""
    return lambda lab, id: lab.boto("ec2").modify_vpc_endpoint(VpcEndpointId=id, **told)


def moved(lab: Lab, id: str) -> Any:
    """Somebody takes an endpoint out of its subnets."""
    told = lab.boto("ec2").describe_vpc_endpoints(VpcEndpointIds=[id])["VpcEndpoints"][0]
    return lab.boto("ec2").modify_vpc_endpoint(VpcEndpointId=id, RemoveSubnetIds=told["SubnetIds"])


def ungrouped(lab: Lab, id: str) -> Any:
    """Somebody takes an endpoint out of its groups."""
    told = lab.boto("ec2").describe_vpc_endpoints(VpcEndpointIds=[id])["VpcEndpoints"][0]
    gone = [one["GroupId"] for one in told["Groups"]]
    return lab.boto("ec2").modify_vpc_endpoint(VpcEndpointId=id, RemoveSecurityGroupIds=gone)


SAMPLES = [
    Sample(
        "aws.vpc",
        {
            "cidr_block": "10.0.0.0/16",
            "instance_tenancy": "default",
            "enable_dns_support": True,
            "enable_dns_hostnames": True,
            "tags": TAGS,
        },
        updates={"enable_dns_hostnames": False, "enable_dns_support": False, "tags": OTHER_TAGS},
        replaces={"cidr_block": "10.2.0.0/16", "instance_tenancy": "dedicated"},
        resets={"tags": None},
        outside={
            "enable_dns_hostnames": attribute("EnableDnsHostnames", False),
            "enable_dns_support": attribute("EnableDnsSupport", False),
            "tags": tag,
        },
        remove=lambda lab, id: lab.boto("ec2").delete_vpc(VpcId=id),
        name="",
        adoptable=False,
        service="ec2",
        creating="CreateVpc",
        noop_calls=11,
    ),
    Sample(
        "aws.subnet",
        {
            "vpc_id": NET,
            "cidr_block": "10.0.1.0/24",
            "availability_zone": f"{REGION}a",
            "map_public_ip_on_launch": True,
            "tags": TAGS,
        },
        updates={"map_public_ip_on_launch": False, "tags": OTHER_TAGS},
        replaces={"vpc_id": OTHER_NET, "cidr_block": "10.0.2.0/24", "availability_zone": f"{REGION}b"},
        besides={"vpc_id": {"cidr_block": "10.1.1.0/24"}},
        resets={"tags": None},
        outside={
            "map_public_ip_on_launch": lambda lab, id: lab.boto("ec2").modify_subnet_attribute(
                SubnetId=id, MapPublicIpOnLaunch={"Value": False}
            ),
            "tags": tag,
        },
        needs=NETS,
        remove=lambda lab, id: lab.boto("ec2").delete_subnet(SubnetId=id),
        name="cidr_block",
        numbered=lambda value, number: f"10.0.{number}.0/24",
        adoptable=False,
        service="ec2",
        creating="CreateSubnet",
        noop_calls=6,
    ),
    Sample(
        "aws.security_group",
        {
            "name": "training",
            "description": "of training jobs",
            "vpc_id": NET,
            "ingress": [
                {"protocol": "-1", "self": True, "description": "one another"},
                {"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["10.0.0.0/16", "10.1.0.0/16"]},
                {"protocol": "tcp", "from_port": 80, "to_port": 80, "security_groups": ["${resource.peer.id}"]},
            ],
            "egress": [{"protocol": "all", "cidr_blocks": ["0.0.0.0/0"], "ipv6_cidr_blocks": ["::/0"]}],
            "tags": TAGS,
        },
        updates={
            "ingress": [
                {"protocol": "-1", "self": True, "description": "each other"},
                {"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["10.1.0.0/16"]},
            ],
            "egress": [{"protocol": "tcp", "from_port": 443, "to_port": 443, "cidr_blocks": ["0.0.0.0/0"]}],
            "tags": OTHER_TAGS,
        },
        replaces={"name": "other", "description": "of other jobs", "vpc_id": OTHER_NET},
        resets={"ingress": None, "tags": None},
        outside={"ingress": let_in, "egress": let_out, "tags": tag},
        needs={**NETS, **group("peer")},
        remove=lambda lab, id: lab.boto("ec2").delete_security_group(GroupId=id),
        adoptable=False,
        service="ec2",
        creating="CreateSecurityGroup",
        noop_calls=8,
    ),
    Sample(
        "aws.vpc_endpoint",
        {
            "vpc_id": NET,
            "service_name": SAGEMAKER,
            "vpc_endpoint_type": "Interface",
            "policy": policy("sagemaker:CreateEndpoint"),
            "subnet_ids": ["${resource.first.id}"],
            "security_group_ids": ["${resource.inside.id}"],
            "private_dns_enabled": True,
            "tags": TAGS,
        },
        updates={
            "policy": policy("sagemaker:DeleteEndpoint"),
            "subnet_ids": ["${resource.second.id}"],
            "security_group_ids": ["${resource.inside.id}", "${resource.outside.id}"],
            "private_dns_enabled": False,
            "tags": OTHER_TAGS,
        },
        replaces={"vpc_id": OTHER_NET, "service_name": f"com.amazonaws.{REGION}.sts", "vpc_endpoint_type": "Gateway"},
        besides={
            "vpc_id": {"subnet_ids": [], "security_group_ids": []},
            "vpc_endpoint_type": {
                "service_name": S3,
                "subnet_ids": [],
                "security_group_ids": [],
                "private_dns_enabled": False,
            },
        },
        resets={"tags": None},
        untried={"route_table_ids": "only of gateways: tried in test_networks"},
        outside={
            "policy": endpoint(PolicyDocument=json.dumps(policy("*"))),
            "subnet_ids": moved,
            "security_group_ids": ungrouped,
            "private_dns_enabled": endpoint(PrivateDnsEnabled=False),
            "tags": tag,
        },
        needs={
            **NETS,
            **subnet("first", "10.0.1.0/24"),
            **subnet("second", "10.0.2.0/24"),
            **group("inside"),
            **group("outside"),
        },
        remove=lambda lab, id: lab.boto("ec2").delete_vpc_endpoints(VpcEndpointIds=[id]),
        name="",
        adoptable=False,
        service="ec2",
        creating="CreateVpcEndpoint",
        noop_calls=10,
    ),
]
