"""`aws.sagemaker_notebook_instance`: a machine with notebooks. It is stopped to be changed, and then started again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from mlinfra.sdk.fields import REPLACE, UNORDERED, VOLATILE
from mlinfra.sdk.resource import Fields, Known, Operation, Status
from mlinfra_aws.client import AwsClient
from mlinfra_aws.errors import AwsError, Rule
from mlinfra_aws.regular import Answering
from mlinfra_aws.resource import Part
from mlinfra_aws.sagemaker.base import InstanceType, Name, RoleArn, SageMakerResource
from mlinfra_aws.waits import until

TIMEOUT: Final = 30 * 60.0
"""Seconds for a machine to start, to stop or to go."""
WORKING: Final = ("Pending", "Stopping", "Updating", "PendingMaintenance", "InMaintenance")
FORGOTTEN: Final[Mapping[str, str]] = {
    "lifecycle_config_name": "DisassociateLifecycleConfig",
    "default_code_repository": "DisassociateDefaultCodeRepository",
    "additional_code_repositories": "DisassociateAdditionalCodeRepositories",
}
"""Fields → how an update takes them away."""


class Metadata(Part):
    """How the machine's own data is asked for."""

    minimum_instance_metadata_service_version: Literal["1", "2"]


class NotebookInstance(SageMakerResource, Answering):
    """A notebook instance. What lies on its disk goes with it.

    Example::

        resource:
          desk:
            type: aws.sagemaker_notebook_instance
            name: desk
            role_arn: ${resource.scientist.arn}
            instance_type: ml.t3.medium
    """

    type: ClassVar[str] = "aws.sagemaker_notebook_instance"
    noun: ClassVar[str] = "notebook instance"
    holds_data: ClassVar[bool] = True
    service: ClassVar[str] = "sagemaker"
    gone_if: ClassVar[tuple[Rule, ...]] = (Rule("ValidationException", "RecordNotFound"),)
    exists_if: ClassVar[tuple[Rule, ...]] = (
        Rule("ValidationException", "Cannot create a duplicate Notebook Instance"),
    )
    api: ClassVar[str] = "NotebookInstance"
    words: ClassVar[Mapping[str, str]] = {"name": "NotebookInstanceName", "volume_size": "VolumeSizeInGB"}
    listing: ClassVar[tuple[str, str] | None] = ("ListNotebookInstances", "NotebookInstances")
    stamp: ClassVar[str] = "LastModifiedTime"

    name: Annotated[Name, REPLACE]
    """Its name."""
    role_arn: RoleArn
    """The role that it has."""
    instance_type: InstanceType
    """What it is."""
    volume_size: int = Field(5, ge=5, le=16384)
    """GB of its disk."""
    subnet_id: Annotated[str | None, REPLACE] = None
    """The subnet that it is in."""
    security_groups: Annotated[list[str], UNORDERED, REPLACE] = Field([], max_length=5)
    """Its security groups there."""
    direct_internet_access: Annotated[Literal["Enabled", "Disabled"], REPLACE] = "Enabled"
    """Whether it reaches the internet past the subnet."""
    root_access: Literal["Enabled", "Disabled"] = "Enabled"
    """Whether its users are root."""
    kms_key_id: Annotated[str | None, REPLACE] = None
    """The key that encrypts its disk."""
    platform_identifier: Annotated[str | None, REPLACE] = None
    """The system that it runs; AWS's newest if not given."""
    lifecycle_config_name: str | None = None
    """What is run when it starts."""
    default_code_repository: str | None = None
    """The repository that it opens with."""
    additional_code_repositories: Annotated[list[str], UNORDERED] = Field([], max_length=3)
    """Repositories that are there as well."""
    instance_metadata_service_configuration: Metadata | None = None
    """How the machine's own data is asked for."""
    notebook_instance_status: Annotated[str | None, VOLATILE] = None
    last_modified_time: Annotated[str | None, VOLATILE] = None
    url: Annotated[str | None, VOLATILE] = None
    """Where it answers."""

    # -- reading --------------------------------------------------------------------------------------------------------

    @classmethod
    def described(cls, client: AwsClient, known: Known) -> Fields | None:
        answer = cls.found(client, "DescribeNotebookInstance", NotebookInstanceName=known.id)
        return None if answer is None else cls.told(client, answer)

    @classmethod
    def told(cls, client: AwsClient, answer: Mapping[str, Any]) -> Fields | None:
        if answer["NotebookInstanceStatus"] == "Deleting":
            return None
        live = super().told(client, answer) or {}
        # Two things that it is made with have other names when it is described.
        live["security_groups"] = answer.get("SecurityGroups", [])
        live["lifecycle_config_name"] = answer.get("NotebookInstanceLifecycleConfigName")
        return live

    # -- changing -------------------------------------------------------------------------------------------------------

    def asked(self, client: AwsClient, operation: str) -> dict[str, Any]:
        params = super().asked(client, operation)
        if self.security_groups and operation.startswith("Create"):
            params["SecurityGroupIds"] = self.security_groups
        return params

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        runs = self._halted(client, known.id, op)
        params = self.asked(client, "UpdateNotebookInstance")
        params |= {word: True for name, word in FORGOTTEN.items() if name in changed and not getattr(self, name)}
        self._sent(client, "UpdateNotebookInstance", op, **params)
        self._until(client, known.id, op, "Stopped")
        if runs:
            self._sent(client, "StartNotebookInstance", op, NotebookInstanceName=known.id)
        return None

    @classmethod
    def _halted(cls, client: AwsClient, name: str, op: Operation) -> bool:
        """Stop it; whether it ran before."""
        status = cls._until(client, name, op, "InService", "Stopped", "Failed")
        if status != "InService":
            return False
        cls._sent(client, "StopNotebookInstance", op, NotebookInstanceName=name)
        cls._until(client, name, op, "Stopped", "Failed", "gone")
        return True

    @classmethod
    def _sent(cls, client: AwsClient, operation: str, op: Operation, **params: Any) -> None:
        """A call that is refused in the status that it brings about: after a reply that was lost, that says that it worked."""
        try:
            cls.found(client, operation, op=op, **params)
        except AwsError as error:
            if not (error.after_lost and "Unable to transition" in error.text):
                raise

    @classmethod
    def _until(cls, client: AwsClient, name: str, op: Operation, *ready: str) -> str:
        status = ""

        def look() -> tuple[str, str]:
            nonlocal status
            answer = cls.found(client, "DescribeNotebookInstance", NotebookInstanceName=name)
            status = "gone" if answer is None else str(answer["NotebookInstanceStatus"])
            return status, str((answer or {}).get("FailureReason", ""))

        what = f"the notebook instance {name}"
        until(client, op, what, look, ready=ready, working=(*WORKING, "Deleting"), timeout=TIMEOUT, every=10.0)
        return status

    @classmethod
    def ready(cls, client: AwsClient, known: Known, op: Operation) -> None:
        # One that somebody stopped, for the night say, is as it shall be.
        cls._until(client, known.id, op, "InService", "Stopped")

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        """Stopped first; deleted once AWS says that it is gone."""
        if cls.found(client, "DescribeNotebookInstance", NotebookInstanceName=known.id) is None:
            return
        status = cls._until(client, known.id, op, "InService", "Stopped", "Failed", "gone")
        if status == "InService":
            cls._halted(client, known.id, op)
        cls._sent(client, "DeleteNotebookInstance", op, NotebookInstanceName=known.id)
        cls._until(client, known.id, op, "gone")

    @classmethod
    def would_lose(cls, client: AwsClient, known: Known) -> str | None:
        return f"what lies on its disk of {known.fields.get('volume_size', 5)} GB"

    @classmethod
    def status(cls, client: AwsClient, known: Known) -> Status | None:
        answer = cls.found(client, "DescribeNotebookInstance", NotebookInstanceName=known.id)
        if answer is None:
            return None
        state, url = str(answer["NotebookInstanceStatus"]), str(answer.get("Url", ""))
        if state in ("Failed", "Stopped"):
            return Status("failed" if state == "Failed" else "stopped", str(answer.get("FailureReason") or state), url)
        return Status("ready", state, url)
