"""The parts of a network: `aws.vpc` and `aws.subnet`, and what all parts of one share (`Ec2Resource`).

Their ids are made by AWS, and most creates have no token: what was made is found again by its tags.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.regular import Regular, batches
from mlinfra_aws.resource import Tagged
from mlinfra_aws.tags import pairs, shown, unpaired

GONE: Final = (
    Rule("InvalidVpcID.NotFound"),
    Rule("InvalidSubnetID.NotFound"),
    Rule("InvalidGroup.NotFound"),
    Rule("InvalidVpcEndpointId.NotFound"),
    Rule("InvalidVpcEndpoint.NotFound"),
)


class Ec2Resource(Regular, Tagged):
    """A part of a network. A type says the words of its describe call."""

    service: ClassVar[str] = "ec2"
    gone_if: ClassVar[tuple[Rule, ...]] = GONE

    describing: ClassVar[tuple[str, str, str]]
    """The describe call, the member with what it tells, and the member with the id."""
    narrowing: ClassVar[str]
    """The filter by ids."""
    word: ClassVar[str]
    """What ARNs and tag calls call it."""

    id: Annotated[str | None, COMPUTED] = None
    """Its id."""

    def object_id(self) -> str:
        raise AssertionError("ids are made by AWS")

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found: dict[str, Fields | None] = {item.address: None for item in known}
        for some in batches(list(known), 100):
            ids = {"Name": cls.narrowing, "Values": [item.id for item in some]}
            told = {one[cls.describing[2]]: one for one in cls.all(client, ids)}
            for item in some:
                if item.id in told:
                    found[item.address] = cls._fields(client, item, told[item.id])
        return found

    @classmethod
    def all(cls, client: AwsClient, *filters: Mapping[str, Any]) -> list[Any]:
        """All that the filters let through, without what is going."""
        operation, key, _ = cls.describing
        told = client.pages("ec2", operation, key, Filters=list(filters))
        return [one for one in told if str(one.get("State", "")).lower() not in ("deleting", "deleted", "failed")]

    @classmethod
    def _fields(cls, client: AwsClient, known: Known, told: Mapping[str, Any]) -> Fields:
        account = told.get("OwnerId") or client.settings.account or ""
        return {
            **cls.told_of(client, known, told),
            "id": known.id,
            "tags": shown(unpaired(told.get("Tags", []))),
            "arn": f"arn:{_partition(client)}:ec2:{client.region}:{account}:{cls.word}/{known.id}",
        }

    @classmethod
    def told_of(cls, client: AwsClient, known: Known, told: Mapping[str, Any]) -> Fields:
        """The fields of what describe tells."""
        raise NotImplementedError

    # -- finding again --------------------------------------------------------------------------------------------------

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        mine = [{"Name": f"tag:{key}", "Values": [value]} for key, value in op.owner.items()]
        return next((str(one[self.describing[2]]) for one in self.all(client, *mine)), None)

    def create(self, client: AwsClient, op: Operation) -> Created:
        """After a reply that was lost, it is looked for before another one is made."""
        for left in (2, 1, 0):
            try:
                return self.make(client, op)
            except AwsError as error:
                if not error.lost or not left:
                    raise
                found = self.locate(client, op)
                if found is not None:
                    return self._converged(client, Known(op.address, found, self._live(client, found, op) or {}), op)
        raise AssertionError("the last try returns or raises")

    def tagged(self, op: Operation) -> list[dict[str, Any]]:
        """Its tags, as creates take them."""
        return [{"ResourceType": self.word, "Tags": pairs(self.owned(op))}]

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        mine = [{"Name": "resource-id", "Values": [id]}]
        return unpaired(client.pages("ec2", "DescribeTags", "Tags", Filters=mine))

    @classmethod
    def write_tags(
        cls, client: AwsClient, id: str, live: Mapping[str, Any], put: Mapping[str, str], gone: Iterable[str]
    ) -> None:
        rest = [key for key in gone if key not in put]
        if rest:
            cls.call(client, "DeleteTags", Resources=[id], Tags=[{"Key": key} for key in rest])
        if put:
            cls.call(client, "CreateTags", Resources=[id], Tags=pairs(put))


class Vpc(Ec2Resource):
    """A network.

    Example::

        resource:
          net: { type: aws.vpc, cidr_block: 10.0.0.0/16, enable_dns_hostnames: true }
    """

    type: ClassVar[str] = "aws.vpc"
    noun: ClassVar[str] = "VPC"
    describing: ClassVar[tuple[str, str, str]] = ("DescribeVpcs", "Vpcs", "VpcId")
    narrowing: ClassVar[str] = "vpc-id"
    word: ClassVar[str] = "vpc"

    cidr_block: Annotated[str, REPLACE] = Field(pattern=r"^\d+\.\d+\.\d+\.\d+/\d+$")
    """Its addresses."""
    instance_tenancy: Annotated[Literal["default", "dedicated"], REPLACE] = "default"
    """Whether machines in it are shared with others."""
    enable_dns_support: bool = True
    """Whether names are resolved in it."""
    enable_dns_hostnames: bool = False
    """Whether machines in it get names."""

    @classmethod
    def told_of(cls, client: AwsClient, known: Known, told: Mapping[str, Any]) -> Fields:
        names = {"enable_dns_support": "EnableDnsSupport", "enable_dns_hostnames": "EnableDnsHostnames"}
        live: Fields = {"cidr_block": told["CidrBlock"], "instance_tenancy": told.get("InstanceTenancy", "default")}
        for field, member in names.items():
            asked = member[0].lower() + member[1:]
            answer = cls.found(client, "DescribeVpcAttribute", VpcId=known.id, Attribute=asked)
            live[field] = (answer or {}).get(member, {}).get("Value", False)
        return live

    def make(self, client: AwsClient, op: Operation) -> Created:
        made = str(
            client.call(
                "ec2",
                "CreateVpc",
                op=op,
                once=True,
                CidrBlock=self.cidr_block,
                InstanceTenancy=self.instance_tenancy,
                TagSpecifications=self.tagged(op),
            )["Vpc"]["VpcId"]
        )
        if not self.enable_dns_support:
            self._modify(client, made, {"enable_dns_support"}, op)
        if self.enable_dns_hostnames:
            self._modify(client, made, {"enable_dns_hostnames"}, op)
        return Created(made)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._modify(client, known.id, changed, op)
        return None

    def _modify(self, client: AwsClient, id: str, changed: set[str], op: Operation) -> None:
        # The call takes one attribute at a time; names need resolving, so that comes first and goes last.
        order = ("enable_dns_support", "enable_dns_hostnames")
        for field in order if self.enable_dns_support else reversed(order):
            if field in changed:
                member = "EnableDnsSupport" if field == "enable_dns_support" else "EnableDnsHostnames"
                told = {member: {"Value": getattr(self, field)}}
                self.call(client, "ModifyVpcAttribute", op=op, VpcId=id, **told)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteVpc", op=op, VpcId=known.id)


class Subnet(Ec2Resource):
    """A part of a network, in one zone.

    Example::

        resource:
          near: { type: aws.subnet, vpc_id: "${resource.net.id}", cidr_block: 10.0.1.0/24 }
    """

    type: ClassVar[str] = "aws.subnet"
    noun: ClassVar[str] = "subnet"
    describing: ClassVar[tuple[str, str, str]] = ("DescribeSubnets", "Subnets", "SubnetId")
    narrowing: ClassVar[str] = "subnet-id"
    word: ClassVar[str] = "subnet"

    vpc_id: Annotated[str, REPLACE]
    """The network."""
    cidr_block: Annotated[str, REPLACE] = Field(pattern=r"^\d+\.\d+\.\d+\.\d+/\d+$")
    """Its addresses."""
    availability_zone: Annotated[str | None, REPLACE] = None
    """The zone; AWS chooses one if not given."""
    map_public_ip_on_launch: bool = False
    """Whether machines in it get public addresses."""

    @classmethod
    def told_of(cls, client: AwsClient, known: Known, told: Mapping[str, Any]) -> Fields:
        return {
            "vpc_id": told["VpcId"],
            "cidr_block": told["CidrBlock"],
            "availability_zone": told.get("AvailabilityZone"),
            "map_public_ip_on_launch": told.get("MapPublicIpOnLaunch", False),
        }

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {"AvailabilityZone": self.availability_zone} if self.availability_zone else {}
        made = str(
            client.call(
                "ec2",
                "CreateSubnet",
                op=op,
                once=True,
                VpcId=self.vpc_id,
                CidrBlock=self.cidr_block,
                TagSpecifications=self.tagged(op),
                **more,
            )["Subnet"]["SubnetId"]
        )
        if self.map_public_ip_on_launch:
            self._public(client, made, op)
        return Created(made)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._public(client, known.id, op)
        return None

    def _public(self, client: AwsClient, id: str, op: Operation) -> None:
        told = {"Value": self.map_public_ip_on_launch}
        self.call(client, "ModifySubnetAttribute", op=op, SubnetId=id, MapPublicIpOnLaunch=told)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteSubnet", op=op, SubnetId=known.id)


def _partition(client: AwsClient) -> str:
    region = client.region
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
