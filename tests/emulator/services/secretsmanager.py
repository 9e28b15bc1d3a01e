"""Secrets Manager: answers without members that are not in the model; what waits for its deletion keeps its name."""

from __future__ import annotations

import json
from typing import Any

from moto.secretsmanager.exceptions import InvalidRequestException
from moto.secretsmanager.responses import SecretsManagerResponse

from . import before

_DESCRIBE = SecretsManagerResponse.describe_secret
_LIST = SecretsManagerResponse.list_secrets


def _describe(response: Any) -> str:
    told = json.loads(_DESCRIBE(response))
    told.pop("SecretVersionsToStages", None)
    return json.dumps(told)


def _list(response: Any) -> str:
    told = json.loads(_LIST(response))
    for one in told["SecretList"]:
        one.pop("VersionIdsToStages", None)
    return json.dumps(told)


SecretsManagerResponse.describe_secret = _describe  # type: ignore[method-assign]  # moto's own, in its place
SecretsManagerResponse.list_secrets = _list  # type: ignore[method-assign]  # moto's own, in its place


@before(SecretsManagerResponse, "create_secret")
def _free(response: Any) -> None:
    found = response.backend.secrets.get(response._get_param("Name"))
    if found is not None and found.is_deleted():
        raise InvalidRequestException(
            "You can't create this secret because a secret with this name is already scheduled for deletion."
        )
