"""`aws.sagemaker_model`: containers and the model data in them, ready to be put behind an endpoint. It never changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, UNORDERED
from mlinfra.sdk.resource import Fields
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import Name, RoleArn, SageMakerResource


class RepositoryAuth(Part):
    """How a private registry is entered."""

    repository_credentials_provider_arn: str


class ImageConfig(Part):
    """Where the image's registry is."""

    repository_access_mode: Literal["Platform", "Vpc"]
    repository_auth_config: RepositoryAuth | None = None


class ModelAccess(Part):
    """Terms that a model's provider asks to accept."""

    accept_eula: bool


class S3DataSource(Part):
    """Model data as objects, packed or not."""

    s3_uri: str = Field(pattern=r"^(https|s3)://[^/]+/?.*$", max_length=1024)
    s3_data_type: Literal["S3Prefix", "S3Object"]
    compression_type: Literal["None", "Gzip"]
    model_access_config: ModelAccess | None = None


class ModelDataSource(Part):
    """Where the model data is, if it is not one packed file."""

    s3_data_source: S3DataSource


class MultiModel(Part):
    """Whether models that were used stay in memory."""

    model_cache_setting: Literal["Enabled", "Disabled"] | None = None


class Container(Part):
    """An image, the model data and the environment it runs with."""

    image: str | None = Field(None, max_length=255, pattern=r"^\S+$")
    mode: Literal["SingleModel", "MultiModel"] | None = None
    model_data_url: str | None = Field(None, pattern=r"^(https|s3)://[^/]+/?.*$", max_length=1024)
    model_data_source: ModelDataSource | None = None
    model_package_name: str | None = None
    environment: dict[str, str] = Field({}, max_length=100)
    container_hostname: str | None = Field(None, max_length=63)
    image_config: ImageConfig | None = None
    inference_specification_name: str | None = None
    multi_model_config: MultiModel | None = None


class InferenceExecution(Part):
    """Whether containers run one after another or are called each by itself."""

    mode: Literal["Serial", "Direct"]


class VpcConfig(Part):
    """The network that containers are in."""

    security_group_ids: Annotated[list[str], UNORDERED] = Field(min_length=1, max_length=5)
    subnets: Annotated[list[str], UNORDERED] = Field(min_length=1, max_length=16)


class Model(SageMakerResource):
    """A model.

    Example::

        resource:
          fraud:
            type: aws.sagemaker_model
            name: fraud-7
            execution_role_arn: ${resource.server.arn}
            primary_container: { image: "111111111111.dkr.ecr.eu-west-1.amazonaws.com/fraud:7",
                                 model_data_url: "s3://acme-models/fraud/7/model.tar.gz" }
    """

    type: ClassVar[str] = "aws.sagemaker_model"
    noun: ClassVar[str] = "SageMaker model"
    api: ClassVar[str] = "Model"
    words: ClassVar[Mapping[str, str]] = {"name": "ModelName", "container": "Containers"}
    listing: ClassVar[tuple[str, str] | None] = ("ListModels", "Models")

    name: Annotated[Name, REPLACE]
    """Its name."""
    execution_role_arn: Annotated[RoleArn, REPLACE]
    """The role that fetches image and data, and that containers have."""
    primary_container: Annotated[Container | None, REPLACE] = None
    """Its container."""
    container: Annotated[list[Container], REPLACE] = Field([], max_length=15)
    """Its containers, if there are several."""
    inference_execution_config: Annotated[InferenceExecution | None, REPLACE] = None
    """How several containers are called."""
    vpc_config: Annotated[VpcConfig | None, REPLACE] = None
    """The network that it is in."""
    enable_network_isolation: Annotated[bool, REPLACE] = False
    """Whether containers can call nobody."""
    creation_time: Annotated[str | None, COMPUTED] = None
    """When it was made."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if bool(fields["primary_container"]) == bool(fields["container"]):
            raise ProviderError(
                f"the model {fields['name']} needs a container",
                remedy='Give one of "primary_container" and "container".',
            )
        found = super().normalise(fields, place)
        if found.get("primary_container"):
            # AWS says so of one that says nothing.
            found["primary_container"] = {"mode": "SingleModel", **found["primary_container"]}
        found["container"] = [{"mode": "SingleModel", **one} for one in found["container"] or []]
        return found

    @classmethod
    def told(cls, client: Any, answer: Mapping[str, Any]) -> Fields | None:
        live = super().told(client, answer)
        assert live is not None
        if live.get("primary_container"):
            live["primary_container"] = {"mode": "SingleModel", **live["primary_container"]}
        live["container"] = [{"mode": "SingleModel", **one} for one in live.get("container", [])]
        live.setdefault("enable_network_isolation", False)
        return live
