"""Application Auto Scaling: scalable targets carry tags and a role, and what is not there is said to be not found."""

from __future__ import annotations

from enum import Enum
from typing import Any

from moto.applicationautoscaling import responses
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import JsonRESTError
from moto.core.utils import get_service_model

from . import before, operation

# Moto knows fewer services than the API's own model.
_SERVICES = get_service_model("application-autoscaling").shape_for("ServiceNamespace").enum
responses.ServiceNamespaceValueSet = Enum("ServiceNamespaceValueSet", {one: one for one in _SERVICES})  # type: ignore[misc]

_REGISTER = ApplicationAutoScalingResponse.register_scalable_target


def _register(response: Any) -> Any:
    backend = response.applicationautoscaling_backend
    there = _target(response)
    answer = _REGISTER(response)
    target = _target(response)
    if there is None:
        account = response.current_account
        word = "SageMakerEndpoint"
        target.role_arn = target.role_arn or (
            f"arn:aws:iam::{account}:role/aws-service-role/{target.service_namespace}.application-autoscaling.amazonaws.com/"
            f"AWSServiceRoleForApplicationAutoScaling_{word}"
        )
        _tags(backend)[target.arn] = dict(response._get_param("Tags") or {})
    return answer


ApplicationAutoScalingResponse.register_scalable_target = _register  # type: ignore[method-assign]  # in place of moto's


def _target(response: Any) -> Any:
    targets = response.applicationautoscaling_backend.targets
    return targets.get(response._get_param("ScalableDimension"), {}).get(response._get_param("ResourceId"))


def _tags(backend: Any) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = backend.__dict__.setdefault("mlinfra_tags", {})
    return found


def _of(response: Any) -> dict[str, str]:
    backend = response.applicationautoscaling_backend
    arn = response._get_param("ResourceARN")
    if not any(target.arn == arn for targets in backend.targets.values() for target in targets.values()):
        raise JsonRESTError("ResourceNotFoundException", f"The scalable target {arn} was not found.")
    return _tags(backend).setdefault(arn, {})


@operation(ApplicationAutoScalingResponse)
def list_tags_for_resource(response: Any) -> dict[str, Any]:
    """The tags of a target."""
    return {"Tags": _of(response)}


@operation(ApplicationAutoScalingResponse)
def tag_resource(response: Any) -> dict[str, Any]:
    """Set tags of a target."""
    _of(response).update(response._get_param("Tags"))
    return {}


@operation(ApplicationAutoScalingResponse)
def untag_resource(response: Any) -> dict[str, Any]:
    """Remove tags of a target."""
    tags = _of(response)
    for key in response._get_param("TagKeys"):
        tags.pop(key, None)
    return {}


@before(ApplicationAutoScalingResponse, "deregister_scalable_target")
def _registered(response: Any) -> None:
    if _target(response) is None:
        raise JsonRESTError("ObjectNotFoundException", "No scalable target was found.")


@before(ApplicationAutoScalingResponse, "delete_scaling_policy")
def _known(response: Any) -> None:
    names = {policy.policy_name for policy in response.applicationautoscaling_backend.policies.values()}
    if response._get_param("PolicyName") not in names:
        raise JsonRESTError("ObjectNotFoundException", "No scaling policy was found.")
