"""SageMaker: what moto lacks (updates, feature groups, deletes) or loses (fields, duplicates, statuses).

Sorts of object that are told back as they were given are `records`; here is only what they do besides.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections.abc import Iterator
from typing import Any

from moto.core.resource_tagging import TaggedResource
from moto.iam.models import iam_backends
from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.models import SageMakerModelBackend
from moto.sagemaker.responses import SageMakerResponse

from ..records import Record, Registry, Sort, all_records
from . import before, operation

SAGEMAKER = Registry("sagemaker", SageMakerResponse, "sagemaker_backend", "sagemaker", SagemakerClientError)
BY_NOW = {"uses": 0}
"""How often a role that was made is not assumable yet: set by tests with `roles_take`."""


def roles_take(uses: int) -> None:
    """Have every role refuse its first ``uses`` uses, as roles do that were made a moment ago."""
    BY_NOW["uses"] = uses


# -- roles ---------------------------------------------------------------------------------------------------------------


def _assumed(response: Any) -> None:
    """Check the role of a request: it must exist, and be known everywhere by now."""
    for member in ("ExecutionRoleArn", "RoleArn"):
        arn = response.params.get(member)
        if not arn:
            continue
        roles = iam_backends[response.current_account]["aws"].roles.values()
        role = next((role for role in roles if role.arn == arn), None)
        told = (
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )
        if role is None:
            raise SagemakerClientError("ValidationException", told)
        role.mlinfra_uses = getattr(role, "mlinfra_uses", 0) + 1
        if role.mlinfra_uses <= BY_NOW["uses"]:
            raise SagemakerClientError("ValidationException", told)


# -- sorts ---------------------------------------------------------------------------------------------------------------


def _endpoint_made(record: Record, response: Any) -> None:
    record.members |= _running(record.members["EndpointConfigName"], response)


def _running(config: str, response: Any) -> dict[str, Any]:
    """What an endpoint with this configuration runs."""
    given = SAGEMAKER.get("EndpointConfig", config, response).members
    found: dict[str, Any] = {
        "ProductionVariants": [_variant(one) for one in given["ProductionVariants"]],
        "ShadowProductionVariants": [_variant(one) for one in given.get("ShadowProductionVariants") or []],
    }
    return {name: value for name, value in found.items() if value}


def _variant(given: dict[str, Any]) -> dict[str, Any]:
    count, weight = given.get("InitialInstanceCount"), given.get("InitialVariantWeight", 1.0)
    found = {"VariantName": given["VariantName"], "CurrentWeight": weight, "DesiredWeight": weight}
    if count is not None:
        found |= {"CurrentInstanceCount": count, "DesiredInstanceCount": count}
    if given.get("ServerlessConfig"):
        found["CurrentServerlessConfig"] = found["DesiredServerlessConfig"] = given["ServerlessConfig"]
    return found


_RETAINED = {"DesiredInstanceCount": "CurrentInstanceCount", "DesiredWeight": "CurrentWeight"}


def _endpoint_changed(record: Record, response: Any) -> None:
    assert record.pending is not None
    asked = record.pending
    running = _running(asked["EndpointConfigName"], response)
    if asked.get("RetainAllVariantProperties"):
        excluded = {one["VariantPropertyType"] for one in asked.get("ExcludeRetainedVariantProperties") or []}
        before_it = {one["VariantName"]: one for one in record.members["ProductionVariants"]}
        for one in running["ProductionVariants"]:
            old = before_it.get(one["VariantName"], {})
            for desired, current in _RETAINED.items():
                if desired not in excluded and desired in old:
                    one[desired] = one[current] = old[desired]
    record.pending = {"EndpointConfigName": asked["EndpointConfigName"], **running}
    if asked.get("DeploymentConfig"):
        record.pending["LastDeploymentConfig"] = asked["DeploymentConfig"]
    record.members.pop("FailureReason", None)


def _endpoint_seen(record: Record, response: Any) -> None:
    if "DeploymentConfig" in record.members:
        record.members.setdefault("LastDeploymentConfig", record.members["DeploymentConfig"])


def _group_made(record: Record, response: Any) -> None:
    names = {one["FeatureName"] for one in record.members["FeatureDefinitions"]}
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if record.members[member] not in names:
            raise SagemakerClientError("ValidationException", f"{member} must be one of the feature definitions")
    if not (
        record.members.get("OnlineStoreConfig", {}).get("EnableOnlineStore") or record.members.get("OfflineStoreConfig")
    ):
        raise SagemakerClientError("ValidationException", "At least one of online and offline store must be enabled")
    offline = record.members.get("OfflineStoreConfig")
    if offline:
        stamp = int(record.members["CreationTime"].timestamp())
        place = offline["S3StorageConfig"]
        account, region = response.current_account, response.region
        place["ResolvedOutputS3Uri"] = (
            f"{place['S3Uri']}/{account}/sagemaker/{region}/offline-store/{record.name}-{stamp}/data"
        )
        offline.setdefault("TableFormat", "Glue")
        if not offline.get("DisableGlueTableCreation"):
            table = f"{record.name.replace('-', '_')}_{stamp}"
            offline["DataCatalogConfig"] = {
                "TableName": table,
                "Catalog": "AwsDataCatalog",
                "Database": "sagemaker_featurestore",
            }
        record.members["OfflineStoreStatus"] = {"Status": "Active"}
    online = record.members.get("OnlineStoreConfig")
    if online and online.get("EnableOnlineStore"):
        online.setdefault("StorageType", "Standard")
    record.members.setdefault("ThroughputConfig", {"ThroughputMode": "OnDemand"})


def _group_changed(record: Record, response: Any) -> None:
    assert record.pending is not None
    asked, now = record.pending, record.members
    added = asked.get("FeatureAdditions") or []
    names = {one["FeatureName"] for one in now["FeatureDefinitions"]}
    twice = [one["FeatureName"] for one in added if one["FeatureName"] in names]
    if twice:
        raise SagemakerClientError("ValidationException", f"Feature {twice[0]} already exists in the feature group")
    record.pending = {"FeatureDefinitions": [*now["FeatureDefinitions"], *added]}
    if asked.get("ThroughputConfig"):
        record.pending["ThroughputConfig"] = asked["ThroughputConfig"]
    if asked.get("OnlineStoreConfig"):
        if not now.get("OnlineStoreConfig", {}).get("EnableOnlineStore"):
            raise SagemakerClientError("ValidationException", "The online store is not enabled")
        record.pending["OnlineStoreConfig"] = {**now["OnlineStoreConfig"], **asked["OnlineStoreConfig"]}
    record.members["LastUpdateStatus"] = {"Status": "Successful"}


def _group_seen(record: Record, response: Any) -> None:
    record.members["NextToken"] = ""


def _registry_made(record: Record, response: Any) -> None:
    record.members["CreatedBy"] = {}


def _registry_deleted(record: Record, response: Any) -> None:
    versions = SAGEMAKER.all("ModelPackage", response).values()
    if any(one.members.get("ModelPackageGroupName") == record.name for one in versions):
        raise SagemakerClientError(
            "ConflictException",
            f"Model Package Group cannot be deleted because it contains Model Packages: {record.arn}",
        )


def _version_made(record: Record, response: Any) -> None:
    """A version is named by its group and number."""
    group = record.members.get("ModelPackageGroupName")
    if group:
        group = group.rpartition("/")[2]
        others = [
            one.members["ModelPackageVersion"]
            for one in SAGEMAKER.all("ModelPackage", response).values()
            if one.members.get("ModelPackageGroupName") == group
        ]
        number = max(others, default=0) + 1
        record.name = f"{group}-{number}"
        record.arn = f"{record.arn}{group}/{number}"
        record.members |= {
            "ModelPackageGroupName": group,
            "ModelPackageVersion": number,
            "ModelPackageName": record.arn,
        }
    record.members |= {"ModelPackageArn": record.arn, "ModelPackageStatusDetails": {"ValidationStatuses": []}}
    record.members.setdefault("ModelApprovalStatus", "PendingManualApproval")


def _pipeline_made(record: Record, response: Any) -> None:
    record.members.setdefault("PipelineDisplayName", record.name)
    record.members["PipelineStatus"] = "Active"
    _mirrored(record, response)


def _pipeline_changed(record: Record, response: Any) -> None:
    assert record.pending is not None
    _mirrored(record, response, **record.pending)


def _mirrored(record: Record, response: Any, **changed: Any) -> None:
    """Moto's own pipeline beside ours: its executions hang on it."""
    told = {**record.members, **changed}
    backend = response.sagemaker_backend
    backend.pipelines.pop(record.name, None)
    backend.create_pipeline(
        pipeline_name=record.name,
        pipeline_display_name=told["PipelineDisplayName"],
        pipeline_definition=told.get("PipelineDefinition"),
        pipeline_definition_s3_location=told.get("PipelineDefinitionS3Location"),
        pipeline_description=told.get("PipelineDescription"),
        role_arn=told["RoleArn"],
        tags=[],
        parallelism_configuration=told.get("ParallelismConfiguration"),
    )
    record.members["PipelineDefinition"] = backend.pipelines[record.name].pipeline_definition


