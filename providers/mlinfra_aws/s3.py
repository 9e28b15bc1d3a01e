"""`aws.s3_bucket`: a bucket with all that belongs to it, as one resource.

S3 has no call that tells all of a bucket: each aspect is one. Only aspects that were declared are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, keyed_by
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Policy
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, Tagged, missing
from mlinfra_aws.s3_aspects import ASPECTS, WRITES, read_aspect
from mlinfra_aws.shapes import compact
from mlinfra_aws.tags import ours, pairs, shown, unpaired

COUNTED = 10_000
"""So many objects are counted before a delete is called one of "more than" them."""


class Versioning(Part):
    """Whether earlier versions of objects are kept."""

    status: Literal["Enabled", "Suspended"] = "Enabled"


class Encryption(Part):
    """How objects are encrypted at rest."""

    sse_algorithm: Literal["AES256", "aws:kms", "aws:kms:dsse"] = "AES256"
    kms_master_key_id: str | None = None
    """The key's id or ARN, with ``aws:kms``."""
    bucket_key_enabled: bool = False
    """Whether one call to the key service serves many objects."""


class PublicAccessBlock(Part):
    """What of the public is kept out whatever policies say."""

    block_public_acls: bool = True
    block_public_policy: bool = True
    ignore_public_acls: bool = True
    restrict_public_buckets: bool = True


class Transition(Part):
    """When objects move to another storage class."""

    days: int = Field(ge=0)
    storage_class: Literal["STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE"]


class Expiration(Part):
    """When objects go."""

    days: int = Field(ge=1)


class OldVersions(Part):
    """When earlier versions go."""

    noncurrent_days: int = Field(ge=1)


class Incomplete(Part):
    """When uploads that were never finished go."""

    days_after_initiation: int = Field(ge=1)


class LifecycleRule(Part):
    """What happens to objects by their age."""

    id: str = Field(min_length=1, max_length=255)
    status: Literal["Enabled", "Disabled"] = "Enabled"
    prefix: str = ""
    """Only objects whose key begins like this."""
    transition: list[Transition] = []
    expiration: Expiration | None = None
    noncurrent_version_expiration: OldVersions | None = None
    abort_incomplete_multipart_upload: Incomplete | None = None


