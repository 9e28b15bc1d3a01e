"""SageMaker: executions of pipelines, which do what their steps say as far as the registry sees it; versions of models by ARN.

A training step ends well and leaves an artifact's name; a registration step makes a version. No code of anybody runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.responses import SageMakerResponse

from ..records import Record
from . import operation
from .sagemaker import SAGEMAKER

# -- executions ---------------------------------------------------------------------------------------------------------------


@operation(SageMakerResponse)
def start_pipeline_execution(response: Any) -> dict[str, Any]:
    """Execute a pipeline, once for each token."""
    params = response.params
    name = params["PipelineName"].rpartition("/")[2]
    pipeline = SAGEMAKER.get("Pipeline", name, response)
    backend = response.sagemaker_backend
    begun: dict[str, str] = backend.__dict__.setdefault("mlinfra_executions", {})
    token = params.get("ClientRequestToken") or ""
    if token in begun:
        return {"PipelineExecutionArn": begun[token]}
    display = params.get("PipelineExecutionDisplayName") or f"execution-{len(begun) + 1}"
    arn = str(
        backend.start_pipeline_execution(
            pipeline_name=name,
            pipeline_execution_display_name=display,
            pipeline_parameters=params.get("PipelineParameters"),
            pipeline_execution_description=params.get("PipelineExecutionDescription"),
            parallelism_configuration=params.get("ParallelismConfiguration"),
            client_request_token=token,
        )["PipelineExecutionArn"]
    )
    begun[token or arn] = arn
    execution = backend.pipelines[name].pipeline_executions[arn]
    ending, reason = SAGEMAKER.endings.pop(("PipelineExecution", name), ("Succeeded", ""))
    execution.pipeline_execution_status = ending
    execution.pipeline_execution_failure_reason = reason or None
    execution.mlinfra_steps = _executed(
        json.loads(pipeline.members["PipelineDefinition"]), arn, ending, reason, response
    )
    return {"PipelineExecutionArn": arn}


def _executed(definition: Mapping[str, Any], arn: str, ending: str, reason: str, response: Any) -> list[dict[str, Any]]:
    """What each step came to. The first one takes the ending of a test."""
    told: list[dict[str, Any]] = []
    artifacts: dict[str, str] = {}
    for step in definition["Steps"]:
        found: dict[str, Any] = {
            "StepName": step["Name"],
            "StepStatus": ending if ending != "Succeeded" else "Succeeded",
        }
        if ending != "Succeeded":
            told.append({**found, "FailureReason": reason})
            break
        arguments = step["Arguments"]
        if step["Type"] == "Training":
            job = f"pipelines-{arn.rpartition('/')[2]}-{step['Name']}"
            where = arguments["OutputDataConfig"]["S3OutputPath"].rstrip("/")
            artifacts[f"Steps.{step['Name']}.ModelArtifacts.S3ModelArtifacts"] = f"{where}/{job}/output/model.tar.gz"
        elif step["Type"] == "RegisterModel":
            SAGEMAKER._create(SAGEMAKER.sorts["ModelPackage"], _asked(response, _resolved(arguments, artifacts)))
        told.append(found)
    return told


def _asked(response: Any, params: dict[str, Any]) -> Any:
    """A request as SageMaker makes it of itself."""
    return SimpleNamespace(
        params=params,
        current_account=response.current_account,
        region=response.region,
        sagemaker_backend=response.sagemaker_backend,
    )


def _resolved(value: Any, artifacts: Mapping[str, str]) -> Any:
    """Arguments with what earlier steps made in the place of ``{"Get": …}``."""
    if isinstance(value, dict):
        if set(value) == {"Get"}:
            return artifacts[value["Get"]]
        return {key: _resolved(item, artifacts) for key, item in value.items()}
    return [_resolved(item, artifacts) for item in value] if isinstance(value, list) else value


@operation(SageMakerResponse)
def list_pipeline_execution_steps(response: Any) -> dict[str, Any]:
    """What each step of an execution came to."""
    arn = response.params["PipelineExecutionArn"]
    for pipeline in response.sagemaker_backend.pipelines.values():
        if arn in pipeline.pipeline_executions:
            return {"PipelineExecutionSteps": getattr(pipeline.pipeline_executions[arn], "mlinfra_steps", [])}
    raise SagemakerClientError("ResourceNotFound", f"Pipeline execution with ARN {arn} does not exist.")


@operation(SageMakerResponse)
def list_pipeline_executions(response: Any) -> dict[str, Any]:
    """The executions of a pipeline, the newest first."""
    name = response.params["PipelineName"].rpartition("/")[2]
    SAGEMAKER.get("Pipeline", name, response)
    found = [
        {
            "PipelineExecutionArn": one.arn,
            "StartTime": one.start_time,
            "PipelineExecutionStatus": one.pipeline_execution_status,
            "PipelineExecutionDisplayName": one.pipeline_execution_display_name,
        }
        for one in response.sagemaker_backend.pipelines[name].pipeline_executions.values()
    ]
    newest = list(reversed(found))
    return {"PipelineExecutionSummaries": newest[: int(response.params.get("MaxResults") or 100)]}


# -- versions of models -------------------------------------------------------------------------------------------------------


def _version(response: Any, name: str) -> Record:
    """A version by its ARN, or a package by its name."""
    for one in SAGEMAKER.all("ModelPackage", response).values():
        if name in (one.arn, one.name):
            return one
    raise SagemakerClientError("ValidationException", f"ModelPackage {name} does not exist.")


@operation(SageMakerResponse)
def describe_model_package(response: Any) -> dict[str, Any]:
    """A version as it is."""
    record = _version(response, response.params["ModelPackageName"])
    return {**record.members, "ModelPackageStatus": "Completed"}


@operation(SageMakerResponse)
def update_model_package(response: Any) -> dict[str, Any]:
    """Approve or reject a version; set and remove its metadata."""
    params = response.params
    record = _version(response, params["ModelPackageArn"])
    if params.get("ModelApprovalStatus"):
        record.members["ModelApprovalStatus"] = params["ModelApprovalStatus"]
    metadata = {
        **record.members.get("CustomerMetadataProperties", {}),
        **(params.get("CustomerMetadataProperties") or {}),
    }
    for key in params.get("CustomerMetadataPropertiesToRemove") or []:
        metadata.pop(key, None)
    record.members["CustomerMetadataProperties"] = metadata
    return {"ModelPackageArn": record.arn}


_MEMBERS = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageVersion",
    "ModelPackageArn",
    "CreationTime",
    "ModelApprovalStatus",
)


@operation(SageMakerResponse)
def list_model_packages(response: Any) -> dict[str, Any]:
    """The versions of a group, of one approval status if that is asked for; the newest first if asked so."""
    params = response.params
    group = (params.get("ModelPackageGroupName") or "").rpartition("/")[2]
    if group:
        SAGEMAKER.get("ModelPackageGroup", group, response)
    found = [
        one.members
        for one in SAGEMAKER.all("ModelPackage", response).values()
        if one.members.get("ModelPackageGroupName", "") == group
        and params.get("ModelApprovalStatus") in (None, one.members["ModelApprovalStatus"])
    ]
    found.sort(key=lambda one: one.get("ModelPackageVersion", 0), reverse=params.get("SortOrder") != "Ascending")
    told = [
        {name: one[name] for name in _MEMBERS if name in one} | {"ModelPackageStatus": "Completed"} for one in found
    ]
    return {"ModelPackageSummaryList": told}
