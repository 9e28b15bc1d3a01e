"""SageMaker: notebook instances and domains, as `records`. A domain is named by an id that it is given."""

from __future__ import annotations

import secrets
from typing import Any

from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.responses import SageMakerResponse

from ..records import Record, Sort
from . import before, operation
from .sagemaker import SAGEMAKER, _assumed

# -- notebook instances -------------------------------------------------------------------------------------------------


def _notebook_made(record: Record, response: Any) -> None:
    record.members.setdefault("VolumeSizeInGB", 5)
    record.members.setdefault("DirectInternetAccess", "Enabled")
    record.members.setdefault("RootAccess", "Enabled")
    record.members.setdefault("PlatformIdentifier", "notebook-al2023-v1")
    record.members["SecurityGroups"] = record.members.get("SecurityGroupIds") or []
    record.members["NotebookInstanceLifecycleConfigName"] = record.members.get("LifecycleConfigName")
    record.members["Url"] = f"{record.name}.notebook.{response.region}.sagemaker.aws"


_FORGOTTEN = {
    "DisassociateLifecycleConfig": "NotebookInstanceLifecycleConfigName",
    "DisassociateDefaultCodeRepository": "DefaultCodeRepository",
    "DisassociateAdditionalCodeRepositories": "AdditionalCodeRepositories",
}


def _notebook_changed(record: Record, response: Any) -> None:
    assert record.pending is not None
    if "LifecycleConfigName" in record.pending:
        record.pending["NotebookInstanceLifecycleConfigName"] = record.pending["LifecycleConfigName"]
    for word, member in _FORGOTTEN.items():
        if record.pending.pop(word, False):
            record.pending[member] = None


NOTEBOOK = SAGEMAKER.add(
    Sort(
        "NotebookInstance",
        "NotebookInstanceName",
        "notebook-instance",
        "NotebookInstances",
        status="NotebookInstanceStatus",
        making=("Pending", "InService"),
        dying=("Deleting",),
        missing=("ValidationException", "RecordNotFound"),
        existing=("ValidationException", "Cannot create a duplicate Notebook Instance ({arn})"),
        made=_notebook_made,
        changed=_notebook_changed,
    )
)


def _notebook(response: Any, *statuses: str) -> Record:
    record = SAGEMAKER.get("NotebookInstance", response.params["NotebookInstanceName"], response)
    status = record.progress.status if record.progress is not None else None
    if status not in statuses:
        raise SagemakerClientError(
            "ValidationException", f"Status ({status}) not in ({list(statuses)}). Unable to transition to it."
        )
    return record


@operation(SageMakerResponse)
def stop_notebook_instance(response: Any) -> None:
    """Stop a machine."""
    record = _notebook(response, "InService")
    record.progress = SAGEMAKER._way(NOTEBOOK, record.name, ("Stopping", "Stopped"))


@operation(SageMakerResponse)
def start_notebook_instance(response: Any) -> None:
    """Start a machine."""
    record = _notebook(response, "Stopped", "Failed")
    record.progress = SAGEMAKER._way(NOTEBOOK, record.name, ("Pending", "InService"))


@operation(SageMakerResponse)
def update_notebook_instance(response: Any) -> dict[str, Any]:
    """Change a machine that stands still."""
    record = _notebook(response, "Stopped", "Failed")
    record.pending = dict(response.params)
    _notebook_changed(record, response)
    record.members |= record.pending
    record.members = {name: value for name, value in record.members.items() if value is not None}
    record.pending = None
    record.progress = SAGEMAKER._way(NOTEBOOK, record.name, ("Updating", "Stopped"))
    return {}


@operation(SageMakerResponse)
def delete_notebook_instance(response: Any) -> None:
    """Let a machine go that stands still."""
    _notebook(response, "Stopped", "Failed")
    SAGEMAKER._delete(NOTEBOOK, response)


# -- domains ------------------------------------------------------------------------------------------------------------


def _domain_made(record: Record, response: Any) -> None:
    record.name = f"d-{secrets.token_hex(6)}"
    record.arn = f"{record.arn}{record.name}"
    record.members |= {"DomainId": record.name, "DomainArn": record.arn}
    record.members.setdefault("AppNetworkAccessType", "PublicInternetOnly")
    record.members.setdefault("TagPropagation", "DISABLED")
    record.members["Url"] = f"https://{record.name}.studio.{response.region}.sagemaker.aws"


DOMAIN = SAGEMAKER.add(
    Sort(
        "Domain",
        "DomainId",
        "domain",
        "Domains",
        status="Status",
        making=("Pending", "InService"),
        changing=("Updating", "InService"),
        dying=("Deleting",),
        missing=("ResourceNotFound", "Domain with id {id} not found."),
        made=_domain_made,
    )
)


@operation(SageMakerResponse)
def create_domain(response: Any) -> dict[str, Any]:
    """Make a domain."""
    arn = SAGEMAKER._create(DOMAIN, response)["DomainArn"]
    return {"DomainArn": arn, "DomainId": arn.rpartition("/")[2]}


before(SageMakerResponse, "create_notebook_instance")(_assumed)
