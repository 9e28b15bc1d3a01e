"""`aws.security_group`: what is let into and out of machines of a network. Its rules are compared one source at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, UNORDERED
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.ec2 import Ec2Resource
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.resource import Part


class GroupRule(Part):
    """What is let through. All sources of one rule are the same to AWS as a rule for each."""

    protocol: str
    from_port: int = Field(0, ge=-1, le=65535)
    to_port: int = Field(0, ge=-1, le=65535)
    cidr_blocks: list[str] = []
    ipv6_cidr_blocks: list[str] = []
    prefix_list_ids: list[str] = []
    security_groups: list[str] = []
    self: bool = False
    description: str | None = Field(None, max_length=255)


SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "cidr_blocks": ("IpRanges", "CidrIp"),
    "ipv6_cidr_blocks": ("Ipv6Ranges", "CidrIpv6"),
    "prefix_list_ids": ("PrefixListIds", "PrefixListId"),
    "security_groups": ("UserIdGroupPairs", "GroupId"),
}
"""Fields of a rule → the API's list and its member."""


class SecurityGroup(Ec2Resource):
    """What is let into and out of machines of a network.

    Example::

        resource:
          inside:
            type: aws.security_group
            name: training
            vpc_id: ${resource.net.id}
            ingress: [{ protocol: "-1", self: true }]
    """

    type: ClassVar[str] = "aws.security_group"
    noun: ClassVar[str] = "security group"
    describing: ClassVar[tuple[str, str, str]] = ("DescribeSecurityGroups", "SecurityGroups", "GroupId")
    narrowing: ClassVar[str] = "group-id"
    word: ClassVar[str] = "security-group"
    exists_if: ClassVar[tuple[Rule, ...]] = (Rule("InvalidGroup.Duplicate"),)

    name: Annotated[str, REPLACE] = Field(min_length=1, max_length=255)
    """Its name in its network."""
    description: Annotated[str, REPLACE] = Field("Managed by mlinfra", min_length=1, max_length=255)
    """What it is for."""
    vpc_id: Annotated[str, REPLACE]
    """The network."""
    ingress: Annotated[list[GroupRule], UNORDERED] = []
    """What is let in: all of it. What others allowed is left alone as long as none is given."""
    egress: Annotated[list[GroupRule], UNORDERED] = []
    """What is let out: all of it. AWS lets everything out as long as none is given."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        found = super().normalise(fields, place)
        if str(fields["name"]).startswith("sg-"):
            raise ProviderError(
                f"the security group {fields['name']} has a name like an id",
                remedy="Choose one that does not begin with sg-.",
            )
        for name in ("ingress", "egress"):
            found[name] = [one for rule in fields[name] for one in _single(rule)]
        return found

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def told_of(cls, client: AwsClient, known: Known, told: Mapping[str, Any]) -> Fields:
        return {
            "name": told["GroupName"],
            "description": told.get("Description", ""),
            "vpc_id": told.get("VpcId"),
            "ingress": _rules(told.get("IpPermissions", []), known.id) if known.fields.get("ingress") else [],
            "egress": _rules(told.get("IpPermissionsEgress", []), known.id) if known.fields.get("egress") else [],
        }

    # -- changing -------------------------------------------------------------------------------------------------------

    def create(self, client: AwsClient, op: Operation) -> Created:
        try:
            return super().create(client, op)
        except AwsError as error:
            if error.code != "InvalidGroup.Duplicate":
                raise
            where = [{"Name": "group-name", "Values": [self.name]}, {"Name": "vpc-id", "Values": [self.vpc_id]}]
            for one in self.all(client, *where):
                live = self._live(client, one["GroupId"], op)
                if live is not None:
                    return self._taken(client, one["GroupId"], live, op)
            raise

    def make(self, client: AwsClient, op: Operation) -> Created:
        made = str(
            client.call(
                "ec2",
                "CreateSecurityGroup",
                op=op,
                once=True,
                GroupName=self.name,
                Description=self.description,
                VpcId=self.vpc_id,
                TagSpecifications=self.tagged(op),
            )["GroupId"]
        )
        self._sync(client, made, {name for name in ("ingress", "egress") if getattr(self, name)}, op)
        return Created(made)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._sync(client, known.id, changed, op)
        return None

    def _sync(self, client: AwsClient, id: str, which: set[str], op: Operation) -> None:
        """From the rules that it has to those that it shall have. First what is added, unless it stands in its own way."""
        mine = {"Name": "group-id", "Values": [id]}
        told = next(iter(self.all(client, mine)))
        for name, member, verb in (
            ("ingress", "IpPermissions", "Ingress"),
            ("egress", "IpPermissionsEgress", "Egress"),
        ):
            if name not in which:
                continue
            there = _rules(told.get(member, []), id)
            wanted = [_plain(rule) for rule in getattr(self, name)]
            gone = [rule for rule in there if rule not in wanted]
            new = [rule for rule in wanted if rule not in there]
            # A rule of which only the description changes is refused as long as the old one is there.
            first = [rule for rule in gone if any(_same(rule, other) for other in new)]
            for some, action in (
                (first, f"RevokeSecurityGroup{verb}"),
                (new, f"AuthorizeSecurityGroup{verb}"),
                ([rule for rule in gone if rule not in first], f"RevokeSecurityGroup{verb}"),
            ):
                if some:
                    self._change(client, action, id, [_permission(rule, id) for rule in some], op)

    def _change(
        self, client: AwsClient, action: str, id: str, permissions: list[dict[str, Any]], op: Operation
    ) -> None:
        try:
            self.call(client, action, op=op, GroupId=id, IpPermissions=permissions)
        except AwsError as error:
            # The reply to an earlier try of the same call was lost.
            done = ("InvalidPermission.Duplicate", "InvalidPermission.NotFound")
            if not (error.after_lost and error.code in done):
                raise

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteSecurityGroup", op=op, GroupId=known.id)


def _single(rule: Mapping[str, Any]) -> list[Fields]:
    """A rule for each of its sources. One whose sources are not known yet stays whole."""
    protocol = {"all": "-1"}.get(str(rule["protocol"]), rule["protocol"])
    base: Fields = {"protocol": protocol, "from_port": rule.get("from_port", 0), "to_port": rule.get("to_port", 0)}
    base |= {"description": rule["description"]} if rule.get("description") else {}
    found: list[Fields] = []
    for name in SOURCES:
        value = rule.get(name)
        if isinstance(value, list):
            found += [{**base, name: [one]} for one in value]
        elif value:
            found.append({**base, name: value})
    return [*found, {**base, "self": True}] if rule.get("self") else found


def _plain(rule: GroupRule) -> Fields:
    """A rule as a read tells it."""
    found = rule.model_dump(mode="json")
    return {key: value for key, value in found.items() if not (value is None or value is False or value == [])}


def _rules(permissions: Sequence[Mapping[str, Any]], own: str) -> list[Fields]:
    """The API's permissions as rules, one for each source."""
    found: list[Fields] = []
    for one in permissions:
        base: Fields = {
            "protocol": one["IpProtocol"],
            "from_port": one.get("FromPort", 0),
            "to_port": one.get("ToPort", 0),
        }
        for name, (key, member) in SOURCES.items():
            for source in one.get(key, []):
                told = {"description": source["Description"]} if source.get("Description") else {}
                itself = key == "UserIdGroupPairs" and source.get("GroupId") == own
                found.append({**base, **told, **({"self": True} if itself else {name: [source[member]]})})
    return found


def _permission(rule: Mapping[str, Any], own: str) -> dict[str, Any]:
    """A rule as the API takes it."""
    found: dict[str, Any] = {"IpProtocol": rule["protocol"]}
    if rule["protocol"] != "-1":
        found |= {"FromPort": rule.get("from_port", 0), "ToPort": rule.get("to_port", 0)}
    more = {"Description": rule["description"]} if rule.get("description") else {}
    for name, (key, member) in SOURCES.items():
        if rule.get(name):
            found[key] = [{member: source, **more} for source in rule[name]]
    if rule.get("self"):
        found["UserIdGroupPairs"] = [{"GroupId": own, **more}]
    return found


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two rules are the same but for their descriptions."""
    return {**one, "description": None} == {**other, "description": None}
