"""Endpoints and what scales them: a variant that is a scalable target neither goes nor changes its instance type, policies go with
their target, and targets with their endpoint."""

from __future__ import annotations

from typing import Any

from moto.applicationautoscaling.models import ApplicationAutoscalingBackend, applicationautoscaling_backends
from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.responses import SageMakerResponse

from . import before
from .sagemaker import SAGEMAKER

DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def _registered(response: Any, endpoint: str) -> set[str]:
    """The variants of an endpoint that are scalable targets."""
    backend = applicationautoscaling_backends[response.current_account][response.region]
    start = f"endpoint/{endpoint}/variant/"
    return {one.removeprefix(start) for one in backend.targets.get(DIMENSION, {}) if one.startswith(start)}


def _types(response: Any, config: str) -> dict[str, str] | None:
    """The instance type of each variant; None if the configuration is gone."""
    found = SAGEMAKER.all("EndpointConfig", response).get(config)
    if found is None:
        return None
    return {one["VariantName"]: one.get("InstanceType", "") for one in found.members["ProductionVariants"]}


@before(SageMakerResponse, "update_endpoint")
def _fixed(response: Any) -> None:
    name = response.params["EndpointName"]
    registered = _registered(response, name)
    new = _types(response, response.params["EndpointConfigName"])
    if not registered or new is None:  # moto's own answer says what is missing
        return
    old = _types(response, SAGEMAKER.get("Endpoint", name, response).members["EndpointConfigName"]) or new
    upset = sorted(one for one in registered if one not in new or old.get(one) != new[one])
    if upset:
        raise SagemakerClientError(
            "ValidationException",
            f'The variant(s) "{upset}" must be deregistered as scalable targets with AWS Auto Scaling before they can be '
            "removed or have their instance type updated.",
        )


@before(SageMakerResponse, "delete_endpoint")
def _alone(response: Any) -> None:
    backend = applicationautoscaling_backends[response.current_account][response.region]
    for variant in _registered(response, response.params["EndpointName"]):
        where = f"endpoint/{response.params['EndpointName']}/variant/{variant}"
        backend.deregister_scalable_target("sagemaker", where, DIMENSION)


_DEREGISTER = ApplicationAutoscalingBackend.deregister_scalable_target


def _deregister(backend: Any, namespace: str, r_id: str, dimension: str) -> None:
    _DEREGISTER(backend, namespace, r_id, dimension)
    there = [
        key for key, one in backend.policies.items() if (one.resource_id, one.scalable_dimension) == (r_id, dimension)
    ]
    for key in there:
        backend.policies.pop(key).delete_alarms(backend.account_id, backend.region_name)


ApplicationAutoscalingBackend.deregister_scalable_target = _deregister  # type: ignore[method-assign]  # in place of moto's
