"""Batch: what an environment runs on can be changed, and a revision of a job definition has nothing of the one before it."""

from __future__ import annotations

from typing import Any

from moto.batch.exceptions import ClientException
from moto.batch.models import BatchBackend
from moto.batch.responses import BatchResponse

from . import before

_REGISTER = BatchBackend.register_job_definition


@before(BatchResponse, "createcomputeenvironment")
def _free(response: Any) -> None:
    if response.batch_backend.get_compute_environment_by_name(response._get_param("computeEnvironmentName")):
        raise ClientException("Object already exists")


@before(BatchResponse, "updatecomputeenvironment")
def _resources(response: Any) -> None:
    asked = response._get_param("computeResources")
    environment = response.batch_backend.get_compute_environment(response._get_param("computeEnvironment"))
    if asked and environment is not None:
        environment.compute_resources = {**environment.compute_resources, **asked}


def _register(backend: Any, **told: Any) -> Any:
    definition = _REGISTER(backend, **told)
    definition.parameters = told["parameters"] or {}
    definition.retry_strategy = told["retry_strategy"]
    definition.platform_capabilities = told["platform_capabilities"] or ["EC2"]
    definition.propagate_tags = bool(told["propagate_tags"])
    return definition


BatchBackend.register_job_definition = _register  # type: ignore[method-assign]  # moto's own, in its place
