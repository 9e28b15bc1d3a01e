"""`aws.s3_objects`: the files of a folder of the blueprint, put into a bucket. Other objects there are left alone."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, WRITE_ONLY
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import AwsResource, missing

LARGEST = 5 * 1000**3
"""Bytes that one put takes."""


class S3Objects(AwsResource):
    """Files of the blueprint in a bucket.

    A file that changes is put again; one that left the folder is removed from the bucket, if it is still as it was put.

    Example::

        resource:
          seed: { type: aws.s3_objects, bucket: "${resource.lake.bucket}", prefix: data/, source: ./data }
    """

    type: ClassVar[str] = "aws.s3_objects"
    noun: ClassVar[str] = "files"
    looks_outside: ClassVar[bool] = True

    bucket: Annotated[str, REPLACE]
    """The bucket."""
    prefix: Annotated[str, REPLACE] = Field("", max_length=512)
    """How keys begin, before the file's path: ``data/``."""
    source: Annotated[str, WRITE_ONLY]
    """The folder, relative to the blueprint's."""
    files: dict[str, str] = {}
    """The files with their digests. Follows from ``source``; not to be set."""
    etags: Annotated[dict[str, str], COMPUTED] = {}
    """What S3 called each file's content when it was put: by that it is known again."""

    def object_id(self) -> str:
        return f"{self.bucket}/{self.prefix}"

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        root = Path(place.root).resolve()
        folder = (root / fields["source"]).resolve()
        if not folder.is_relative_to(root):
            raise ProviderError(f"{fields['source']} lies outside of the blueprint's folder", remedy="Move it there.")
        if not folder.is_dir():
            raise ProviderError(
                f"the folder {fields['source']}, which shall be put into the bucket, is not there",
                remedy=f"Create {folder}, or correct the path.",
            )
        files = {str(path.relative_to(folder)): digest(path) for path in walk(folder)}
        return {**fields, "source": str(folder), "files": files}

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        bucket, _, prefix = known.id.partition("/")
        etags: Mapping[str, str] = known.fields.get("etags") or {}
        digests: Mapping[str, str] = known.fields.get("files") or {}
        try:
            there = {
                one["Key"].removeprefix(prefix): one["ETag"].strip('"')
                for one in client.pages("s3", "ListObjectsV2", "Contents", Bucket=bucket, Prefix=prefix)
            }
        except AwsError as error:
            missing(error)
            return None
        files = {
            name: (digests.get(name, "") if etag == there[name] else f"changed: {there[name]}")
            for name, etag in etags.items()
            if name in there
        }
        if etags and not files:
            return None
        return {"bucket": bucket, "prefix": prefix, "files": files, "etags": dict(etags)}

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        # To put the files again costs little and harms nothing: a create that was cut off is done anew.
        return None

    def make(self, client: AwsClient, op: Operation) -> Created:
        etags = self._put(client, self.files, op)
        return Created(self.object_id(), self.fields(etags=etags))

    def update(self, client: AwsClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        told: Mapping[str, str] = known.fields.get("files") or {}
        before: Mapping[str, str] = known.fields.get("etags") or {}
        put = {name: wanted for name, wanted in self.files.items() if told.get(name) != wanted}
        etags = {**before, **self._put(client, put, op)}
        gone = [name for name in before if name not in self.files]
        # What somebody changed since is not ours to remove.
        self._remove(
            client, known.id, [name for name in gone if not str(told.get(name, "")).startswith("changed: ")], op
        )
        return self.fields(etags={name: etag for name, etag in etags.items() if name in self.files})

    def _put(self, client: AwsClient, files: Mapping[str, str], op: Operation) -> dict[str, str]:
        def one(name: str) -> tuple[str, str]:
            path = Path(self.source) / name
            size = path.stat().st_size
            if size > LARGEST:
                raise ProviderError(
                    f"{path} has {size / 1000**3:.1f} GB; 5 GB can be put", remedy="Put it into the bucket yourself."
                )
            with path.open("rb") as stream:
                checked = base64.b64encode(hashlib.file_digest(stream, "md5").digest()).decode()
                stream.seek(0)
                answer = client.call(
                    "s3",
                    "PutObject",
                    op=op,
                    Bucket=self.bucket,
                    Key=f"{self.prefix}{name}",
                    Body=stream,
                    ContentMD5=checked,
                )
            return name, str(answer["ETag"]).strip('"')

        if not files:
            return {}
        op.say(f"putting {len(files)} file{'' if len(files) == 1 else 's'}")
        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(pool.map(one, files))

    @classmethod
    def _remove(cls, client: AwsClient, id: str, names: Sequence[str], op: Operation) -> None:
        bucket, _, prefix = id.partition("/")
        for start in range(0, len(names), 1000):
            keys = [{"Key": f"{prefix}{name}"} for name in names[start : start + 1000]]
            client.call("s3", "DeleteObjects", op=op, Bucket=bucket, Delete={"Objects": keys, "Quiet": True})

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Remove what is still as it was put."""
        live = cls._one(client, known)
        if live is not None:
            kept = [name for name, told in live["files"].items() if not told.startswith("changed: ")]
            cls._remove(client, known.id, kept, op)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        names = [change.path.removeprefix("files.") for change in changes if change.path.startswith("files.")]
        if len(names) < len(changes) or not names:
            return None
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"files: {', '.join(names[:3])}{more}"


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, in a fixed order. Linked folders are not entered."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(where) / name for name in sorted(names))


def digest(path: Path) -> str:
    """A short digest of a file's bytes.

    Errors: ProviderError if it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ProviderError(f"{path} cannot be read: {error.strerror}", remedy="Mend that, or remove it.") from error