def _pipeline_deleted(record: Record, response: Any) -> None:
    response.sagemaker_backend.pipelines.pop(record.name, None)


_NOT_FOUND = ("ResourceNotFound", "Resource Not Found: Amazon SageMaker can't find a {noun} with name {id}.")

for sort in (
    Sort("Model", "ModelName", "model", "Models"),
    Sort(
        "EndpointConfig",
        "EndpointConfigName",
        "endpoint-config",
        "EndpointConfigs",
        refers={"ProductionVariants.ModelName": "Model", "ShadowProductionVariants.ModelName": "Model"},
    ),
    Sort(
        "Endpoint",
        "EndpointName",
        "endpoint",
        "Endpoints",
        status="EndpointStatus",
        making=("Creating", "InService"),
        changing=("Updating", "InService"),
        dying=("Deleting",),
        refers={"EndpointConfigName": "EndpointConfig"},
        made=_endpoint_made,
        changed=_endpoint_changed,
        seen=_endpoint_seen,
    ),
    Sort(
        "FeatureGroup",
        "FeatureGroupName",
        "feature-group",
        "FeatureGroupSummaries",
        listing="ListFeatureGroups",
        status="FeatureGroupStatus",
        making=("Creating", "Created"),
        dying=("Deleting",),
        missing=_NOT_FOUND,
        existing=("ResourceInUse", "Resource Already Exists: FeatureGroup with name {id} already exists."),
        made=_group_made,
        changed=_group_changed,
        seen=_group_seen,
    ),
    Sort(
        "ModelPackageGroup",
        "ModelPackageGroupName",
        "model-package-group",
        "ModelPackageGroupSummaryList",
        listing="ListModelPackageGroups",
        status="ModelPackageGroupStatus",
        making=("Pending", "Completed"),
        missing=("ValidationException", "ModelPackageGroup {arn} does not exist."),
        existing=("ValidationException", "Model Package Group already exists: {arn}"),
        made=_registry_made,
        deleted=_registry_deleted,
    ),
    Sort(
        "ModelPackage",
        "ModelPackageName",
        "model-package",
        "ModelPackageSummaryList",
        listing="ListModelPackages",
        status="ModelPackageStatus",
        making=("Pending", "Completed"),
        refers={"ModelPackageGroupName": "ModelPackageGroup"},
        missing=("ValidationException", "ModelPackage {arn} does not exist."),
        made=_version_made,
    ),
    Sort(
        "Pipeline",
        "PipelineName",
        "pipeline",
        "PipelineSummaries",
        listing="ListPipelines",
        missing=("ResourceNotFound", "Pipeline '{arn}' does not exist."),
        existing=(
            "ValidationException",
            "Pipeline names must be unique within an AWS account and region. Pipeline with name ({id}) already exists.",
        ),
        made=_pipeline_made,
        changed=_pipeline_changed,
        deleted=_pipeline_deleted,
    ),
):
    SAGEMAKER.add(sort)

