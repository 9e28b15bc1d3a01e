"""`aws.iam_role`: a role with its inline and attached policies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE, UNORDERED, keyed_by
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Policy, policy, text
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, Tagged, missing
from mlinfra_aws.tags import IAM_ROLE, TagCalls, pairs, shown, unpaired

FEW = 2
"""So many roles are read one by one; more are read in pages of the whole account, which costs less calls then."""


class InlinePolicy(Part):
    """A policy that belongs to the role alone."""

    name: str = Field(pattern=r"^[\w+=,.@-]{1,128}$")
    policy: Policy


class IamRole(Tagged):
    """A role: who may take it on, and what it may do then.

    Example::

        resource:
          trainer:
            type: aws.iam_role
            name: trainer
            assume_role_policy:
              Statement: [{ Effect: Allow, Principal: { Service: sagemaker.amazonaws.com }, Action: "sts:AssumeRole" }]
            inline_policy:
              - name: lake
                policy: { Statement: [{ Effect: Allow, Action: "s3:GetObject", Resource: "arn:aws:s3:::lake/*" }] }
    """

    type: ClassVar[str] = "aws.iam_role"
    noun: ClassVar[str] = "role"
    tag_calls: ClassVar[TagCalls | None] = IAM_ROLE
    tagged_by: ClassVar[str] = "id"

    name: Annotated[str, REPLACE] = Field(pattern=r"^[\w+=,.@-]{1,64}$")
    """Its name."""
    path: Annotated[str, REPLACE] = Field("/", pattern=r"^(/|/[!-~]+/)$", max_length=512)
    """Its path, by which roles are grouped."""
    assume_role_policy: Policy
    """Who may take it on."""
    description: str = Field("", max_length=1000)
    """What it is for."""
    max_session_duration: int = Field(3600, ge=3600, le=43200)
    """How long a session lasts at most, in seconds."""
    permissions_boundary: str | None = None
    """The ARN of the policy that its permissions never exceed."""
    inline_policy: Annotated[list[InlinePolicy], keyed_by("name")] = []
    """Policies of its own."""
    managed_policy_arns: Annotated[list[str], UNORDERED] = []
    """Managed policies that it has."""
    unique_id: Annotated[str | None, COMPUTED] = None
    """The id that tells it from an earlier role of the same name."""

    def object_id(self) -> str:
        return self.name

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        if len(known) <= FEW:
            return {item.address: cls._one(client, item) for item in known}
        wanted = {item.id for item in known}
        found = {
            role["RoleName"]: {
                **_fields(role),
                "inline_policy": [_inline(one["PolicyName"], one["PolicyDocument"]) for one in role["RolePolicyList"]],
                "managed_policy_arns": [one["PolicyArn"] for one in role["AttachedManagedPolicies"]],
                "tags": shown(unpaired(role.get("Tags", []))),
            }
            for role in client.pages(
                "iam", "GetAccountAuthorizationDetails", "RoleDetailList", Filter=["Role"], MaxItems=1000
            )
            if role["RoleName"] in wanted
        }
        # The details leave these two out, the list has them.
        for role in client.pages("iam", "ListRoles", "Roles", MaxItems=1000):
            if role["RoleName"] in found:
                found[role["RoleName"]] |= _plain(role)
        return {item.address: found.get(item.id) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        try:
            role = client.call("iam", "GetRole", RoleName=known.id)["Role"]
            live = {**_fields(role), **_plain(role)}
            live["tags"] = shown(unpaired(role.get("Tags", [])))
            live["inline_policy"] = [
                _inline(name, client.call("iam", "GetRolePolicy", RoleName=known.id, PolicyName=name)["PolicyDocument"])
                for name in client.pages("iam", "ListRolePolicies", "PolicyNames", RoleName=known.id)
            ]
            attached = client.pages("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=known.id)
            live["managed_policy_arns"] = [one["PolicyArn"] for one in attached]
            return live
        except AwsError as error:
            missing(error)
            return None

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {"PermissionsBoundary": self.permissions_boundary} if self.permissions_boundary else {}
        role = client.call(
            "iam",
            "CreateRole",
            op=op,
            RoleName=self.name,
            Path=self.path,
            AssumeRolePolicyDocument=text(self.assume_role_policy),
            Description=self.description,
            MaxSessionDuration=self.max_session_duration,
            Tags=pairs(self.owned(op)),
            **more,
        )["Role"]
        client.made(role["Arn"])
        self._policies(client, {}, [], op)
        return Created(self.name, self.fields(arn=role["Arn"], unique_id=role["RoleId"]))

    def _converged(self, client: AwsClient, known: Known, op: Operation) -> Created:
        # It may be as young as a new one: whose reply was lost, say.
        client.made(str(known.fields["arn"]))
        return super()._converged(client, known, op)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if "assume_role_policy" in changed:
            client.call(
                "iam",
                "UpdateAssumeRolePolicy",
                op=op,
                RoleName=known.id,
                PolicyDocument=text(self.assume_role_policy),
            )
        if changed & {"description", "max_session_duration"}:
            client.call(
                "iam",
                "UpdateRole",
                RoleName=known.id,
                Description=self.description,
                MaxSessionDuration=self.max_session_duration,
            )
        if "permissions_boundary" in changed:
            if self.permissions_boundary:
                client.call(
                    "iam",
                    "PutRolePermissionsBoundary",
                    RoleName=known.id,
                    PermissionsBoundary=self.permissions_boundary,
                )
            else:
                client.call("iam", "DeleteRolePermissionsBoundary", RoleName=known.id)
        if changed & {"inline_policy", "managed_policy_arns"}:
            inline = {one["name"]: one["policy"] for one in known.fields.get("inline_policy", [])}
            self._policies(client, inline, known.fields.get("managed_policy_arns", []), op)
        return None

    def _policies(self, client: AwsClient, inline: Mapping[str, Any], attached: Sequence[str], op: Operation) -> None:
        """From the policies that it has to those that it shall have. First what is added, so that nothing is missing in between."""
        wanted = {one.name: one.policy for one in self.inline_policy}
        for name, document in wanted.items():
            if inline.get(name) != document:
                client.call(
                    "iam", "PutRolePolicy", op=op, RoleName=self.name, PolicyName=name, PolicyDocument=text(document)
                )
        for arn in self.managed_policy_arns:
            if arn not in attached:
                client.call("iam", "AttachRolePolicy", op=op, RoleName=self.name, PolicyArn=arn)
        _dropped(client, self.name, inline.keys() - wanted.keys(), set(attached) - set(self.managed_policy_arns))

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        try:
            names = list(client.pages("iam", "ListRolePolicies", "PolicyNames", RoleName=known.id))
            attached = client.pages("iam", "ListAttachedRolePolicies", "AttachedPolicies", RoleName=known.id)
            _dropped(client, known.id, names, [one["PolicyArn"] for one in attached])
            for profile in client.pages("iam", "ListInstanceProfilesForRole", "InstanceProfiles", RoleName=known.id):
                client.call(
                    "iam",
                    "RemoveRoleFromInstanceProfile",
                    InstanceProfileName=profile["InstanceProfileName"],
                    RoleName=known.id,
                )
            client.call("iam", "DeleteRole", op=op, RoleName=known.id)
        except AwsError as error:
            missing(error)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        if [change.path for change in changes] != ["inline_policy"]:
            return None
        old = {one["name"]: one for one in changes[0].old or []}
        new = {one["name"]: one for one in changes[0].new or []}
        told = [f"+ {name}" for name in new if name not in old]
        told += [f"- {name}" for name in old if name not in new]
        told += [f"~ {name}" for name in new if name in old and new[name] != old[name]]
        return f"inline policies: {', '.join(told)}"


def _dropped(client: AwsClient, role: str, inline: Iterable[str], attached: Iterable[str]) -> None:
    for name in inline:
        try:
            client.call("iam", "DeleteRolePolicy", RoleName=role, PolicyName=name)
        except AwsError as error:
            missing(error)
    for arn in attached:
        try:
            client.call("iam", "DetachRolePolicy", RoleName=role, PolicyArn=arn)
        except AwsError as error:
            missing(error)


def _fields(role: Mapping[str, Any]) -> Fields:
    """What both ways to read a role tell."""
    return {
        "name": role["RoleName"],
        "path": role["Path"],
        "assume_role_policy": policy(role["AssumeRolePolicyDocument"]),
        "permissions_boundary": role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
        "arn": role["Arn"],
        "unique_id": role["RoleId"],
    }


def _plain(role: Mapping[str, Any]) -> Fields:
    return {
        "description": role.get("Description", ""),
        "max_session_duration": role.get("MaxSessionDuration", 3600),
    }


def _inline(name: str, document: Any) -> dict[str, Any]:
    return {"name": name, "policy": policy(document)}
