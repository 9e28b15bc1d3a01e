"""`aws.sagemaker_domain`: SageMaker Studio for a team. Its id is made by AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE, UNORDERED, VOLATILE, WRITE_ONLY
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.regular import Answering
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import Name, RoleArn, SageMakerResource
from mlinfra_aws.shapes import to_api
from mlinfra_aws.tags import ours, pairs
from mlinfra_aws.waits import until

TIMEOUT: Final = 30 * 60.0
"""Seconds for a domain to come, to change or to go."""


class UserSettings(Part):
    """What users have if nothing is said of them."""

    execution_role: RoleArn
    security_groups: list[str] = Field([], max_length=5)
    default_landing_uri: str | None = None
    studio_web_portal: Literal["ENABLED", "DISABLED"] | None = None


class SpaceSettings(Part):
    """What shared spaces have if nothing is said of them."""

    execution_role: RoleArn
    security_groups: list[str] = Field([], max_length=5)


class Retention(Part):
    """Whether the users' files outlive the domain."""

    home_efs_file_system: Literal["Retain", "Delete"] = "Retain"


class Domain(SageMakerResource, Answering):
    """A domain.

    Example::

        resource:
          studio:
            type: aws.sagemaker_domain
            domain_name: fraud
            auth_mode: IAM
            vpc_id: ${resource.net.id}
            subnet_ids: ["${resource.near.id}"]
            default_user_settings: { execution_role: "${resource.scientist.arn}" }
    """

    type: ClassVar[str] = "aws.sagemaker_domain"
    noun: ClassVar[str] = "domain"
    holds_data: ClassVar[bool] = True
    service: ClassVar[str] = "sagemaker"
    gone_if: ClassVar[tuple[Rule, ...]] = (Rule("ResourceNotFound"),)
    api: ClassVar[str] = "Domain"
    words: ClassVar[Mapping[str, str]] = {"domain_id": "DomainId"}

    domain_name: Annotated[Name, REPLACE]
    """Its name."""
    auth_mode: Annotated[Literal["IAM", "SSO"], REPLACE] = "IAM"
    """How users come in."""
    vpc_id: Annotated[str, REPLACE]
    """The network that it is in."""
    subnet_ids: Annotated[list[str], UNORDERED] = Field(min_length=1, max_length=16)
    """Its subnets there."""
    app_network_access_type: Literal["PublicInternetOnly", "VpcOnly"] = "PublicInternetOnly"
    """Whether its programs reach the internet past the network."""
    kms_key_id: Annotated[str | None, REPLACE] = None
    """The key that encrypts the users' files."""
    default_user_settings: UserSettings
    """What users have if nothing is said of them."""
    default_space_settings: SpaceSettings | None = None
    """What shared spaces have if nothing is said of them."""
    tag_propagation: Literal["ENABLED", "DISABLED"] = "DISABLED"
    """Whether its tags are those of what users start, too."""
    retention_policy: Annotated[Retention | None, WRITE_ONLY] = None
    """Whether the users' files outlive it; they do if not given."""
    domain_id: Annotated[str | None, COMPUTED] = None
    """Its id."""
    url: Annotated[str | None, VOLATILE] = None
    """Where it answers."""

    def object_id(self) -> str:
        raise AssertionError("ids are made by AWS")

    # -- finding --------------------------------------------------------------------------------------------------------

    @classmethod
    def described(cls, client: AwsClient, known: Known) -> Fields | None:
        answer = cls.found(client, "DescribeDomain", DomainId=known.id)
        if answer is None or answer["Status"] == "Deleting":
            return None
        live = cls.told(client, answer) or {}
        # No call tells it, and the delete needs it.
        return {"tag_propagation": "DISABLED", **live, "retention_policy": known.fields.get("retention_policy")}

    def _found(self, client: AwsClient) -> str | None:
        """The id of the domain with this name."""
        for one in client.pages("sagemaker", "ListDomains", "Domains"):
            if one["DomainName"] == self.domain_name and one["Status"] != "Deleting":
                return str(one["DomainId"])
        return None

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        found = self._found(client)
        if found is None:
            return None
        live = self._live(client, found, op)
        return found if live is not None and ours(self.all_tags(client, found, live), op.owner) else None

    def create(self, client: AwsClient, op: Operation) -> Created:
        """Names of domains need not be told apart by AWS: one of this name is looked for first, and after a lost reply."""
        for left in (2, 1, 0):
            found = self._found(client)
            live = self._live(client, found, op) if found is not None else None
            if found is not None and live is not None:
                return self._taken(client, found, live, op)
            try:
                return self.make(client, op)
            except AwsError as error:
                if not error.lost or not left:
                    raise
        raise AssertionError("the last try returns or raises")

    # -- changing -------------------------------------------------------------------------------------------------------

    def make(self, client: AwsClient, op: Operation) -> Created:
        params = self.asked(client, "CreateDomain")
        tags = pairs(self.owned(op))
        told = client.call("sagemaker", "CreateDomain", op=op, once=True, **params, Tags=tags)
        return Created(str(told["DomainArn"]).rpartition("/")[2])

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if changed <= {"retention_policy"}:
            return None
        shape = client.shape("sagemaker", "UpdateDomain")
        params: dict[str, Any] = {}
        for field in changed:
            member = self.member(field, shape)
            if member is not None and self.fields().get(field) is not None:
                params[member] = to_api(shape.members[member], self.fields()[field])
        self.call(client, "UpdateDomain", op=op, DomainId=known.id, **params)
        return None

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls._until(client, known.id, op, "InService")

    @classmethod
    def _until(cls, client: AwsClient, id: str, op: Operation, wanted: str) -> None:
        def look() -> tuple[str, str]:
            answer = cls.found(client, "DescribeDomain", DomainId=id)
            return ("gone" if answer is None else str(answer["Status"])), str((answer or {}).get("FailureReason", ""))

        working = ("Deleting",) if wanted == "gone" else ("Pending", "Updating")
        until(client, op, f"the domain {id}", look, ready=(wanted,), working=working, timeout=TIMEOUT, every=10.0)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        policy = known.fields.get("retention_policy") or {}
        told = {"HomeEfsFileSystem": policy.get("home_efs_file_system", "Retain")}
        if cls.found(client, "DeleteDomain", op=op, DomainId=known.id, RetentionPolicy=told) is not None:
            cls._until(client, known.id, op, "gone")

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        policy = known.fields.get("retention_policy") or {}
        return "the files of its users" if policy.get("home_efs_file_system") == "Delete" else None
