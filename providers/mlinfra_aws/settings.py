"""What an environment of this provider may say: where, as whom, and what every object is tagged with."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mlinfra_aws.tags import Tags

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[a-z]+)+-\d$")]
Account = Annotated[str, StringConstraints(pattern=r"^\d{12}$")]


class AssumeRole(BaseModel):
    """A role that is taken on for all calls, with credentials that are renewed as they expire."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role_arn: str = Field(pattern=r"^arn:aws[a-z-]*:iam::\d{12}:role/.+$", description="The role's ARN.")
    external_id: str | None = Field(None, description="What the role's trust policy asks for, if it does.")
    session_name: str = Field("mlinfra", pattern=r"^[\w+=,.@-]{2,64}$", description="What the audit trail calls it.")


class Images(BaseModel):
    """The images that components run. Without one: a tag of that name in the repository of the component's registry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    training: str | None = Field(None, pattern=r"^\S+$", description="Of trainings: any with Python 3 and pip.")
    serving: str | None = Field(
        None,
        pattern=r"^\S+$",
        description="Of endpoints: one that serves MLflow models as SageMaker asks (/ping, /invocations).",
    )


class AwsSettings(BaseModel):
    """An AWS environment::

        staging: { provider: aws, region: eu-west-1, account: "111111111111" }

    Credentials are found as every AWS tool finds them (environment, profile, SSO, web identity, instance role), and never stored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: Region = Field(description="The region: eu-west-1.")
    account: Account | None = Field(
        None,
        description='The account, in quotes: "111111111111". Credentials of another one are refused before anything is read or '
        "written, and names that must be unique in the world carry it.",
    )
    profile: str | None = Field(None, description="A profile of ~/.aws/config. Default: AWS_PROFILE, or none.")
    assume_role: AssumeRole | None = Field(None, description="A role to take on first.")
    endpoint_url: str | None = Field(
        None, pattern=r"^https?://", description="Another endpoint for all services. Default: AWS_ENDPOINT_URL, or AWS."
    )
    images: Images = Field(
        Images(training=None, serving=None), description="Images in the place of those in the registry's repository."
    )
    tags: Tags = Field({}, description="Tags for every object, besides its own ones.")
