"""What parts of a network do beyond the conformance."""

from __future__ import annotations

from tests.providers.aws.conformance import SUBJECT
from tests.providers.aws.lab import Lab
from tests.providers.aws.samples.ec2 import NET, NETS, S3


def test_routes_of_a_gateway_change_in_place(lab: Lab) -> None:
    lab.write(NETS)
    lab.converge()
    told = lab.boto("ec2").describe_route_tables()["RouteTables"]
    (net,) = [one["VpcId"] for one in lab.boto("ec2").describe_vpcs()["Vpcs"] if one["CidrBlock"] == "10.0.0.0/16"]
    (main,) = [one["RouteTableId"] for one in told if one["VpcId"] == net]
    other = lab.boto("ec2").create_route_table(VpcId=net)["RouteTable"]["RouteTableId"]
    gateway = {"type": "aws.vpc_endpoint", "vpc_id": NET, "service_name": S3}
    lab.write({**NETS, "subject": {**gateway, "route_table_ids": [main]}})
    lab.converge()
    lab.write({**NETS, "subject": {**gateway, "route_table_ids": [other]}})
    assert lab.node(SUBJECT).action == "update"
    lab.converge()
    endpoint = lab.boto("ec2").describe_vpc_endpoints()["VpcEndpoints"][0]
    assert endpoint["RouteTableIds"] == [other]


def test_what_others_let_in_is_left_alone_as_long_as_nothing_is_said(lab: Lab) -> None:
    group = {"type": "aws.security_group", "name": "training", "vpc_id": NET}
    lab.write({**NETS, "subject": group})
    lab.converge()
    ec2 = lab.boto("ec2")
    told = ec2.describe_security_groups(Filters=[{"Name": "group-name", "Values": ["training"]}])["SecurityGroups"]
    assert told[0]["IpPermissionsEgress"][0]["IpProtocol"] == "-1"
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "10.9.0.0/16"}]}
    ec2.authorize_security_group_ingress(GroupId=told[0]["GroupId"], IpPermissions=[ssh])
    assert lab.plan().empty
