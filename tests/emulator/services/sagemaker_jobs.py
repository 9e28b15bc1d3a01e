"""SageMaker: jobs, monitoring and MLflow's servers, as `records`. Some of their operations answer in words of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.responses import SageMakerResponse

from ..records import Record, Sort
from . import before, operation
from .sagemaker import SAGEMAKER, _assumed

MLFLOW = "2.16.2"
"""The newest version of MLflow here."""
NOT_FOUND = ("ResourceNotFound", "Could not find {noun} {id}.")
ENDED = ("Completed", "Failed", "Stopped")


# -- jobs ---------------------------------------------------------------------------------------------------------------


def _job_seen(sort: str) -> Callable[[Record, Any], None]:
    def seen(record: Record, response: Any) -> None:
        status = record.members[f"{sort}Status"]
        if sort == "TrainingJob":
            where = f"{record.members['OutputDataConfig']['S3OutputPath']}/{record.name}/output/model.tar.gz"
            record.members |= {"ModelArtifacts": {"S3ModelArtifacts": where}, "SecondaryStatus": _second(status)}

    return seen


def _second(status: str) -> str:
    return "Training" if status == "InProgress" else status


def _job_deleted(sort: str) -> Callable[[Record, Any], None]:
    def deleted(record: Record, response: Any) -> None:
        if record.progress is not None and record.progress.status not in ENDED:
            raise SagemakerClientError("ValidationException", f"The job {record.name} is not in a terminal state.")

    return deleted


def _stop(sort: str, response: Any) -> None:
    record = SAGEMAKER.get(sort, response.params[f"{sort}Name"], response)
    if record.progress is not None and record.progress.status not in ENDED:
        record.progress = SAGEMAKER._way(SAGEMAKER.sorts[sort], record.name, ("Stopping", "Stopped"))


@operation(SageMakerResponse)
def stop_training_job(response: Any) -> None:
    """End a training before it is through."""
    _stop("TrainingJob", response)


@operation(SageMakerResponse)
def stop_processing_job(response: Any) -> None:
    """End a job before it is through."""
    _stop("ProcessingJob", response)


TRAINING = SAGEMAKER.add(
    Sort(
        "TrainingJob",
        "TrainingJobName",
        "training-job",
        "TrainingJobSummaries",
        listing="ListTrainingJobs",
        status="TrainingJobStatus",
        making=("InProgress", "Completed"),
        missing=("ValidationException", "Requested resource not found."),
        existing=("ResourceInUse", "Job name must be unique within an AWS account and region ({arn})."),
        seen=_job_seen("TrainingJob"),
        deleted=_job_deleted("TrainingJob"),
    )
)
SAGEMAKER.add(
    Sort(
        "ProcessingJob",
        "ProcessingJobName",
        "processing-job",
        "ProcessingJobSummaries",
        listing="ListProcessingJobs",
        status="ProcessingJobStatus",
        making=("InProgress", "Completed"),
        missing=("ValidationException", "Could not find requested job with name: {id}"),
        existing=("ResourceInUse", "Job name must be unique within an AWS account and region ({arn})."),
        seen=_job_seen("ProcessingJob"),
        deleted=_job_deleted("ProcessingJob"),
    )
)


# -- monitoring ---------------------------------------------------------------------------------------------------------


def _definition_made(record: Record, response: Any) -> None:
    record.members |= {
        "JobDefinitionArn": record.arn,
        "MonitoringJobDefinitionName": record.name,
        "MonitoringJobDefinitionArn": record.arn,
    }
    asked = record.members["DataQualityJobInput"].get("EndpointInput")
    record.members["EndpointName"] = asked["EndpointName"] if asked else "none"


DEFINITION = SAGEMAKER.add(
    Sort(
        "DataQualityJobDefinition",
        "JobDefinitionName",
        "data-quality-job-definition",
        "JobDefinitionSummaries",
        listing="ListDataQualityJobDefinitions",
        missing=NOT_FOUND,
        existing=("ResourceInUse", "A job definition with the name {id} exists."),
        made=_definition_made,
    )
)


@operation(SageMakerResponse)
def create_data_quality_job_definition(response: Any) -> dict[str, Any]:
    """Say how data is monitored."""
    return {"JobDefinitionArn": SAGEMAKER._create(DEFINITION, response)["DataQualityJobDefinitionArn"]}


def _schedule_made(record: Record, response: Any) -> None:
    _schedule_told(record.members, record.members, response)


def _schedule_changed(record: Record, response: Any) -> None:
    assert record.pending is not None
    _schedule_told(record.pending, record.pending, response)


def _schedule_told(asked: dict[str, Any], members: dict[str, Any], response: Any) -> None:
    config = asked["MonitoringScheduleConfig"]
    name = config["MonitoringJobDefinitionName"]
    definition = SAGEMAKER.get("DataQualityJobDefinition", name, response)
    members |= {
        "MonitoringType": config["MonitoringType"],
        "MonitoringJobDefinitionName": name,
        "EndpointName": definition.members["EndpointName"],
    }


SAGEMAKER.add(
    Sort(
        "MonitoringSchedule",
        "MonitoringScheduleName",
        "monitoring-schedule",
        "MonitoringScheduleSummaries",
        listing="ListMonitoringSchedules",
        status="MonitoringScheduleStatus",
        making=("Pending", "Scheduled"),
        changing=("Pending", "Scheduled"),
        dying=("Pending",),
        missing=NOT_FOUND,
        existing=("ResourceInUse", "A monitoring schedule with the name {id} exists."),
        made=_schedule_made,
        changed=_schedule_changed,
    )
)


# -- MLflow -------------------------------------------------------------------------------------------------------------


def _server_made(record: Record, response: Any) -> None:
    record.members |= {"TrackingServerArn": record.arn, "IsActive": "Active", "CreatedBy": {}, "LastModifiedBy": {}}
    record.members.setdefault("MlflowVersion", MLFLOW)
    record.members.setdefault("TrackingServerSize", "Small")
    record.members.setdefault("AutomaticModelRegistration", False)
    record.members.setdefault("WeeklyMaintenanceWindowStart", "Tue:03:30")
    record.members["TrackingServerUrl"] = f"https://{record.name}.{response.region}.experiments.sagemaker.aws"


SERVER = SAGEMAKER.add(
    Sort(
        "MlflowTrackingServer",
        "TrackingServerName",
        "mlflow-tracking-server",
        "TrackingServerSummaries",
        listing="ListMlflowTrackingServers",
        status="TrackingServerStatus",
        making=("Creating", "Created"),
        changing=("Updating", "Created"),
        dying=("Deleting",),
        missing=("ResourceNotFound", "TrackingServer {arn} does not exist."),
        existing=("ConflictException", "TrackingServer {arn} already exists."),
        made=_server_made,
    )
)


@operation(SageMakerResponse)
def create_mlflow_tracking_server(response: Any) -> dict[str, Any]:
    """Start a server."""
    return {"TrackingServerArn": SAGEMAKER._create(SERVER, response)["MlflowTrackingServerArn"]}


@operation(SageMakerResponse)
def update_mlflow_tracking_server(response: Any) -> dict[str, Any]:
    """Change a server."""
    return {"TrackingServerArn": SAGEMAKER._update(SERVER, response)["MlflowTrackingServerArn"]}


@operation(SageMakerResponse)
def delete_mlflow_tracking_server(response: Any) -> dict[str, Any]:
    """Let a server go."""
    arn = SAGEMAKER.get("MlflowTrackingServer", response.params["TrackingServerName"], response).arn
    SAGEMAKER._delete(SERVER, response)
    return {"TrackingServerArn": arn}


for name in (
    "create_training_job",
    "create_processing_job",
    "create_data_quality_job_definition",
    "create_mlflow_tracking_server",
):
    before(SageMakerResponse, name)(_assumed)