class S3Bucket(Tagged):
    """A bucket.

    Example::

        resource:
          lake:
            type: aws.s3_bucket
            bucket: acme-lake
            versioning: { status: Enabled }
            server_side_encryption: { sse_algorithm: "aws:kms" }
            public_access_block: {}
            lifecycle_rule: [{ id: tmp, prefix: tmp/, expiration: { days: 7 } }]
    """

    type: ClassVar[str] = "aws.s3_bucket"
    noun: ClassVar[str] = "bucket"
    holds_data: ClassVar[bool] = True

    bucket: Annotated[str, REPLACE] = Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")
    """Its name, unique in the world."""
    object_lock_enabled: Annotated[bool, REPLACE] = False
    """Whether objects can be locked against deletion."""
    versioning: Versioning | None = None
    server_side_encryption: Encryption | None = None
    lifecycle_rule: Annotated[list[LifecycleRule], keyed_by("id")] = []
    policy: Policy | None = None
    """Who else may use it."""
    public_access_block: PublicAccessBlock | None = None
    """What of the public is kept out; all of it with ``{}``."""
    object_ownership: Literal["BucketOwnerEnforced", "BucketOwnerPreferred", "ObjectWriter"] | None = None
    """Whose objects are that others put in; ``BucketOwnerEnforced`` also ends access lists."""
    region: Annotated[str | None, COMPUTED] = None
    bucket_regional_domain_name: Annotated[str | None, COMPUTED] = None

    def object_id(self) -> str:
        return self.bucket

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        # A mapping whose values are all defaults must not look like nothing.
        found = super().normalise(fields, place)
        encryption = found.get("server_side_encryption") or {}
        if encryption.get("kms_master_key_id") and encryption["sse_algorithm"] == "AES256":
            raise ProviderError(
                "kms_master_key_id is used with sse_algorithm aws:kms only", remedy="Add that, or remove the key."
            )
        return found

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        if len(known) == 1:
            return {known[0].address: cls._one(client, known[0])}
        with ThreadPoolExecutor(max_workers=16) as pool:
            return dict(
                zip((item.address for item in known), pool.map(lambda k: cls._one(client, k), known), strict=True)
            )

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        live: Fields = {
            "bucket": known.id,
            "arn": _arn(client, known.id),
            "region": client.region,
            "bucket_regional_domain_name": _domain(client, known.id),
        }
        if "object_lock_enabled" in known.fields:
            live["object_lock_enabled"] = False
        declared = [name for name in ASPECTS if known.fields.get(name) not in (None, {}, [], False)]
        try:
            for name in declared:
                live[name] = read_aspect(client, known.id, name)
            if not declared:
                # HeadBucket answers without a body, and so without a word why it refuses.
                live["tags"] = shown(cls.all_tags(client, known.id, live))
        except AwsError as error:
            missing(error)
            return None
        return live

    @classmethod
    def all_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any]) -> dict[str, str]:
        try:
            return unpaired(client.call("s3", "GetBucketTagging", Bucket=id)["TagSet"])
        except AwsError as error:
            if error.code == "NoSuchTagSet":
                return {}
            raise

    @classmethod
    def write_tags(cls, client: AwsClient, id: str, live: Mapping[str, Any], put: Mapping[str, str], gone: Any) -> None:
        # The call takes the whole set.
        tags = {**cls.all_tags(client, id, live), **put}
        for key in gone:
            tags.pop(key, None)
        client.call("s3", "PutBucketTagging", Bucket=id, Tagging={"TagSet": pairs(tags)})

    # -- changing -------------------------------------------------------------------------------------------------------

    def create(self, client: AwsClient, op: Operation) -> Created:
        # In this region alone a create of one's own bucket succeeds without a word.
        if client.region == "us-east-1" and (live := self._live(client, self.bucket, op)) is not None:
            return self._taken(client, self.bucket, live, op)
        try:
            return super().create(client, op)
        except NotOurs as error:
            # The create worked and its answer was lost: then it exists at the next try, and has no tags yet.
            cause = error.__context__
            if not (isinstance(cause, AwsError) and cause.after_lost and self._bare(client)):
                raise
            self.write_tags(client, self.bucket, {}, op.owner, ())
            return super().create(client, op)

    def make(self, client: AwsClient, op: Operation) -> Created:
        more: dict[str, Any] = {}
        if client.region != "us-east-1":
            more["CreateBucketConfiguration"] = {"LocationConstraint": client.region}
        if self.object_lock_enabled:
            more["ObjectLockEnabledForBucket"] = True
        if self.object_ownership:
            more["ObjectOwnership"] = self.object_ownership
        client.call("s3", "CreateBucket", op=op, Bucket=self.bucket, **more)
        # First of all whose it is, so that it is found again if this run ends here.
        client.call("s3", "PutBucketTagging", op=op, Bucket=self.bucket, Tagging={"TagSet": pairs(self.owned(op))})
        self._put(
            client, {name for name in ASPECTS if getattr(self, name)} - {"object_ownership", "object_lock_enabled"}, op
        )
        live = self.fields(
            arn=_arn(client, self.bucket),
            region=client.region,
            bucket_regional_domain_name=_domain(client, self.bucket),
        )
        return Created(self.bucket, live)

    def locate(self, client: AwsClient, op: Operation) -> str | None:
        """Asked after a create that was cut off: a bucket without any tag and without an object is what that left."""
        live = self._live(client, self.bucket, op)
        if live is None:
            return None
        return self.bucket if self.held(client, self.bucket, live, op) or self._bare(client) else None

    def _bare(self, client: AwsClient) -> bool:
        """Whether nothing was done with it since it was made."""
        if self.all_tags(client, self.bucket, {}):
            return False
        found = client.call("s3", "ListObjectVersions", Bucket=self.bucket, MaxKeys=1)
        return not (found.get("Versions") or found.get("DeleteMarkers"))

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        # One that was found bare gets the tags that say whose it is.
        if not ours(cls.all_tags(client, known.id, {}), op.owner):
            cls.write_tags(client, known.id, {}, op.owner, ())

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._put(client, changed, op)
        return None

    def _put(self, client: AwsClient, changed: set[str], op: Operation) -> None:
        # In the order of the table: nobody from outside gets in before the door is shut.
        for name in ASPECTS:
            if name in changed:
                value = compact(self.model_dump(mode="json")[name]) if getattr(self, name) is not None else None
                WRITES[name](client, self.bucket, value, op)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        try:
            _emptied(client, known.id, op)
            client.call("s3", "DeleteBucket", op=op, Bucket=known.id)
        except AwsError as error:
            missing(error)

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        count = size = 0
        try:
            for page in _versions(client, known.id):
                count += len(page.get("Versions") or ())
                size += sum(one.get("Size", 0) for one in page.get("Versions") or ())
                if count >= COUNTED:
                    return f"more than {COUNTED:,} objects, {_size(size)} and more"
        except AwsError as error:
            missing(error)
        return f"{count} object{'' if count == 1 else 's'}, {_size(size)}" if count else None


def _arn(client: AwsClient, bucket: str) -> str:
    partition = (
        "aws-cn" if client.region.startswith("cn-") else "aws-us-gov" if client.region.startswith("us-gov-") else "aws"
    )
    return f"arn:{partition}:s3:::{bucket}"


def _domain(client: AwsClient, bucket: str) -> str:
    return f"{bucket}.s3.{client.region}.amazonaws.com"


def _versions(client: AwsClient, bucket: str) -> Any:
    """Pages of all versions of all objects, delete markers included."""
    params: dict[str, Any] = {}
    while True:
        page = client.call("s3", "ListObjectVersions", Bucket=bucket, **params)
        yield page
        if not page.get("IsTruncated"):
            return
        params = {"KeyMarker": page["NextKeyMarker"]}
        if page.get("NextVersionIdMarker"):
            params["VersionIdMarker"] = page["NextVersionIdMarker"]


def _emptied(client: AwsClient, bucket: str, op: Operation) -> None:
    """Remove every version of every object. That they are lost was agreed to with the plan.

    Errors: ProviderError for what is locked.
    """
    count = 0
    for page in _versions(client, bucket):
        both = [*(page.get("Versions") or ()), *(page.get("DeleteMarkers") or ())]
        if not both:
            continue
        keys = [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in both]
        answer = client.call("s3", "DeleteObjects", op=op, Bucket=bucket, Delete={"Objects": keys, "Quiet": True})
        errors = answer.get("Errors") or ()
        if errors:
            first = errors[0]
            raise ProviderError(
                f"the bucket {bucket} cannot be emptied: {first['Key']}: {first.get('Message') or first.get('Code')}",
                remedy="Objects that are locked go when their lock ends.",
            )
        count += len(keys)
        op.say(f"removed {count} objects")


def _size(count: int) -> str:
    """Bytes as people read them: ``812 B``, ``3.4 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
