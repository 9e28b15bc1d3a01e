"""What `aws.sagemaker_training_job` and `aws.sagemaker_processing_job` share: jobs that are started by being made, and run again.

A job never changes: another field is another job. A run of one (`mlinfra run`) is a job of its own with the same fields.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Fields, Known, Operation, RunResult, Status
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.regular import Answering
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import SageMakerResource
from mlinfra_aws.sagemaker.declared import declared
from mlinfra_aws.tags import pairs
from mlinfra_aws.waits import until

LONGEST: Final = 28 * 24 * 3600.0
"""Seconds that a job may take at most: AWS's own limit ends it before."""
ENDED: Final = ("Completed", "Failed", "Stopped")
STATES: Final[Mapping[str, Any]] = {
    "InProgress": "running",
    "Stopping": "running",
    "Completed": "ready",
    "Failed": "failed",
}


class VpcConfig(Part):
    """The network that a job is in."""

    security_group_ids: list[str] = Field(min_length=1, max_length=5)
    subnets: list[str] = Field(min_length=1, max_length=16)


class Experiment(Part):
    """The experiment that a job belongs to."""

    experiment_name: str | None = None
    trial_name: str | None = None
    trial_component_display_name: str | None = None
    run_name: str | None = None


class Job(SageMakerResource, Answering):
    """A job. A subclass says the API's word for it in ``api``."""

    service: ClassVar[str] = "sagemaker"
    gone_if: ClassVar[tuple[Rule, ...]] = (Rule("ValidationException", "Requested resource not found"),)

    @classmethod
    def described(cls, client: AwsClient, known: Known) -> Fields | None:
        answer = cls.found(client, f"Describe{cls.api}", **cls._named(known.id))
        if answer is None:
            return None
        live = cls.told(client, answer) or {}
        return {name: declared(value, known.fields.get(name)) for name, value in live.items()}

    # -- running --------------------------------------------------------------------------------------------------------

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """It is through: what comes after it needs what it makes."""
        cls._ended(client, known.id, op)

    def run(self, client: AwsClient, known: Known, op: Operation) -> RunResult:
        """Another job with these fields. The same step of the same plan starts one, however often it is cut off."""
        mark = hashlib.sha256(op.token.encode()).hexdigest()[:10]
        name = f"{known.id[: 62 - len(mark)].rstrip('-')}-{mark}"
        params = {**self.asked(client, f"Create{self.api}"), **self._named(name)}
        try:
            self.call(client, f"Create{self.api}", op=op, **params, Tags=pairs(self.owned(op)))
        except AwsError as error:
            if not error.exists:
                raise
            op.say("it is under way: waiting for it")
        try:
            answer = self._ended(client, name, op)
        except AwsError:
            raise
        except ProviderError as error:
            return RunResult(False, str(error))
        return RunResult(True, f"the job {name}", self.outcome(answer))

    @classmethod
    def outcome(cls, answer: Mapping[str, Any]) -> Fields:
        """What of a job that is through is told."""
        return {}

    @classmethod
    def _ended(cls, client: AwsClient, name: str, op: Operation) -> dict[str, Any]:
        told: dict[str, Any] = {}

        def look() -> tuple[str, str]:
            nonlocal told
            told = cls.call(client, f"Describe{cls.api}", **cls._named(name))
            return str(told[f"{cls.api}Status"]), str(told.get("FailureReason") or told.get("ExitMessage") or "")

        what = f"the {cls._noun()} {name}"
        until(
            client,
            op,
            what,
            look,
            ready=("Completed",),
            working=("InProgress", "Stopping"),
            timeout=LONGEST,
            every=15.0,
        )
        return told

    # -- ending ---------------------------------------------------------------------------------------------------------

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Stopped first if it still runs: AWS deletes what is through only."""
        answer = cls.found(client, f"Describe{cls.api}", **cls._named(known.id))
        if answer is None:
            return
        if answer[f"{cls.api}Status"] not in ENDED:
            cls.found(client, f"Stop{cls.api}", op=op, **cls._named(known.id))

            def look() -> tuple[str, str]:
                told = cls.found(client, f"Describe{cls.api}", **cls._named(known.id))
                return ("Stopped" if told is None else str(told[f"{cls.api}Status"])), ""

            what = f"the {cls._noun()} {known.id}"
            until(client, op, what, look, ready=ENDED, working=("InProgress", "Stopping"), timeout=3600.0)
        cls.found(client, f"Delete{cls.api}", op=op, **cls._named(known.id))

    @classmethod
    def status(cls, client: AwsClient, known: Known) -> Status | None:
        answer = cls.found(client, f"Describe{cls.api}", **cls._named(known.id))
        if answer is None:
            return None
        state = str(answer[f"{cls.api}Status"])
        return Status(STATES.get(state, "stopped"), str(answer.get("FailureReason") or state))
