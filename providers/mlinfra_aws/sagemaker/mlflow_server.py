"""`aws.sagemaker_mlflow_tracking_server`: MLflow, run by SageMaker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE, VOLATILE
from mlinfra.sdk.resource import Created, Fields, Known, Operation, Status
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import missing
from mlinfra_aws.sagemaker.base import RoleArn, SageMakerResource
from mlinfra_aws.tags import pairs
from mlinfra_aws.waits import until

TIMEOUT: Final = 60 * 60.0
"""Seconds for a server to come, which takes AWS about 25 minutes, and to go."""
READY: Final = ("Created", "Updated", "Started", "Stopped", "MaintenanceComplete")
WORKING: Final = ("Creating", "Updating", "Starting", "Stopping", "MaintenanceInProgress")


class MlflowTrackingServer(SageMakerResource):
    """A tracking server of MLflow.

    Example::

        resource:
          tracking:
            type: aws.sagemaker_mlflow_tracking_server
            tracking_server_name: fraud
            artifact_store_uri: s3://acme-mlflow/fraud
            role_arn: ${resource.tracker.arn}
            tracking_server_size: Small
    """

    type: ClassVar[str] = "aws.sagemaker_mlflow_tracking_server"
    noun: ClassVar[str] = "MLflow tracking server"
    holds_data: ClassVar[bool] = True
    api: ClassVar[str] = "MlflowTrackingServer"
    words: ClassVar[Mapping[str, str]] = {"tracking_server_name": "TrackingServerName"}

    tracking_server_name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$")
    """Its name."""
    artifact_store_uri: str = Field(pattern=r"^(https|s3)://([^/]+)/?(.*)$", max_length=1024)
    """Where artifacts go."""
    role_arn: Annotated[RoleArn, REPLACE]
    """The role that it has."""
    tracking_server_size: Literal["Small", "Medium", "Large"] = "Small"
    """How large it is."""
    mlflow_version: Annotated[str | None, REPLACE] = Field(None, pattern=r"^[0-9]*.[0-9]*.[0-9]*$", max_length=16)
    """The version of MLflow; the newest that AWS has if not given."""
    automatic_model_registration: bool = False
    """Whether its models become those of SageMaker's registry."""
    weekly_maintenance_window_start: str | None = Field(
        None, pattern=r"^(Mon|Tue|Wed|Thu|Fri|Sat|Sun):([01]\d|2[0-3]):([0-5]\d)$"
    )
    """When AWS may stop it for maintenance: ``Sun:04:30``. AWS chooses if not given."""
    tracking_server_url: Annotated[str | None, VOLATILE] = None
    """Where it answers."""
    tracking_server_status: Annotated[str | None, VOLATILE] = None

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        if answer.get("TrackingServerStatus") == "Deleting":
            return None
        live = super().told(client, {**answer, f"{cls.api}Arn": answer["TrackingServerArn"]})
        return {"automatic_model_registration": False, **(live or {})}

    def make(self, client: AwsClient, op: Operation) -> Created:
        params = self.asked(client, "CreateMlflowTrackingServer")
        client.call("sagemaker", "CreateMlflowTrackingServer", op=op, **params, Tags=pairs(self.owned(op)))
        return Created(self.tracking_server_name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self.ready(client, known, op)
        params = self.asked(client, "UpdateMlflowTrackingServer")
        client.call("sagemaker", "UpdateMlflowTrackingServer", op=op, **params)
        return None

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        def look() -> tuple[str, str]:
            answer = client.call("sagemaker", "DescribeMlflowTrackingServer", TrackingServerName=known.id)
            return str(answer["TrackingServerStatus"]), ""

        what = f"the MLflow tracking server {known.id}"
        until(client, op, what, look, ready=READY, working=WORKING, timeout=TIMEOUT, every=15.0)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        super().delete(client, known, op)

        def look() -> tuple[str, str]:
            try:
                answer = client.call("sagemaker", "DescribeMlflowTrackingServer", TrackingServerName=known.id)
            except AwsError as error:
                missing(error)
                return "gone", ""
            return str(answer["TrackingServerStatus"]), ""

        what = f"the MLflow tracking server {known.id}"
        until(client, op, what, look, ready=("gone",), working=("Deleting",), timeout=TIMEOUT, every=15.0)

    @classmethod
    def broken(cls, live: Mapping[str, Any]) -> str | None:
        return (
            "it could not be made and holds nothing" if live.get("tracking_server_status") == "CreateFailed" else None
        )

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        if cls.broken(known.fields):
            return None
        return "its experiments and runs (the artifacts stay in the bucket)"

    @classmethod
    def status(cls, client: AwsClient, known: Known) -> Status | None:
        try:
            answer = client.call("sagemaker", "DescribeMlflowTrackingServer", TrackingServerName=known.id)
        except AwsError as error:
            missing(error)
            return None
        state = str(answer["TrackingServerStatus"])
        url = str(answer.get("TrackingServerUrl", ""))
        if state.endswith("Failed"):
            return Status("failed", state, url)
        return Status("stopped" if state == "Stopped" else "ready", state, url)
