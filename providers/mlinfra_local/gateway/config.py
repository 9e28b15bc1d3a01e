"""What the gateway shall do: the text of its configuration file, checked. Touches no file.

::

    {"targets": [{"name": "champion", "url": "http://127.0.0.1:8001", "weight": 90, "shadow": false}],
     "health": {"path": "/ping", "every": 5, "timeout": 2, "failures": 3},
     "sticky": "X-User", "timeout": 60, "hold": 60, "repeat": true, "metrics": "/metrics"}

Only ``targets`` must be there. Times are seconds.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class TargetConfig:
    """One server behind the gateway. ``weight`` 0: gets no request. ``shadow``: gets copies only."""

    name: str
    url: str
    weight: int = 100
    shadow: bool = False


@dataclass(frozen=True)
class Health:
    """How often a target is asked at ``path``, how long its answer may take, and after how many failures in a row it
    gets no requests."""

    path: str = "/health"
    every: float = 5.0
    timeout: float = 2.0
    failures: int = 3


@dataclass(frozen=True)
class Config:
    """``timeout``: seconds until a target must answer. ``hold``: seconds that a request waits while no target can take it.
    ``repeat``: an unanswered request may be sent again, whatever its method. ``metrics``: the path at which targets tell
    theirs. ``digest``: SHA-256 of the file's text."""

    targets: tuple[TargetConfig, ...] = ()
    health: Health = Health()
    sticky: str | None = None
    timeout: float = 60.0
    hold: float = 60.0
    repeat: bool = False
    metrics: str | None = None
    digest: str = ""


def parse(text: str) -> Config:
    """A configuration.

    Errors: ValueError saying what is wrong.
    """
    told = json.loads(text)
    if not isinstance(told, dict) or not isinstance(told.get("targets"), list):
        raise ValueError("the configuration is not an object with a list of targets")
    _known(told, ("targets", "health", "sticky", "timeout", "hold", "repeat", "metrics"))
    targets = tuple(_target(item) for item in told["targets"])
    names = [target.name for target in targets]
    if len(set(names)) != len(names):
        raise ValueError("two targets have the same name")
    return Config(
        targets,
        _health(told.get("health", {})),
        _text(told, "sticky"),
        _number(told, "timeout", 60.0, above=0.0),
        _number(told, "hold", 60.0),
        _switch(told, "repeat"),
        _path(told, "metrics", None),
        hashlib.sha256(text.encode()).hexdigest(),
    )


def _target(item: Any) -> TargetConfig:
    if not isinstance(item, dict) or set(item) - {"name", "url", "weight", "shadow"}:
        raise ValueError(f"{item!r} is not a target with name, url, weight and shadow")
    name, url, weight = item.get("name"), item.get("url"), item.get("weight", 100)
    if not isinstance(name, str) or not name or not name.isprintable():
        raise ValueError("a target has no name")
    if not isinstance(url, str) or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError(f"the target {name} has no http URL")
    if isinstance(weight, bool) or not isinstance(weight, int) or weight < 0:
        raise ValueError(f"the weight of {name} is not a number from 0 on")
    return TargetConfig(name, url.rstrip("/"), weight, _switch(item, "shadow"))


def _health(told: Any) -> Health:
    if not isinstance(told, dict):
        raise ValueError("health is not an object")
    _known(told, ("path", "every", "timeout", "failures"))
    failures = told.get("failures", 3)
    if isinstance(failures, bool) or not isinstance(failures, int) or failures < 1:
        raise ValueError("health.failures is not a number from 1 on")
    return Health(
        _path(told, "path", "/health") or "/health",
        _number(told, "every", 5.0, above=0.0),
        _number(told, "timeout", 2.0, above=0.0),
        failures,
    )


def _known(told: dict[str, Any], names: tuple[str, ...]) -> None:
    unknown = set(told) - set(names)
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")


def _text(told: dict[str, Any], key: str) -> str | None:
    value = told.get(key)
    if value is not None and (not isinstance(value, str) or not value):
        raise ValueError(f"{key} is not a text")
    return value


def _path(told: dict[str, Any], key: str, default: str | None) -> str | None:
    value = told.get(key, default)
    if value is not None and (not isinstance(value, str) or not value.startswith("/")):
        raise ValueError(f"{key} is not a path that begins with /")
    return value


def _number(told: dict[str, Any], key: str, default: float, above: float | None = None) -> float:
    value = told.get(key, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value < 0
        or (above is not None and value <= above)
    ):
        raise ValueError(f"{key} is not a number of seconds")
    return float(value)


def _switch(told: dict[str, Any], key: str) -> bool:
    value = told.get(key, False)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is neither true nor false")
    return value
