"""Buckets that components have for themselves: model artifacts, captured requests, offline stores, reports. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra_aws.kinds.storage import UNFINISHED
from mlinfra_aws.names import name


def own(lowering: Lowering, called: str, *, expire: Sequence[tuple[str, float]] = ()) -> Handle:
    """A bucket that nobody else gets at. ``expire``: beginnings of keys, and the seconds after which what has them goes."""
    account = str(lowering.place.settings.get("account") or "")
    rules: list[dict[str, Any]] = [
        {"id": f"expire-{index}", "prefix": prefix, "expiration": {"days": max(1, int(-(-seconds // 86400)))}}
        for index, (prefix, seconds) in enumerate(expire, 1)
    ]
    rules.append(
        {"id": "unfinished-uploads", "abort_incomplete_multipart_upload": {"days_after_initiation": UNFINISHED}}
    )
    return lowering.resource(
        "aws.s3_bucket",
        called,
        {
            "bucket": name(lowering.place, lowering.component, called, limit=63, tail=account),
            "public_access_block": {},
            "object_ownership": "BucketOwnerEnforced",
            "server_side_encryption": {"sse_algorithm": "AES256"},
            "lifecycle_rule": rules,
        },
        label=f"bucket: {called}",
    )
