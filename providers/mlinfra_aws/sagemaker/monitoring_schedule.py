"""`aws.sagemaker_monitoring_schedule`: when a monitoring job is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE, VOLATILE
from mlinfra.sdk.resource import Fields, Known, Operation, Status
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, missing
from mlinfra_aws.sagemaker.base import Name, SageMakerResource
from mlinfra_aws.waits import until

TIMEOUT = 30 * 60.0
"""Seconds for a schedule to be taken, and for a run of it to end before it goes."""


class When(Part):
    """When: an hour or more apart."""

    schedule_expression: str = Field(min_length=1, max_length=256, pattern=r"^(cron\(.+\)|NOW)$")
    data_analysis_start_time: str | None = None
    data_analysis_end_time: str | None = None


class MonitoringConfig(Part):
    """What is run, and when."""

    monitoring_job_definition_name: Name
    monitoring_type: Literal["DataQuality", "ModelQuality", "ModelBias", "ModelExplainability"]
    schedule_config: When | None = None


class MonitoringSchedule(SageMakerResource):
    """A monitoring schedule.

    Example::

        resource:
          hourly:
            type: aws.sagemaker_monitoring_schedule
            name: fraud-drift
            monitoring_schedule_config:
              monitoring_job_definition_name: ${resource.drift.name}
              monitoring_type: DataQuality
              schedule_config: { schedule_expression: "cron(0 * ? * * *)" }
    """

    type: ClassVar[str] = "aws.sagemaker_monitoring_schedule"
    noun: ClassVar[str] = "monitoring schedule"
    api: ClassVar[str] = "MonitoringSchedule"
    words: ClassVar[Mapping[str, str]] = {"name": "MonitoringScheduleName"}
    listing: ClassVar[tuple[str, str] | None] = ("ListMonitoringSchedules", "MonitoringScheduleSummaries")
    stamp: ClassVar[str] = "LastModifiedTime"

    name: Annotated[Name, REPLACE]
    """Its name."""
    monitoring_schedule_config: MonitoringConfig
    """What is run, and when."""
    monitoring_schedule_status: Annotated[str | None, VOLATILE] = None
    last_modified_time: Annotated[str | None, VOLATILE] = None

    @classmethod
    def broken(cls, live: Mapping[str, Any]) -> str | None:
        return "it failed and watches nothing" if live.get("monitoring_schedule_status") == "Failed" else None

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        params = self.asked(client, "UpdateMonitoringSchedule")
        client.call("sagemaker", "UpdateMonitoringSchedule", op=op, **params)
        return None

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        def look() -> tuple[str, str]:
            answer = client.call("sagemaker", "DescribeMonitoringSchedule", MonitoringScheduleName=known.id)
            return str(answer["MonitoringScheduleStatus"]), str(answer.get("FailureReason", ""))

        what = f"the monitoring schedule {known.id}"
        until(client, op, what, look, ready=("Scheduled", "Stopped"), working=("Pending",), timeout=TIMEOUT)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Deleted once AWS says that it is gone: its job definition is needed until then."""
        super().delete(client, known, op)

        def look() -> tuple[str, str]:
            try:
                client.call("sagemaker", "DescribeMonitoringSchedule", MonitoringScheduleName=known.id)
            except AwsError as error:
                missing(error)
                return "gone", ""
            return "going", ""

        what = f"the monitoring schedule {known.id}"
        until(client, op, what, look, ready=("gone",), working=("going",), timeout=TIMEOUT)

    @classmethod
    def status(cls, client: AwsClient, known: Known) -> Status | None:
        try:
            answer: Mapping[str, Any] = client.call(
                "sagemaker", "DescribeMonitoringSchedule", MonitoringScheduleName=known.id
            )
        except AwsError as error:
            missing(error)
            return None
        last = answer.get("LastMonitoringExecutionSummary", {})
        state = str(last.get("MonitoringExecutionStatus") or answer["MonitoringScheduleStatus"])
        failed = state in ("Failed", "CompletedWithViolations")
        return Status("failed" if failed else "ready", str(last.get("FailureReason") or state))
