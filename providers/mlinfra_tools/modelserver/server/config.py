"""The server's configuration: a JSON file that is read again when it changes. Must not act on what it says.

::

    {"endpoint": "fraud", "variant": "champion", "model": "fraud", "version": "3", "tracking_uri": "http://127.0.0.1:5000",
     "capture": {"sample": 1.0, "keep": 2592000, "max_bytes": 1073741824}, "cache": {"ttl": 60, "entries": 1024},
     "batching": {"max_rows": 64, "max_wait": 0.01}, "max_body": 10485760}

The model comes from the registry at ``tracking_uri``, or from the folder ``artifact``: one of the two must be there.

``capture``, ``cache`` and ``batching`` are off where they are absent or null. Times are seconds, sizes bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Capture:
    """``sample`` is the share of requests that is kept (0 to 1); files go ``keep`` seconds after their day, or, oldest first,
    when a variant's files exceed ``max_bytes``."""

    sample: float = 1.0
    keep: float = 2_592_000.0
    max_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Cache:
    """Answers to equal requests are kept for ``ttl`` seconds, at most ``entries`` of them."""

    ttl: float
    entries: int = 1024


@dataclass(frozen=True, slots=True)
class Batching:
    """Requests that arrive within ``max_wait`` seconds are answered by one call of the model with at most ``max_rows``."""

    max_rows: int = 64
    max_wait: float = 0.01


@dataclass(frozen=True, slots=True)
class Config:
    """What to serve and how."""

    model: str
    version: str
    tracking_uri: str = ""
    artifact: str = ""
    endpoint: str = ""
    variant: str = ""
    capture: Capture | None = None
    cache: Cache | None = None
    batching: Batching | None = None
    max_body: int = 10 << 20
    """Bytes that a request's body may have."""

    @property
    def source(self) -> tuple[str, str, str, str]:
        """What decides which model is loaded."""
        return (self.tracking_uri, self.artifact, self.model, self.version)


def parse(text: str) -> Config:
    """The configuration in ``text``.

    Errors: ValueError that names the key.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the configuration is not JSON: {error}") from error
    parts: dict[str, type[Any]] = {"capture": Capture, "cache": Cache, "batching": Batching}
    if isinstance(raw, Mapping):
        raw = {
            key: _typed(parts[key], value, f"{key}.") if key in parts and value is not None else value
            for key, value in raw.items()
        }
    config = _typed(Config, raw, "")
    if bool(config.tracking_uri) == bool(config.artifact):
        raise ValueError('exactly one of "tracking_uri" and "artifact" must be there')
    return config


def _typed(type_: type[T], raw: Any, prefix: str) -> T:
    if not isinstance(raw, Mapping):
        raise ValueError(f'"{prefix.rstrip(".") or "configuration"}" must be an object')
    known = {item.name: item for item in fields(type_)}  # type: ignore[arg-type]
    for key in raw:
        if key not in known:
            raise ValueError(f'unknown key "{prefix}{key}"')
    values: dict[str, Any] = {}
    for name, item in known.items():
        if name not in raw:
            if item.default is MISSING:
                raise ValueError(f'"{prefix}{name}" is missing')
            continue
        values[name] = _scalar(str(item.type), raw[name], prefix + name)
    return type_(**values)


def _scalar(type_: str, value: Any, name: str) -> Any:
    if type_ in ("float", "int") and isinstance(value, str):
        value = _number(value)  # a value that was put into a text comes as text
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if type_ == "str":
        # A version comes as a number where the file was made from a value of that type.
        if isinstance(value, str) or number:
            return str(value)
    elif type_ in ("float", "int"):
        if number and value >= 0:
            return int(value) if type_ == "int" else float(value)
    else:
        return value
    raise ValueError(f'"{name}" must be {"text" if type_ == "str" else "a number, 0 or more"}, not {value!r}')


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
