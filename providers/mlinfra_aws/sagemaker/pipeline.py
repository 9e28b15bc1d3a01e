"""`aws.sagemaker_pipeline`: steps in an order, run by SageMaker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

from pydantic import Field

from mlinfra.sdk.errors import Cancelled, ProviderError, Unreachable
from mlinfra.sdk.fields import REPLACE, VOLATILE
from mlinfra.sdk.resource import Created, Fields, Known, Operation, RunResult
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document, read, text
from mlinfra_aws.errors import AwsError
from mlinfra_aws.resource import Part, missing
from mlinfra_aws.sagemaker.base import RoleArn, SageMakerResource
from mlinfra_aws.waits import until

ENDED: Final = ("Failed", "Stopped")
LONGEST: Final = 28 * 86400.0
"""Seconds that a run may take: as long as AWS lets a job run."""


class Parallelism(Part):
    """How many steps run at a time."""

    max_parallel_execution_steps: int = Field(ge=1)


class Pipeline(SageMakerResource):
    """A pipeline.

    Example::

        resource:
          train:
            type: aws.sagemaker_pipeline
            pipeline_name: train
            role_arn: ${resource.trainer.arn}
            pipeline_definition: { Version: "2020-12-01", Steps: [] }
    """

    type: ClassVar[str] = "aws.sagemaker_pipeline"
    noun: ClassVar[str] = "pipeline"
    api: ClassVar[str] = "Pipeline"
    words: ClassVar[Mapping[str, str]] = {"pipeline_name": "PipelineName"}
    listing: ClassVar[tuple[str, str] | None] = ("ListPipelines", "PipelineSummaries")
    narrowing: ClassVar[str] = "PipelineNamePrefix"
    stamp: ClassVar[str] = "LastModifiedTime"

    pipeline_name: Annotated[str, REPLACE] = Field(pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$")
    """Its name."""
    pipeline_display_name: str | None = Field(None, pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$")
    """What the Studio calls it; its name if not given."""
    pipeline_description: str | None = Field(None, max_length=3072)
    """What it is for."""
    pipeline_definition: Document
    """Its steps: a mapping, or JSON text."""
    role_arn: RoleArn
    """The role that its steps are started with."""
    parallelism_configuration: Parallelism | None = None
    """How many steps run at a time."""
    last_modified_time: Annotated[str | None, VOLATILE] = None

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if len(text(fields["pipeline_definition"])) > 1024 * 1024:
            raise ProviderError(
                "a pipeline's definition has at most 1 MB", remedy="Put data of its steps into a bucket."
            )
        found = super().normalise(fields, place)
        # A definition is somebody's document: what is empty in it is kept.
        found["pipeline_definition"] = fields["pipeline_definition"]
        found["pipeline_display_name"] = fields["pipeline_display_name"] or fields["pipeline_name"]
        return found

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        if answer.get("PipelineStatus") == "Deleting":
            return None
        live = super().told(client, answer)
        assert live is not None
        live["pipeline_definition"] = read(answer["PipelineDefinition"])
        return live

    def asked(self, client: AwsClient, operation: str) -> dict[str, Any]:
        return {**super().asked(client, operation), "PipelineDefinition": text(self.pipeline_definition)}

    def make(self, client: AwsClient, op: Operation) -> Created:
        client.call(
            "sagemaker",
            "CreatePipeline",
            op=op,
            **self.asked(client, "CreatePipeline"),
            ClientRequestToken=op.token,
            Tags=[{"Key": key, "Value": value} for key, value in self.owned(op).items()],
        )
        return Created(self.pipeline_name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        more = self.asked(client, "UpdatePipeline")
        # The call leaves alone what is not named; what left the blueprint is named with what AWS takes for nothing.
        if "pipeline_description" in changed:
            more.setdefault("PipelineDescription", "")
        client.call("sagemaker", "UpdatePipeline", op=op, **more)
        return None

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        try:
            client.call("sagemaker", "DeletePipeline", op=op, PipelineName=known.id, ClientRequestToken=op.token)
        except AwsError as error:
            missing(error)

    def run(self, client: AwsClient, known: Known, op: Operation) -> RunResult:
        """Execute it and wait for the end.

        A run that was cut off is taken up: its token is kept until its end is known, and AWS starts one execution for a token.
        One that somebody else started and that is under way is waited for.
        """
        kept = op.work / "aws" / "runs" / known.id
        execution = None if kept.exists() else _under_way(client, known.id)
        if execution is None:
            if kept.exists():
                op.say("taking up the run that was cut off")
            else:
                kept.parent.mkdir(parents=True, exist_ok=True)
                whole = kept.with_suffix(".new")
                whole.write_text(op.token, "utf-8")
                whole.replace(kept)
            execution = client.call(
                "sagemaker",
                "StartPipelineExecution",
                op=op,
                PipelineName=known.id,
                ClientRequestToken=kept.read_text("utf-8"),
            )["PipelineExecutionArn"]
        else:
            op.say("one is under way: waiting for that")

        def look() -> tuple[str, str]:
            answer = client.call("sagemaker", "DescribePipelineExecution", PipelineExecutionArn=execution)
            status = str(answer["PipelineExecutionStatus"])
            return status, (_reason(client, execution, answer) if status in ENDED else "")

        try:
            until(
                client,
                op,
                f"the run of {known.id}",
                look,
                ready=("Succeeded",),
                working=("Executing", "Stopping"),
                timeout=LONGEST,
                every=15.0,
            )
        except (AwsError, Cancelled, Unreachable):
            raise
        except ProviderError as error:
            kept.unlink(missing_ok=True)
            return RunResult(False, str(error), {"execution": execution})
        kept.unlink(missing_ok=True)
        return RunResult(True, "", {"execution": execution})


def _under_way(client: AwsClient, name: str) -> str | None:
    newest = client.call(
        "sagemaker",
        "ListPipelineExecutions",
        PipelineName=name,
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=1,
    )["PipelineExecutionSummaries"]
    going = [one for one in newest if one["PipelineExecutionStatus"] == "Executing"]
    return str(going[0]["PipelineExecutionArn"]) if going else None


def _reason(client: AwsClient, execution: str, answer: Mapping[str, Any]) -> str:
    """Why an execution failed: what its steps say, which is more than what it says itself."""
    steps = client.pages(
        "sagemaker", "ListPipelineExecutionSteps", "PipelineExecutionSteps", PipelineExecutionArn=execution
    )
    told = [f"{one['StepName']}: {one['FailureReason']}" for one in steps if one.get("FailureReason")]
    return "; ".join(told) or str(answer.get("FailureReason", ""))
