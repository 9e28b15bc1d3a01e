"""The digest of a blueprint: one text that changes with anything that was resolved, and gives no secret away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from mlinfra.blueprint.components import Assembly
from mlinfra.blueprint.environments import Environment
from mlinfra.sdk.refs import Sensitive


def digest(name: str, environment: Environment, values: Mapping[str, Any], assembly: Assembly) -> str:
    """SHA-256 over all that was resolved. Secrets go in through a slow salted hash, so that the digest gives none away."""
    secrets: list[str] = []

    def public(value: Any) -> Any:
        if isinstance(value, Sensitive):
            secrets.append(value.reveal())
            return None
        if isinstance(value, dict):
            return {key: public(item) for key, item in value.items()}
        return [public(item) for item in value] if isinstance(value, list) else value

    guarded = public if any(_secret(value) for value in values.values()) else (lambda value: value)
    tree = [
        name,
        environment.name,
        environment.provider,
        environment.disposable,
        environment.protect,
        environment.state,
        guarded(dict(environment.settings)),
        guarded(dict(values)),
        {address: guarded(item.fields) for address, item in assembly.components.items()},
        {address: [item.type, guarded(item.fields)] for address, item in assembly.resources.items()},
    ]
    if secrets:
        salt = f"{name}/{environment.name}".encode()
        tree.append(hashlib.pbkdf2_hmac("sha256", json.dumps(secrets).encode(), salt, 100_000).hex())
    return hashlib.sha256(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _secret(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_secret, value.values()))
    return any(map(_secret, value)) if isinstance(value, list) else isinstance(value, Sensitive)
