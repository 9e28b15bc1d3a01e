"""Lambda: all of a function's configuration can be changed, and the place for events that it failed at is told."""

from __future__ import annotations

from typing import Any

from moto.awslambda.models import LambdaBackend, LambdaFunction

_CREATE = LambdaBackend.create_function
_UPDATE = LambdaFunction.update_configuration
_RECODE = LambdaFunction.update_function_code
_TELL = LambdaFunction.get_configuration


def _create(backend: Any, spec: dict[str, Any]) -> Any:
    function = _CREATE(backend, spec)
    function.mlinfra_dead_letters = spec.get("DeadLetterConfig")
    return function


def _update(function: Any, config_updates: dict[str, Any]) -> Any:
    if "KMSKeyArn" in config_updates:
        function.kms_key_arn = config_updates["KMSKeyArn"] or None
    if "TracingConfig" in config_updates:
        function.tracing_config = config_updates["TracingConfig"]
    if "EphemeralStorage" in config_updates:
        function.ephemeral_storage = config_updates["EphemeralStorage"]["Size"]
    if "DeadLetterConfig" in config_updates:
        function.mlinfra_dead_letters = config_updates["DeadLetterConfig"]
    return _UPDATE(function, config_updates)


def _recode(function: Any, updated_spec: dict[str, Any]) -> Any:
    if updated_spec.get("Architectures"):
        function.architectures = updated_spec["Architectures"]
    return _RECODE(function, updated_spec)


def _tell(function: Any, on_create: bool = False) -> dict[str, Any]:
    told = _TELL(function, on_create)
    dead = getattr(function, "mlinfra_dead_letters", None)
    return {**told, "DeadLetterConfig": dead} if dead and dead.get("TargetArn") else told


LambdaBackend.create_function = _create  # type: ignore[method-assign]  # moto's own, in its place
LambdaFunction.update_configuration = _update  # type: ignore[method-assign]  # moto's own, in its place
LambdaFunction.update_function_code = _recode  # type: ignore[method-assign]  # moto's own, in its place
LambdaFunction.get_configuration = _tell  # type: ignore[method-assign]  # moto's own, in its place
