"""`Provider`: the table a provider module offers, and `Place`, what it is told of the environment.

A provider's ``__init__.py`` holds its `Provider` and nothing else. Everything in it is named as ``module:attribute`` and
imported on first use, so that reading the table costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Place:
    """The environment that a provider works in. ``root`` is the blueprint's folder, ``work`` the environment's own folder
    for what runtimes keep (``.mlinfra/<environment>``); ``settings`` are the environment's other keys (region, host)."""

    blueprint: str
    environment: str
    root: Path
    work: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    disposable: bool = False


@dataclass(frozen=True, slots=True)
class Provider:
    """What a provider offers.

    ``resources`` maps a resource type to its class. ``recipes`` maps a kind to a function ``(component, Lowering) ->
    Outputs``: of a tool (realised by any runtime) or of a cloud's managed service. ``runtime`` names a class that realises
    workloads. ``connect`` names ``(Place) -> client`` (or is it); the client is handed to the functions of resource types.
    ``settings`` names a pydantic model of the environment keys that this provider knows. ``permissions`` names ``(steps) ->
    (document, unknown types)``: what credentials must be allowed for steps, pairs of a resource type and an action, in the
    provider's own form (an IAM policy). ``discover`` names ``(client, Scope) -> iterable of Found``: the objects whose tags say
    that they are ours, for a state that was lost (`mlinfra.sdk.discovery`).
    """

    name: str
    version: str
    resources: Mapping[str, str] = field(default_factory=dict)
    recipes: Mapping[str, str] = field(default_factory=dict)
    runtime: str | None = None
    connect: str | Callable[[Place], Any] | None = None
    settings: str | None = None
    permissions: str | None = None
    discover: str | None = None
    about: str = ""


def load(target: str | Callable[..., Any]) -> Any:
    """The object that ``module:attribute`` names; anything else is the object itself."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
