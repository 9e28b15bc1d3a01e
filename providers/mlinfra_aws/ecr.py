"""`aws.ecr_repository`: a place for images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document, Policy, policy, read, text
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, Tagged, missing
from mlinfra_aws.shapes import compact
from mlinfra_aws.tags import ECR, TagCalls, pairs


class Scanning(Part):
    """Whether images are looked at for known flaws."""

    scan_on_push: bool = False


class Encryption(Part):
    """How images are encrypted."""

    encryption_type: Literal["AES256", "KMS", "KMS_DSSE"] = "AES256"
    kms_key: str | None = None


class EcrRepository(Tagged):
    """A repository of images.

    Example::

        resource:
          images:
            type: aws.ecr_repository
            name: fraud
            image_scanning_configuration: { scan_on_push: true }
            lifecycle_policy:
              rules: [{ rulePriority: 1, action: { type: expire },
                        selection: { tagStatus: untagged, countType: imageCountMoreThan, countNumber: 20 } }]
    """

    type: ClassVar[str] = "aws.ecr_repository"
    noun: ClassVar[str] = "image repository"
    holds_data: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = ECR

    name: Annotated[str, REPLACE] = Field(
        pattern=r"^(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*$", min_length=2, max_length=256
    )
    """Its name."""
    image_tag_mutability: Literal["MUTABLE", "IMMUTABLE"] = "MUTABLE"
    """Whether a tag can be given to another image."""
    image_scanning_configuration: Scanning = Scanning()
    """Whether images are looked at for known flaws."""
    encryption_configuration: Annotated[Encryption, REPLACE] = Encryption()
    """How images are encrypted."""
    lifecycle_policy: Document | None = None
    """Which images go by themselves."""
    policy: Policy | None = None
    """Who else may use it."""
    repository_url: Annotated[str | None, COMPUTED] = None
    """What images are pushed to."""

    def object_id(self) -> str:
        return self.name

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found = _described(client, [item.id for item in known])
        for item in known:
            live = found.get(item.id)
            if live is None:
                continue
            if item.fields.get("lifecycle_policy"):
                live["lifecycle_policy"] = read(
                    _told(client, "GetLifecyclePolicy", "lifecyclePolicyText", "LifecyclePolicyNotFoundException", item)
                )
            if item.fields.get("policy"):
                live["policy"] = policy(
                    _told(client, "GetRepositoryPolicy", "policyText", "RepositoryPolicyNotFoundException", item)
                )
        return {item.address: found.get(item.id) for item in known}

    def make(self, client: AwsClient, op: Operation) -> Created:
        encryption = self.encryption_configuration
        told = client.call(
            "ecr",
            "CreateRepository",
            op=op,
            repositoryName=self.name,
            imageTagMutability=self.image_tag_mutability,
            imageScanningConfiguration={"scanOnPush": self.image_scanning_configuration.scan_on_push},
            encryptionConfiguration=compact(
                {"encryptionType": encryption.encryption_type, "kmsKey": encryption.kms_key}
            ),
            tags=pairs(self.owned(op)),
        )["repository"]
        self._policies(client, {name for name in ("lifecycle_policy", "policy") if getattr(self, name)})
        live = self.fields(arn=told["repositoryArn"], repository_url=told["repositoryUri"])
        return Created(self.name, {**live, "encryption_configuration": _encryption(told)})

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        if "image_tag_mutability" in changed:
            client.call(
                "ecr", "PutImageTagMutability", repositoryName=known.id, imageTagMutability=self.image_tag_mutability
            )
        if "image_scanning_configuration" in changed:
            client.call(
                "ecr",
                "PutImageScanningConfiguration",
                repositoryName=known.id,
                imageScanningConfiguration={"scanOnPush": self.image_scanning_configuration.scan_on_push},
            )
        self._policies(client, changed)
        return None

    def _policies(self, client: AwsClient, changed: set[str]) -> None:
        if "lifecycle_policy" in changed:
            if self.lifecycle_policy:
                told = text(self.lifecycle_policy)
                client.call("ecr", "PutLifecyclePolicy", repositoryName=self.name, lifecyclePolicyText=told)
            else:
                client.call("ecr", "DeleteLifecyclePolicy", repositoryName=self.name)
        if "policy" in changed:
            if self.policy:
                client.call("ecr", "SetRepositoryPolicy", repositoryName=self.name, policyText=text(self.policy))
            else:
                client.call("ecr", "DeleteRepositoryPolicy", repositoryName=self.name)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        # That images are lost was agreed to with the plan.
        try:
            client.call("ecr", "DeleteRepository", op=op, repositoryName=known.id, force=True)
        except AwsError as error:
            missing(error)

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        try:
            answer = client.call("ecr", "ListImages", repositoryName=known.id, maxResults=1000)
        except AwsError as error:
            missing(error)
            return None
        count = len({image.get("imageDigest") for image in answer["imageIds"]})
        more = "more than " if answer.get("nextToken") else ""
        return f"{more}{count} image{'' if count == 1 else 's'}" if count else None


def _described(client: AwsClient, names: Sequence[str]) -> dict[str, Fields]:
    """Repositories by name; by 100 names a call, or one page after another if there are more."""
    try:
        if len(names) <= 100:
            found = client.call("ecr", "DescribeRepositories", repositoryNames=list(names))["repositories"]
        else:
            found = list(client.pages("ecr", "DescribeRepositories", "repositories", maxResults=1000))
    except AwsError as error:
        missing(error)
        if len(names) == 1:
            return {}
        # One of them is gone, and the call tells nothing of the others then.
        found = list(client.pages("ecr", "DescribeRepositories", "repositories", maxResults=1000))
    return {one["repositoryName"]: _fields(one) for one in found}


def _fields(one: Mapping[str, Any]) -> Fields:
    return {
        "name": one["repositoryName"],
        "image_tag_mutability": one["imageTagMutability"],
        "image_scanning_configuration": {"scan_on_push": one["imageScanningConfiguration"]["scanOnPush"]},
        "encryption_configuration": _encryption(one),
        "repository_url": one["repositoryUri"],
        "arn": one["repositoryArn"],
    }


def _encryption(one: Mapping[str, Any]) -> dict[str, Any]:
    told = one.get("encryptionConfiguration") or {"encryptionType": "AES256"}
    return compact({"encryption_type": told["encryptionType"], "kms_key": told.get("kmsKey")})  # type: ignore[no-any-return]  # a mapping gives one


def _told(client: AwsClient, operation: str, key: str, none: str, item: Known) -> Any:
    """A document that a repository may not have."""
    try:
        return client.call("ecr", operation, repositoryName=item.id)[key]
    except AwsError as error:
        if error.code == none:
            return None
        raise
