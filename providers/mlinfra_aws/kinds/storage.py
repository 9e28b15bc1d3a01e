"""The recipe for kind ``storage``: a bucket that is never public, with a key of its own if the blueprint wants one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.storage import LifecycleRule, Storage

UNFINISHED: Final = 7
"""Days after which an upload that was never finished is removed: its parts are paid for and never seen."""
CONTENTS: Final = "contents"
"""Under this name the recipe shares the files that it puts there."""
ARCHIVE: Final = "GLACIER_IR"
"""Where objects go that are archived: cheap to keep, dearer to read, and read at once."""


def lower(storage: Storage, lowering: Lowering) -> Outputs:
    """A bucket; a key and its alias; the files that are put into it."""
    place = lowering.place
    key = storage.key
    if storage.encryption == "kms" and key is None:
        own = lowering.resource(
            "aws.kms_key",
            "key",
            {
                "description": f"{lowering.component} of {place.blueprint} in {place.environment}",
                "enable_key_rotation": True,
            },
            label="key",
        )
        alias = f"alias/{name(place, lowering.component, limit=200)}"
        lowering.resource(
            "aws.kms_alias", "key", {"name": alias, "target_key_id": own.ref("key_id")}, label="key's name"
        )
        key = own.ref("arn")
    # Names of buckets are unique in the world: the account, where the environment names it, keeps them apart.
    account = str(place.settings.get("account") or "")
    fields: dict[str, Any] = {
        "bucket": name(place, lowering.component, limit=63, tail=account),
        "public_access_block": {},
        "object_ownership": "BucketOwnerEnforced",
        "lifecycle_rule": [*_rules(storage, lowering), _unfinished()],
    }
    if storage.versioning:
        fields["versioning"] = {"status": "Enabled"}
    if storage.encryption == "kms":
        fields["server_side_encryption"] = {
            "sse_algorithm": "aws:kms",
            "kms_master_key_id": key,
            "bucket_key_enabled": True,
        }
    elif storage.encryption == "managed":
        fields["server_side_encryption"] = {"sse_algorithm": "AES256"}
    bucket = lowering.resource("aws.s3_bucket", "bucket", fields, label="bucket")
    if storage.contents is not None:
        put = lowering.resource(
            "aws.s3_objects",
            CONTENTS,
            {"bucket": bucket.ref("bucket"), "source": storage.contents},
            label="contents",
        )
        lowering.share(CONTENTS, put)
    lowering.share("bucket", bucket)
    lowering.share("key", key)
    return {"url": f"s3://{bucket.ref('bucket')}"}


def _rules(storage: Storage, lowering: Lowering) -> list[dict[str, Any]]:
    """The lifecycle's rules; one whose ages only an apply can tell is told, and left out."""
    found = []
    for index, rule in enumerate(storage.lifecycle):
        ages = () if isinstance(rule, str) else (rule.archive, rule.expire, rule.expire_versions)
        if not ages or any(isinstance(age, str) for age in ages):
            lowering.unsupported(f"lifecycle[{index}]", "its ages must be known when it is planned")
        else:
            found.append(_rule(index, rule))
    return found


def _rule(index: int, rule: LifecycleRule) -> dict[str, Any]:
    """A rule of the kind as one of S3, which counts in whole days."""
    found: dict[str, Any] = {"id": f"rule-{index + 1}", "prefix": rule.prefix}
    if rule.archive is not None:
        found["transition"] = [{"days": _days(rule.archive), "storage_class": ARCHIVE}]
    if rule.expire is not None:
        found["expiration"] = {"days": max(1, _days(rule.expire))}
    if rule.expire_versions is not None:
        found["noncurrent_version_expiration"] = {"noncurrent_days": max(1, _days(rule.expire_versions))}
    return found


def _unfinished() -> dict[str, Any]:
    return {"id": "unfinished-uploads", "abort_incomplete_multipart_upload": {"days_after_initiation": UNFINISHED}}


def _days(seconds: float) -> int:
    """Whole days, rounded up: nothing goes before its time."""
    return int(-(-seconds // 86400))