for name in ("create_model", "create_feature_group", "create_pipeline", "update_pipeline"):
    before(SageMakerResponse, name)(_assumed)


# -- operations beside those of sorts -----------------------------------------------------------------------------------


@operation(SageMakerResponse)
def update_endpoint_weights_and_capacities(response: Any) -> dict[str, Any]:
    """Change weights and instance counts of an endpoint's variants."""
    record = SAGEMAKER.get("Endpoint", response.params["EndpointName"], response)
    wanted = {one["VariantName"]: one for one in response.params["DesiredWeightsAndCapacities"]}
    variants = copy.deepcopy(record.members["ProductionVariants"])
    for one in variants:
        asked = wanted.get(one["VariantName"], {})
        if "DesiredWeight" in asked:
            one["DesiredWeight"] = one["CurrentWeight"] = asked["DesiredWeight"]
        if "DesiredInstanceCount" in asked:
            one["DesiredInstanceCount"] = one["CurrentInstanceCount"] = asked["DesiredInstanceCount"]
    record.members["ProductionVariants"] = variants
    record.members["LastModifiedTime"] = dt.datetime.now(dt.UTC)
    return {"EndpointArn": record.arn}


@operation(SageMakerResponse)
def list_model_packages(response: Any) -> Any:
    """The versions of a group; of all groups if none is named."""
    group = (response.params.get("ModelPackageGroupName") or "").rpartition("/")[2]
    found = [
        {**one.members, "ModelPackageStatus": "Completed"}
        for one in SAGEMAKER.all("ModelPackage", response).values()
        if one.members.get("ModelPackageGroupName", "") == group
    ]
    members = (
        "ModelPackageName",
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
    )
    return {"ModelPackageSummaryList": [{m: one[m] for m in members if m in one} for one in found]}


