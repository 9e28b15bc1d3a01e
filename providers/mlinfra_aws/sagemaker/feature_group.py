"""`aws.sagemaker_feature_group`: features by entity and time, in an online store, an offline store, or both.

It grows in place: features are added. One that goes or changes its type means another group, and the loss of this one's data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge
from pydantic import Field, StringConstraints

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, VOLATILE, keyed_by
from mlinfra.sdk.resource import FieldChange, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, missing
from mlinfra_aws.sagemaker.base import RoleArn, SageMakerResource
from mlinfra_aws.waits import until

TIMEOUT: Final = 30 * 60.0
FeatureName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9]([_-]*[a-zA-Z0-9])*$", max_length=64)]


class VectorConfig(Part):
    """The size of a vector."""

    dimension: int = Field(ge=1, le=8192)


class CollectionConfig(Part):
    """More about a collection."""

    vector_config: VectorConfig | None = None


class Feature(Part):
    """A feature and its type."""

    feature_name: FeatureName
    feature_type: Literal["Integral", "Fractional", "String"]
    collection_type: Literal["List", "Set", "Vector"] | None = None
    collection_config: CollectionConfig | None = None


class Security(Part):
    """How the online store is encrypted."""

    kms_key_id: str


class Ttl(Part):
    """How long a record stays."""

    unit: Literal["Seconds", "Minutes", "Hours", "Days", "Weeks"]
    value: int = Field(ge=1)


class OnlineStore(Part):
    """The store that answers in milliseconds."""

    enable_online_store: bool = True
    security_config: Security | None = None
    storage_type: Literal["Standard", "InMemory"] = "Standard"
    ttl_duration: Ttl | None = None


class S3Storage(Part):
    """Where the offline store is."""

    s3_uri: str = Field(pattern=r"^(https|s3)://[^/]+/?.*$", max_length=1024)
    kms_key_id: str | None = None


class DataCatalog(Part):
    """The table through which the offline store is asked."""

    catalog: str
    database: str
    table_name: str


class OfflineStore(Part):
    """The store that keeps all there ever was."""

    s3_storage_config: S3Storage
    disable_glue_table_creation: bool = False
    data_catalog_config: DataCatalog | None = None
    table_format: Literal["Glue", "Iceberg"] = "Glue"


class Throughput(Part):
    """What the online store can take."""

    throughput_mode: Literal["OnDemand", "Provisioned"] = "OnDemand"
    provisioned_read_capacity_units: Annotated[int, Ge(0)] | None = None
    provisioned_write_capacity_units: Annotated[int, Ge(0)] | None = None


class FeatureGroup(SageMakerResource):
    """A feature group.

    Example::

        resource:
          users:
            type: aws.sagemaker_feature_group
            feature_group_name: users
            record_identifier_feature_name: user_id
            event_time_feature_name: at
            role_arn: ${resource.store.arn}
            feature_definition: [{ feature_name: user_id, feature_type: String }, { feature_name: at, feature_type: String },
                                 { feature_name: avg_amount, feature_type: Fractional }]
            online_store_config: { enable_online_store: true }
            offline_store_config: { s3_storage_config: { s3_uri: "s3://acme-features" } }
    """

    type: ClassVar[str] = "aws.sagemaker_feature_group"
    noun: ClassVar[str] = "feature group"
    holds_data: ClassVar[bool] = True
    api: ClassVar[str] = "FeatureGroup"
    words: ClassVar[Mapping[str, str]] = {
        "feature_group_name": "FeatureGroupName",
        "feature_definition": "FeatureDefinitions",
    }

    feature_group_name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9]([_-]*[a-zA-Z0-9])*$", max_length=64)
    """Its name."""
    record_identifier_feature_name: Annotated[FeatureName, REPLACE]
    """The feature that says whose a record is."""
    event_time_feature_name: Annotated[FeatureName, REPLACE]
    """The feature that says when it was so."""
    role_arn: Annotated[RoleArn, REPLACE]
    """The role that writes the offline store."""
    feature_definition: Annotated[list[Feature], keyed_by("feature_name")] = Field(min_length=1, max_length=2500)
    """Its features. New ones are added in place."""
    online_store_config: OnlineStore | None = None
    """The online store. How long records stay can be changed in place."""
    offline_store_config: Annotated[OfflineStore | None, REPLACE] = None
    """The offline store."""
    throughput_config: Throughput = Throughput()
    """What the online store can take."""
    description: Annotated[str | None, REPLACE] = Field(None, max_length=128)
    """What it is for."""
    feature_group_status: Annotated[str | None, VOLATILE] = None

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        names = [one["feature_name"] for one in fields["feature_definition"]]
        for role in ("record_identifier_feature_name", "event_time_feature_name"):
            if fields[role] not in names:
                raise ProviderError(
                    f"{role} is {fields[role]}, which is none of the features {', '.join(names[:10])}",
                    remedy="Add it to feature_definition.",
                )
        online = fields["online_store_config"]
        if not fields["offline_store_config"] and not (online and online["enable_online_store"]):
            raise ProviderError(
                f"the feature group {fields['feature_group_name']} has no store",
                remedy='Give "online_store_config", "offline_store_config" or both.',
            )
        return super().normalise(fields, place)

    @classmethod
    def replaces(cls, changes: Sequence[FieldChange]) -> Sequence[str]:
        """A feature that goes or changes; an online store that comes, goes or is made otherwise."""
        found = []
        for change in changes:
            if change.path == "feature_definition" and isinstance(change.new, list | tuple):
                new = {one["feature_name"]: one for one in change.new}
                if any(new.get(one["feature_name"]) != one for one in change.old or []):
                    found.append(change.path)
            elif change.path.startswith("online_store_config") and not change.path.startswith(_TTL):
                found.append(change.path)
        return found

    @classmethod
    def broken(cls, live: Mapping[str, Any]) -> str | None:
        return "it could not be made and holds nothing" if live.get("feature_group_status") == "CreateFailed" else None

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        if [change.path for change in changes] != ["feature_definition"] or not isinstance(changes[0].new, list):
            return None
        old = {one["feature_name"]: one for one in changes[0].old or []}
        new = {one["feature_name"]: one for one in changes[0].new}
        told = [f"+ {name}" for name in new if name not in old]
        told += [f"- {name}" for name in old if name not in new]
        told += [
            f"{name} {old[name]['feature_type']} → {new[name]['feature_type']}"
            for name in new
            if name in old and new[name] != old[name]
        ]
        return f"features: {', '.join(told)}"

    @classmethod
    def described(cls, client: AwsClient, known: Known) -> Fields | None:
        """All pages of features, as one."""
        answer: dict[str, Any] = {}
        token = ""
        try:
            while True:
                more: dict[str, Any] = {"NextToken": token} if token else {}
                page = client.call("sagemaker", "DescribeFeatureGroup", FeatureGroupName=known.id, **more)
                features = [*answer.get("FeatureDefinitions", []), *page["FeatureDefinitions"]]
                answer = {**page, "FeatureDefinitions": features}
                token = page.get("NextToken", "")
                if not token:
                    break
        except AwsError as error:
            missing(error)
            return None
        if answer.get("FeatureGroupStatus") == "Deleting":
            return None
        live = cls.told(client, answer)
        assert live is not None
        offline = live.get("offline_store_config")
        if offline:
            offline["s3_storage_config"].pop("resolved_output_s3_uri", None)
            offline.setdefault("disable_glue_table_creation", False)
            offline.setdefault("table_format", "Glue")
            if not (known.fields.get("offline_store_config") or {}).get("data_catalog_config"):
                # AWS chose it.
                offline.pop("data_catalog_config", None)
        online = live.get("online_store_config")
        if online:
            online.setdefault("storage_type", "Standard")
        live.setdefault("throughput_config", {"throughput_mode": "OnDemand"})
        return live

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        more: dict[str, Any] = {}
        wanted = self.asked(client, "CreateFeatureGroup")
        if "feature_definition" in changed:
            there = {one["feature_name"] for one in known.fields.get("feature_definition", [])}
            more["FeatureAdditions"] = [one for one in wanted["FeatureDefinitions"] if one["FeatureName"] not in there]
        if "online_store_config" in changed:
            ttl = wanted["OnlineStoreConfig"].get("TtlDuration")
            if ttl is None:
                raise ProviderError(
                    "how long records stay can be changed, but not taken away",
                    remedy=f"Give a long time, or make it anew with --replace {known.address}.",
                )
            more["OnlineStoreConfig"] = {"TtlDuration": ttl}
        if "throughput_config" in changed:
            more["ThroughputConfig"] = wanted["ThroughputConfig"]
        if not more.get("FeatureAdditions", True):
            del more["FeatureAdditions"]  # only their order changed
        if more:
            client.call("sagemaker", "UpdateFeatureGroup", op=op, FeatureGroupName=known.id, **more)
        return None

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        def look() -> tuple[str, str]:
            answer = client.call("sagemaker", "DescribeFeatureGroup", FeatureGroupName=known.id)
            update = answer.get("LastUpdateStatus", {})
            if update.get("Status") == "Failed":
                return "Failed", str(update.get("FailureReason", ""))
            if update.get("Status") == "InProgress":
                return "Updating", ""
            return str(answer.get("FeatureGroupStatus", "Created")), str(answer.get("FailureReason", ""))

        what = f"the feature group {known.id}"
        until(client, op, what, look, ready=("Created",), working=("Creating", "Updating"), timeout=TIMEOUT)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        super().delete(client, known, op)

        def look() -> tuple[str, str]:
            try:
                answer = client.call("sagemaker", "DescribeFeatureGroup", FeatureGroupName=known.id)
            except AwsError as error:
                missing(error)
                return "gone", ""
            return str(answer.get("FeatureGroupStatus", "Deleting")), str(answer.get("FailureReason", ""))

        until(
            client, op, f"the feature group {known.id}", look, ready=("gone",), working=("Deleting",), timeout=TIMEOUT
        )

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        online = (known.fields.get("online_store_config") or {}).get("enable_online_store")
        offline = known.fields.get("offline_store_config")
        if cls.broken(known.fields):
            return None
        features = len(known.fields.get("feature_definition", []))
        where = ["all records of its online store"] if online else []
        where += ["the table of its offline store (the files stay in the bucket)"] if offline else []
        return f"{' and '.join(where)}, {features} features" if where else None


_TTL = "online_store_config.ttl_duration"
