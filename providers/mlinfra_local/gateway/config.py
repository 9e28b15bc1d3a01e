"""What the gateway shall do: the text of its configuration file, checked. Touches no file."""

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
class Config:
    """``hold``: seconds that a request waits while no target can take it. ``digest``: SHA-256 of the file's text."""

    targets: tuple[TargetConfig, ...] = ()
    health: str = "/health"
    sticky: str | None = None
    hold: float = 60.0
    repeat: bool = True
    digest: str = ""


def parse(text: str) -> Config:
    """A configuration.

    Errors: ValueError saying what is wrong.
    """
    told = json.loads(text)
    if not isinstance(told, dict) or not isinstance(told.get("targets"), list):
        raise ValueError("the configuration is not an object with a list of targets")
    unknown = set(told) - {"targets", "health", "sticky", "hold", "repeat"}
    if unknown:
        raise ValueError(f"unknown keys: {', '.join(sorted(unknown))}")
    targets = tuple(_target(item) for item in told["targets"])
    names = [target.name for target in targets]
    if len(set(names)) != len(names):
        raise ValueError("two targets have the same name")
    health = told.get("health", "/health")
    if not isinstance(health, str) or not health.startswith("/"):
        raise ValueError("health is not a path")
    sticky = told.get("sticky")
    if sticky is not None and not isinstance(sticky, str):
        raise ValueError("sticky is not the name of a header")
    hold = told.get("hold", 60.0)
    if isinstance(hold, bool) or not isinstance(hold, int | float) or hold < 0:
        raise ValueError("hold is not a number of seconds")
    return Config(
        targets, health, sticky, float(hold), bool(told.get("repeat", True)), hashlib.sha256(text.encode()).hexdigest()
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
    return TargetConfig(name, url.rstrip("/"), weight, bool(item.get("shadow", False)))