@operation(SageMakerResponse)
def delete_model_package(response: Any) -> None:
    """Remove a version, named by its ARN."""
    name = response.params["ModelPackageName"]
    for key, one in list(SAGEMAKER.all("ModelPackage", response).items()):
        if name in (one.arn, one.name):
            del SAGEMAKER.all("ModelPackage", response)[key]
            return
    raise SagemakerClientError("ValidationException", f"ModelPackage {name} does not exist.")


# -- tags ----------------------------------------------------------------------------------------------------------------


def _pairs(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _tags(response: Any) -> dict[str, str]:
    """The tags of the object that a request names, to be changed in place."""
    arn = response.params["ResourceArn"]
    record = SAGEMAKER.by_arn(arn, response)
    if record is not None:
        return record.tags
    other = response.sagemaker_backend._get_resource_from_arn(arn)
    if other is None:
        raise SagemakerClientError("ValidationException", f"Could not find {arn}")
    return {tag["Key"]: tag["Value"] for tag in other.tags or []}


def _keep(response: Any, tags: dict[str, str]) -> None:
    arn = response.params["ResourceArn"]
    if len(tags) > 50:
        raise SagemakerClientError("ResourceLimitExceeded", "The number of tags exceeds the limit of 50")
    record = SAGEMAKER.by_arn(arn, response)
    if record is not None:
        record.tags = tags
    else:
        response.sagemaker_backend._get_resource_from_arn(arn).tags = _pairs(tags)


@operation(SageMakerResponse)
def list_tags(response: Any) -> dict[str, Any]:
    """The tags of an object."""
    return {"Tags": _pairs(_tags(response))}


@operation(SageMakerResponse)
def add_tags(response: Any) -> dict[str, Any]:
    """Set tags; one that is there gets another value."""
    tags = {**_tags(response), **{tag["Key"]: tag["Value"] for tag in response.params["Tags"]}}
    _keep(response, tags)
    return {"Tags": _pairs(tags)}


@operation(SageMakerResponse)
def delete_tags(response: Any) -> None:
    """Remove tags."""
    gone = response.params["TagKeys"]
    _keep(response, {key: value for key, value in _tags(response).items() if key not in gone})


_TAGGED = SageMakerModelBackend.iter_tagged_resources


def _iter_tagged(backend: Any) -> Iterator[TaggedResource]:
    """What the tagging API finds: records, and what moto keeps itself."""
    for record in all_records(backend):
        if not (record.progress is not None and record.progress.status == "gone"):
            yield TaggedResource(record.arn, record.tags, f"sagemaker:{record.arn.split(':')[5].partition('/')[0]}")
    ours = set(records_kept(backend))
    for item in _TAGGED(backend):
        if item.arn not in ours:
            yield item


def records_kept(backend: Any) -> Iterator[str]:
    """The ARNs of all records."""
    return (record.arn for record in all_records(backend))


SageMakerModelBackend.iter_tagged_resources = _iter_tagged  # type: ignore[method-assign]  # moto's own, in its place
