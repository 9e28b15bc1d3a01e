"""`aws.s3_object`: a small text in a bucket, said in the blueprint itself. Folders of files are `aws.s3_objects`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from mlinfra.sdk.fields import REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.regular import Answering

GONE = (Rule("NoSuchKey"),)


class S3Object(Answering):
    """A text in a bucket. It carries no tags: one that is as this one shall be is taken as its own.

    Example::

        resource:
          motd: { type: aws.s3_object, bucket: "${resource.lake.bucket}", key: motd.txt, content: "Be kind.\\n" }
    """

    type: ClassVar[str] = "aws.s3_object"
    noun: ClassVar[str] = "object"
    service: ClassVar[str] = "s3"
    gone_if: ClassVar[tuple[Rule, ...]] = GONE
    looks_first: ClassVar[bool] = True

    bucket: Annotated[str, REPLACE]
    """The bucket."""
    key: Annotated[str, REPLACE] = Field(min_length=1, max_length=1024)
    """Its name in there."""
    content: str = Field(min_length=1, max_length=1_000_000)
    """The text."""
    content_type: str = "text/plain"
    """Which sort of text it is."""

    def object_id(self) -> str:
        return f"{self.bucket}/{self.key}"

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        try:
            answer = cls.found(client, "GetObject", **_named(known.id))
        except AwsError as error:
            if error.code != "NoSuchBucket":
                raise
            return None
        if answer is None:
            return None
        told: Fields = _fields(known.id)
        told["content"] = answer["Body"].read().decode("utf-8", "replace")
        return {**told, "content_type": answer.get("ContentType")}

    def make(self, client: AwsClient, op: Operation) -> Created:
        self._put(client, op)
        return Created(self.object_id())

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._put(client, op)
        return None

    def _put(self, client: AwsClient, op: Operation) -> None:
        body = self.content.encode()
        self.call(
            client, "PutObject", op=op, Bucket=self.bucket, Key=self.key, Body=body, ContentType=self.content_type
        )

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteObject", op=op, **_named(known.id))


def _fields(id: str) -> dict[str, Any]:
    bucket, _, key = id.partition("/")
    return {"bucket": bucket, "key": key}


def _named(id: str) -> dict[str, Any]:
    bucket, _, key = id.partition("/")
    return {"Bucket": bucket, "Key": key}
