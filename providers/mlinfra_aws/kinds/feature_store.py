"""The recipe for kind ``feature_store``: a feature group a view, online and offline, in a bucket of the store's own.

A group grows in place; what a change of it would lose, its resource type says. Rows are not loaded from here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra_aws.kinds import buckets, roles
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.feature_store import FeatureStore, View

TYPES: Final[Mapping[str, str]] = {
    "bool": "Integral",
    "float32": "Fractional",
    "float64": "Fractional",
    "int32": "Integral",
    "int64": "Integral",
    "string": "String",
    "timestamp": "String",
}
"""A feature's type → SageMaker's: true is 1, a time is a text such as 2026-01-31T12:00:00Z. Bytes have none."""
RESERVED: Final = ("is_deleted", "write_time", "api_invocation_time", "eventTime")
"""Columns that SageMaker adds to the offline store itself."""
DATABASE: Final = "sagemaker_featurestore"
_MANAGED: Final = "SageMaker serves features itself, to callers with credentials"


def lower(store: FeatureStore, lowering: Lowering) -> Outputs:
    """Bucket, role and groups of one store.

    Errors: DiagnosticError for what only an apply could tell, and for features that SageMaker keeps for itself.
    """
    place = lowering.place
    if opaque(store.entities) or opaque(store.views):
        raise _unknown("What stands in entities and views")
    _tell_unsupported(store, lowering)
    prefix = name(place, lowering.component, limit=50)
    outputs = {
        "url": f"https://featurestore-runtime.sagemaker.{place.settings['region']}.amazonaws.com",
        "name": prefix,
    }
    if not store.views:
        return outputs
    bucket = buckets.own(lowering, "offline")
    role = roles.role(lowering, "store", {"offline": _offline(bucket), "catalog": _catalog(lowering)})
    groups: list[Handle] = []
    for called, view in store.views.items():
        if opaque(view):
            raise _unknown(f'The view "{called}"')
        group = _group(called, view, store, lowering, bucket, role)
        if group is not None:
            groups.append(group)
    lowering.share("readers", _readers(groups, bucket))
    return outputs


def _group(
    called: str, view: View, store: FeatureStore, lowering: Lowering, bucket: Handle, role: Handle
) -> Handle | None:
    """The feature group of a view, or None where SageMaker has nothing like it."""
    about = view.about()
    if any(opaque(one) for one in about) or opaque(view.features):
        raise _unknown(f'What the view "{called}" has')
    if len(about) > 1:
        lowering.unsupported(
            f"views.{called}.entities", "a record has one identifier: join the keys into one column, and declare that"
        )
        return None
    entity = store.entities[about[0]]
    if opaque(entity) or opaque(entity.join_key) or opaque(entity.type):
        raise _unknown(f'The entity "{about[0]}"')
    taken = sorted({*view.features, entity.join_key, view.timestamp_field} & set(RESERVED))
    if taken:
        raise fail(
            "feature-reserved",
            "Reserved feature",
            f'The view "{called}" has the column {taken[0]}, which SageMaker adds to the offline store itself.',
            "Rename it.",
        )
    features = [
        {"feature_name": entity.join_key, "feature_type": TYPES[entity.type]},
        {"feature_name": view.timestamp_field, "feature_type": "String"},
    ]
    collections = False
    for feature, told in view.features.items():
        plain = str(told).removeprefix("list<").removesuffix(">")
        if opaque(told) or plain not in TYPES:
            why = "its type must be known when it is planned" if opaque(told) else "SageMaker has no such type"
            lowering.unsupported(f"views.{called}.features.{feature}", why)
            continue
        found: dict[str, Any] = {"feature_name": feature, "feature_type": TYPES[plain]}
        if plain != told:
            found["collection_type"] = "List"
            collections = True
        features.append(found)
    fields: dict[str, Any] = {
        "feature_group_name": name(lowering.place, lowering.component, called, limit=64),
        "record_identifier_feature_name": entity.join_key,
        "event_time_feature_name": view.timestamp_field,
        "role_arn": role.ref("arn"),
        "feature_definition": features,
        "offline_store_config": {"s3_storage_config": {"s3_uri": f"s3://{bucket.ref('bucket')}/{called}"}},
    }
    _tell(called, view, fields, lowering)
    if store.online:
        online: dict[str, Any] = {"enable_online_store": True}
        if collections:
            # Lists are kept by that sort of store only.
            online["storage_type"] = "InMemory"
        if view.ttl is not None and not opaque(view.ttl):
            online["ttl_duration"] = {"unit": "Seconds", "value": max(1, math.ceil(view.ttl))}
        fields["online_store_config"] = online
    return lowering.resource("aws.sagemaker_feature_group", called, fields, label=f"feature group {called}")


def _tell(called: str, view: View, fields: dict[str, Any], lowering: Lowering) -> None:
    """What of a view is not done here."""
    if view.description is not None:
        lowering.unsupported(
            f"views.{called}.description", "AWS can set it once only; to change it would mean to lose the records"
        )
    if view.created_field is not None:
        lowering.unsupported(f"views.{called}.created_field", "of two records for one time, the one written last holds")
    if opaque(view.ttl):
        lowering.unsupported(f"views.{called}.ttl", "it must be known when it is planned")
    lowering.unsupported(
        f"views.{called}.source",
        f"rows are not loaded by mlinfra: put them with PutRecord, or with SageMaker's ingestion, into "
        f"{fields['feature_group_name']}",
    )


def _tell_unsupported(store: FeatureStore, lowering: Lowering) -> None:
    for called, entity in store.entities.items():
        if not opaque(entity) and entity.description is not None:
            lowering.unsupported(f"entities.{called}.description", "an entity is only a column here")
    if not store.online and any(not opaque(view) and view.ttl is not None for view in store.views.values()):
        lowering.unsupported("views.*.ttl", "the offline store keeps everything")
    asked = store.materialise
    if (
        opaque(asked)
        or asked.every is not None
        or asked.cron is not None
        or {"on_apply", "start", "window"} & (asked.model_fields_set if asked.on_apply is not False else set())
    ):
        lowering.unsupported("materialise", "a record goes to both stores when it is put; nothing moves them later")
    if store.port is not None:
        lowering.unsupported("port", _MANAGED)
    if store.expose is not False:
        lowering.unsupported("expose", _MANAGED)
    if store.resources is not None:
        lowering.unsupported("resources", _MANAGED)


def _offline(bucket: Handle) -> list[roles.Statement]:
    """To write the offline store."""
    return [
        {
            "Effect": "Allow",
            "Action": ["s3:GetBucketAcl", "s3:GetBucketLocation", "s3:ListBucket"],
            "Resource": bucket.ref("arn"),
        },
        {
            "Effect": "Allow",
            "Action": ["s3:PutObject", "s3:PutObjectAcl", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
            "Resource": f"{bucket.ref('arn')}/*",
        },
    ]


def _catalog(lowering: Lowering) -> list[roles.Statement]:
    """To keep the table through which the offline store is asked."""
    where = ["catalog", f"database/{DATABASE}", f"table/{DATABASE}/*"]
    return [
        {
            "Effect": "Allow",
            "Action": [
                "glue:CreateDatabase",
                "glue:GetDatabase",
                "glue:CreateTable",
                "glue:GetTable",
                "glue:UpdateTable",
            ],
            "Resource": [roles.arn(lowering, "glue", one) for one in where],
        }
    ]


def _readers(groups: list[Handle], bucket: Handle) -> list[roles.Statement]:
    """What a role needs that reads features."""
    actions = ["sagemaker:GetRecord", "sagemaker:BatchGetRecord", "sagemaker:DescribeFeatureGroup"]
    online = {"Effect": "Allow", "Action": actions, "Resource": [group.ref("arn") for group in groups]}
    return [*([online] if groups else []), *roles.reads(bucket)]


def _unknown(what: str) -> Exception:
    return fail(
        "value-not-known",
        "Value not known while planning",
        f"{what} can only be told by an apply, and groups are made of it before.",
        "Write it out, or take it from a variable.",
    )
