"""`aws.sagemaker_model_alias`: a name (champion) for one version of a registered model.

SageMaker has no aliases. What comes nearest, with nothing but its own means: an alias stands for **the newest approved version
whose metadata have the key ``mlinfra:alias:<name>``**. So whoever approves, rejects or marks a version decides, a rejected
version gives the name back to the one before it, and everybody who asks AWS sees the same. mlinfra moves none; it puts back what
was removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import OWNED, REPLACE, VOLATILE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import AwsResource, missing
from mlinfra_aws.sagemaker.base import Name

KEY: Final = "mlinfra:alias:"
"""How the keys of metadata begin that say which aliases a version is meant for."""


class ModelAlias(AwsResource):
    """A name for a version of a model.

    Example::

        resource:
          champion: { type: aws.sagemaker_model_alias, model_package_group_name: fraud, alias: champion }
    """

    type: ClassVar[str] = "aws.sagemaker_model_alias"
    noun: ClassVar[str] = "alias"
    external: ClassVar[bool] = True

    model_package_group_name: Annotated[Name, REPLACE]
    """The registered model."""
    alias: Annotated[str, REPLACE] = Field(pattern=r"^[A-Za-z0-9_-]{1,63}$")
    """The name."""
    version: Annotated[int | None, OWNED] = None
    """The version that it stands for. Whoever approves versions decides; what refers to it follows."""
    model_package_arn: Annotated[str | None, VOLATILE] = None
    """That version's ARN."""

    def object_id(self) -> str:
        return f"{self.model_package_group_name}@{self.alias}"

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        wanted: dict[str, set[str]] = {}
        for item in known:
            group, _, alias = item.id.rpartition("@")
            wanted.setdefault(group, set()).add(alias)
        held = {group: _held(client, group, aliases) for group, aliases in wanted.items()}
        found: dict[str, Fields | None] = {}
        for item in known:
            group, _, alias = item.id.rpartition("@")
            arn = held[group].get(alias)
            found[item.address] = None
            if arn is not None:
                found[item.address] = {
                    "model_package_group_name": group,
                    "alias": alias,
                    "version": int(arn.rpartition("/")[2]),
                    "model_package_arn": arn,
                }
        return found

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        return None if self._live(client, self.object_id(), op) is None else self.object_id()

    def create(self, client: AwsClient, op: Operation) -> Created:
        """Mark the version again that it stood for. One that somebody has marked meanwhile is left alone."""
        if self._live(client, self.object_id(), op) is not None:
            return Created(self.object_id())
        noun = f"{self.alias} of {self.model_package_group_name}"
        if self.version is None:
            raise ProviderError(
                f"no version is known that {noun} should stand for",
                remedy="Run the training that produces it, or approve and mark a version yourself.",
            )
        version = next(
            (
                one
                for one in _approved(client, self.model_package_group_name)
                if one["ModelPackageVersion"] == self.version
            ),
            None,
        )
        if version is None:
            raise ProviderError(
                f"{noun} stood for version {self.version}, which is gone or not approved any more",
                remedy="Approve it again, run the training that produces another one, or approve and mark one yourself: "
                f"aws sagemaker update-model-package --model-approval-status Approved --customer-metadata-properties "
                f"{KEY}{self.alias}=true --model-package-arn ARN",
            )
        client.call(
            "sagemaker",
            "UpdateModelPackage",
            op=op,
            ModelPackageArn=version["ModelPackageArn"],
            CustomerMetadataProperties={f"{KEY}{self.alias}": "true"},
        )
        return Created(self.object_id())

    def update(self, client: AwsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        """There is nothing to change."""
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Take the mark away from every version that has it."""
        group, _, alias = known.id.rpartition("@")
        for version in _approved(client, group):
            if f"{KEY}{alias}" in _metadata(client, version["ModelPackageArn"]):
                client.call(
                    "sagemaker",
                    "UpdateModelPackage",
                    op=op,
                    ModelPackageArn=version["ModelPackageArn"],
                    CustomerMetadataPropertiesToRemove=[f"{KEY}{alias}"],
                )

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        for change in changes:
            if change.path == "version" and change.old is None and change.new is not None:
                return f"removed outside mlinfra → version {change.new}"
        return None


def _held(client: AwsClient, group: str, aliases: set[str]) -> dict[str, str]:
    """Alias → the ARN of its version. Versions are looked at from the newest on, until each alias is found."""
    found: dict[str, str] = {}
    for version in _approved(client, group):
        marks = _metadata(client, version["ModelPackageArn"])
        for alias in aliases - found.keys():
            if f"{KEY}{alias}" in marks:
                found[alias] = version["ModelPackageArn"]
        if found.keys() == aliases:
            break
    return found


def _approved(client: AwsClient, group: str) -> Iterator[Any]:
    """The approved versions of a model, the newest first; none if there is no such model."""
    try:
        yield from client.pages(
            "sagemaker",
            "ListModelPackages",
            "ModelPackageSummaryList",
            ModelPackageGroupName=group,
            ModelApprovalStatus="Approved",
            SortBy="CreationTime",
            SortOrder="Descending",
        )
    except AwsError as error:
        missing(error)


def _metadata(client: AwsClient, arn: str) -> Mapping[str, str]:
    try:
        answer = client.call("sagemaker", "DescribeModelPackage", ModelPackageName=arn)
    except AwsError as error:
        missing(error)
        return {}
    found: Mapping[str, str] = answer.get("CustomerMetadataProperties") or {}
    return found
