"""What credentials must be allowed for a plan: asked of the providers that can tell. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.plan import Plan
from mlinfra.sdk.provider import load


def permissions(plan: Plan, types: Iterable[str], catalog: Catalog) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """By provider, the document that its ``permissions`` makes of the plan's steps and of reading ``types``; and the resource
    types of which a provider does not know."""
    steps: dict[str, list[tuple[str, str]]] = {}
    wanted = {*((name, "read") for name in types), *((node.type, node.action) for node in plan.nodes)}
    for name, action in sorted(wanted):
        steps.setdefault(catalog.owner(name).name, []).append((name, action))
    documents: dict[str, Mapping[str, Any]] = {}
    unknown: list[str] = []
    for provider, asked in steps.items():
        target = catalog.provider(provider).permissions
        if target is not None:
            documents[provider], missing = load(target)(asked)
            unknown += missing
    return documents, unknown
