"""Tags: which ones are allowed, ownership tags beside the user's own, and the tag calls of each service as data.

Ownership tags (``mlinfra:…``) say which blueprint, environment and address an object belongs to. They are written with the
object and never shown as fields of it.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import AfterValidator

from mlinfra.sdk.resource import FieldChange
from mlinfra_aws.errors import AwsError

if TYPE_CHECKING:
    from mlinfra_aws.client import AwsClient

OURS: Final = "mlinfra:"
OWNERSHIP: Final = 3
"""How many of an object's tags say whose it is."""
MOST: Final = 50
"""How many tags AWS allows."""
_TEXT: Final = re.compile(r"^[\w\s.:/=+\-@]*$")


def checked(tags: dict[str, str]) -> dict[str, str]:
    """The tags, if AWS takes them.

    Errors: ValueError with the first that it would refuse. The rules: docs.aws.amazon.com, "Tag naming limits and requirements".
    """
    if len(tags) > MOST - OWNERSHIP:
        raise ValueError(f"{len(tags)} tags are too many: AWS allows {MOST}, and {OWNERSHIP} of them say whose it is")
    for key, value in tags.items():
        if key.lower().startswith(("aws:", OURS)):
            raise ValueError(f'the tag "{key}" begins with a reserved word')
        if not 1 <= len(key) <= 128:
            raise ValueError(f'the key of the tag "{key[:40]}" must have 1 to 128 characters')
        if len(value) > 256:
            raise ValueError(f'the value of the tag "{key}" has {len(value)} characters; 256 are allowed')
        if not _TEXT.match(key) or not _TEXT.match(value):
            raise ValueError(f'the tag "{key}" may have letters, digits, spaces and . : / = + - @ _ only')
    return tags


Tags = Annotated[dict[str, str], AfterValidator(checked)]


def own(tags: Mapping[str, str], owner: Mapping[str, str]) -> dict[str, str]:
    """What is written on an object: the user's tags and the ownership tags."""
    return {**tags, **owner}


def shown(tags: Mapping[str, str]) -> dict[str, str]:
    """Without those of mlinfra and of AWS: what the field ``tags`` of an object is."""
    return {key: value for key, value in tags.items() if not key.startswith((OURS, "aws:"))}


def ours(tags: Mapping[str, str], owner: Mapping[str, str]) -> bool:
    """Whether an object with these tags belongs to ``owner``."""
    return all(tags.get(key) == value for key, value in owner.items())


def pairs(tags: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as most calls take them."""
    return [{key: name, value: text} for name, text in tags.items()]


def unpaired(tags: Iterable[Mapping[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Tags as most calls give them."""
    return {tag[key]: tag.get(value, "") for tag in tags}


@dataclass(frozen=True, slots=True)
class TagCalls:
    """The tag calls of a service: names of operations and of their parameters. ``key`` and ``value`` are the words of a pair;
    empty where tags are a map."""

    service: str
    read: str
    add: str
    remove: str
    id: str
    tags: str = "Tags"
    keys: str = "TagKeys"
    key: str = "Key"
    value: str = "Value"

    def of(self, client: AwsClient, id: str) -> dict[str, str]:
        """All tags of an object, ownership included."""
        params: dict[str, Any] = {self.id: id}
        answer = client.call(self.service, self.read, **params)
        found = answer.get(self.tags) or []
        return dict(found) if isinstance(found, Mapping) else unpaired(found, self.key, self.value)

    def change(self, client: AwsClient, id: str, set: Mapping[str, str], remove: Iterable[str]) -> None:
        """Set some tags, remove others."""
        gone = [key for key in remove if key not in set]
        params: dict[str, Any] = {self.id: id}
        if gone:
            client.call(self.service, self.remove, **{**params, self.keys: gone})
        if set:
            client.call(self.service, self.add, **{**params, self.tags: self.written(set)})

    def written(self, tags: Mapping[str, str]) -> Any:
        """Tags as this service's calls take them."""
        return pairs(tags, self.key, self.value) if self.key else dict(tags)


SAGEMAKER: Final = TagCalls("sagemaker", "ListTags", "AddTags", "DeleteTags", "ResourceArn")
IAM_ROLE: Final = TagCalls("iam", "ListRoleTags", "TagRole", "UntagRole", "RoleName")
KMS: Final = TagCalls(
    "kms", "ListResourceTags", "TagResource", "UntagResource", "KeyId", key="TagKey", value="TagValue"
)
ECR: Final = TagCalls("ecr", "ListTagsForResource", "TagResource", "UntagResource", "resourceArn", "tags", "tagKeys")
LOGS: Final = TagCalls(
    "logs", "ListTagsForResource", "TagResource", "UntagResource", "resourceArn", "tags", "tagKeys", key=""
)
SECRETS: Final = TagCalls("secretsmanager", "DescribeSecret", "TagResource", "UntagResource", "SecretId")


def set_and_removed(tags: Mapping[str, str], changes: Sequence[FieldChange]) -> tuple[dict[str, str], list[str]]:
    """Which tags an update must write and which it must take away, of the changes of the field ``tags``."""
    put: dict[str, str] = {}
    gone: list[str] = []
    for change in changes:
        if change.path == "tags":
            put.update(tags)
            gone += [key for key in change.old or {} if key not in {**tags, **(change.new or {})}]
        elif change.path.startswith("tags."):
            key = change.path.removeprefix("tags.")
            if key in tags:
                put[key] = tags[key]
            else:
                gone.append(key)
    return put, gone


@dataclass(slots=True)
class TagIndex:
    """The tags of all objects of this blueprint and environment, read in pages of 100 by the tagging API.

    Its index lags behind, so it serves to see in bulk that nothing changed; what looks changed is asked of the object itself.
    """

    client: AwsClient
    owner: Mapping[str, str]
    _tags: Mapping[str, Mapping[str, str]] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def tags(self, arn: str) -> Mapping[str, str] | None:
        """All tags of an object, or None if the index does not have it."""
        with self._lock:
            if self._tags is None:
                self._tags = self._read()
            return self._tags.get(arn)

    def forget(self) -> None:
        """Read again when asked next: something was written."""
        with self._lock:
            self._tags = None

    def _read(self) -> Mapping[str, Mapping[str, str]]:
        filters = [{"Key": key, "Values": [value]} for key, value in self.owner.items()]
        try:
            found = self.client.pages(
                "resourcegroupstaggingapi",
                "GetResources",
                "ResourceTagMappingList",
                TagFilters=filters,
                ResourcesPerPage=100,
            )
            return {item["ResourceARN"]: unpaired(item["Tags"]) for item in found}
        except AwsError:  # not allowed, or broken: each object is asked instead
            return {}
