"""CloudWatch Logs: the key of a log group can be changed."""

from __future__ import annotations

from typing import Any

from moto.logs.responses import LogsResponse

from . import operation


@operation(LogsResponse)
def associate_kms_key(response: Any) -> None:
    """Give a log group a key."""
    _group(response).kms_key_id = response._get_param("kmsKeyId")


@operation(LogsResponse)
def disassociate_kms_key(response: Any) -> None:
    """Take a log group's key away."""
    _group(response).kms_key_id = None


def _group(response: Any) -> Any:
    from moto.logs.exceptions import ResourceNotFoundException

    name = response._get_param("logGroupName")
    groups = response.logs_backend.groups
    if name not in groups:
        raise ResourceNotFoundException(msg="The specified log group does not exist.")
    return groups[name]
