"""What credentials must be allowed for a plan: asked of the providers that can tell. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.lower import Desire
from mlinfra.engine.plan import Plan
from mlinfra.sdk.provider import Place, Step, load
from mlinfra.sdk.refs import UNKNOWN, Reference, resolve


def permissions(
    plan: Plan, desire: Desire, catalog: Catalog, place: Place
) -> tuple[dict[str, Mapping[str, Any]], list[str]]:
    """By provider, the document that its ``permissions`` makes of the plan's steps and of reading all that is desired; and the
    resource types of which a provider does not know."""
    steps: dict[str, list[Step]] = {}
    for step in _steps(plan, desire):
        steps.setdefault(catalog.owner(step.type).name, []).append(step)
    documents: dict[str, Mapping[str, Any]] = {}
    unknown: list[str] = []
    for provider, asked in steps.items():
        target = catalog.provider(provider).permissions
        if target is not None:
            documents[provider], missing = load(target)(asked, place)
            unknown += missing
    return documents, unknown


def _steps(plan: Plan, desire: Desire) -> Iterator[Step]:
    def lookup(reference: Reference) -> Any:
        """What the blueprint itself says of another resource; an apply tells the rest."""
        wanted = desire.resources.get(reference.address)
        value: Any = wanted.fields if wanted else UNKNOWN
        for key in reference.path.split("."):
            value = value.get(key, UNKNOWN) if isinstance(value, Mapping) else UNKNOWN
        return resolve(value, lookup, lambda source, bindings: UNKNOWN)

    def known(fields: Mapping[str, Any]) -> Mapping[str, Any]:
        found: Mapping[str, Any] = resolve(fields, lookup, lambda source, bindings: UNKNOWN)
        return found

    desired = {address: known(resource.fields) for address, resource in desire.resources.items()}
    for address, resource in desire.resources.items():
        yield Step(resource.type, "read", desired[address])
    for node in plan.nodes:
        wanted = desired.get(node.address, {}) if node.action == "run" else known(node.fields)
        yield Step(node.type, node.action, {**node.before, **wanted})
