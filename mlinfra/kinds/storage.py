"""Kind ``storage``: a place for files. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mlinfra.kinds.compute import LocalPath
from mlinfra.kinds.kind import Kind, Open, Part, opaque
from mlinfra.kinds.units import Duration


class LifecycleRule(Part):
    """What happens to files by their age. At least one action."""

    prefix: str = Field("", description='Only files whose path begins like this: "logs/". Default: all files.')
    archive: Duration | None = Field(
        None, description="Age at which a file moves to slower, cheaper storage: 30d. Default: never."
    )
    expire: Duration | None = Field(None, description="Age at which a file is deleted: 90d. Default: never.")
    expire_versions: Duration | None = Field(
        None, description="Age at which an older version of a file is deleted, where versions are kept. Default: never."
    )

    @model_validator(mode="after")
    def _acts(self) -> Self:
        if self.archive is None and self.expire is None and self.expire_versions is None:
            raise ValueError('a rule needs an action: "archive", "expire" or "expire_versions"')
        if isinstance(self.archive, float) and isinstance(self.expire, float) and self.expire <= self.archive:
            raise ValueError('"expire" must be later than "archive", or nothing is ever archived')
        return self


class Storage(Kind):
    """A place for files: data sets, models, reports. A folder, a volume or a bucket.

    Nobody but the blueprint's components and their owner gets at it: it is never public.

    ::

        storage:
          lake:
            versioning: true
            encryption: kms
            lifecycle: [{ prefix: tmp/, expire: 7d }]
            contents: ./data
    """

    kind: ClassVar[str] = "storage"
    outputs: ClassVar[Mapping[str, str]] = {
        "url": "its URL (file:///…, s3://…); a file in it is ${storage.NAME.url}/FILE",
        "path": "its path, where it is a folder of this machine",
    }

    versioning: bool = Field(
        False, description="Whether the earlier versions of a file are kept when it is written anew or deleted."
    )
    encryption: Literal["managed", "kms"] | None = Field(
        None,
        description="How files are encrypted at rest: `managed` with keys of the storage service, `kms` with a key of one's own in "
        "a key service. Default: what the place does by itself.",
    )
    key: str | None = Field(
        None,
        min_length=1,
        description="The key for `encryption: kms`, as the provider names it. Default: a key made for this component.",
    )
    lifecycle: list[Open[LifecycleRule]] = Field(
        [], description="What happens to files by their age. Default: they stay."
    )
    contents: LocalPath | None = Field(
        None,
        description="A folder of the blueprint whose files are put into the storage, and put again when they change: "
        "./data. Other files there are left alone. Default: none.",
    )

    @model_validator(mode="after")
    def _key_is_used(self) -> Self:
        if self.key is not None and self.encryption != "kms" and not opaque(self.encryption):
            raise ValueError('"key" is used with "encryption: kms" only: add that, or remove the key')
        return self
