"""Between the fields of resource types and the API's own structures, by botocore's models. Pure.

Fields are the API's members in snake_case (``ModelDataUrl`` → ``model_data_url``), so a model of the API is all it takes.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@cache
def snake(name: str) -> str:
    """``EnableSSMAccess`` → ``enable_ssm_access``."""
    return _HUMP.sub("_", name).lower()


def to_api(shape: Any, value: Any) -> Any:
    """A field's value as the API takes it. What is absent is left out."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping):
        members = {snake(name): name for name in shape.members}
        return {
            members[key]: to_api(shape.members[members[key]], item) for key, item in value.items() if not absent(item)
        }
    if kind == "list" and isinstance(value, Sequence) and not isinstance(value, str):
        return [to_api(shape.member, item) for item in value]
    return value


def from_api(shape: Any, value: Any) -> Any:
    """The API's value as a field's. Times are ISO texts; what is absent is left out of mappings."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, Mapping):
        found = {
            snake(name): from_api(shape.members[name], item) for name, item in value.items() if name in shape.members
        }
        return {key: item for key, item in found.items() if not absent(item)}
    if kind == "list" and isinstance(value, list):
        return [from_api(shape.member, item) for item in value]
    return plain(value)


def plain(value: Any) -> Any:
    """A JSON value of what botocore gives."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def compact(value: Any) -> Any:
    """Without what is absent, at every depth: so that two ways to say nothing are one."""
    if isinstance(value, Mapping):
        found = {key: compact(item) for key, item in value.items()}
        return {key: item for key, item in found.items() if not absent(item)}
    if isinstance(value, list | tuple):
        return [compact(item) for item in value]
    return value


def absent(value: Any) -> bool:
    """None, ``{}`` and ``[]`` say the same as nothing."""
    return value is None or (isinstance(value, dict | list | tuple) and not value)
