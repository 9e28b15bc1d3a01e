"""`aws.sagemaker_model_package_group`: the versions of a model, in SageMaker's registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import missing
from mlinfra_aws.sagemaker.base import Name, SageMakerResource


class ModelPackageGroup(SageMakerResource):
    """A model of the registry.

    Example::

        resource:
          fraud: { type: aws.sagemaker_model_package_group, model_package_group_name: fraud }
    """

    type: ClassVar[str] = "aws.sagemaker_model_package_group"
    noun: ClassVar[str] = "registered model"
    holds_data: ClassVar[bool] = True
    api: ClassVar[str] = "ModelPackageGroup"
    words: ClassVar[Mapping[str, str]] = {"model_package_group_name": "ModelPackageGroupName"}
    listing: ClassVar[tuple[str, str] | None] = ("ListModelPackageGroups", "ModelPackageGroupSummaryList")

    model_package_group_name: Annotated[Name, REPLACE]
    """Its name."""
    model_package_group_description: Annotated[str | None, REPLACE] = Field(None, max_length=1024)
    """What it is for."""
    creation_time: Annotated[str | None, COMPUTED] = None
    """When it was made."""

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        return None if answer.get("ModelPackageGroupStatus") == "Deleting" else super().told(client, answer)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """With its versions: that they are lost was agreed to with the plan."""
        try:
            for version in _versions(client, known.id):
                try:
                    client.call("sagemaker", "DeleteModelPackage", op=op, ModelPackageName=version["ModelPackageArn"])
                except AwsError as error:
                    missing(error)
            super().delete(client, known, op)
        except AwsError as error:
            missing(error)

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        try:
            count = len(_versions(client, known.id))
        except AwsError as error:
            missing(error)
            return None
        return f"{count} version{'' if count == 1 else 's'} of the model" if count else None


def _versions(client: AwsClient, group: str) -> list[Any]:
    return list(client.pages("sagemaker", "ListModelPackages", "ModelPackageSummaryList", ModelPackageGroupName=group))
