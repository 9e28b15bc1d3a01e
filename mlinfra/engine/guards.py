"""What keeps a plan from being applied: it no longer holds (P10), or it would lose data that nobody agreed to lose (P11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlinfra.blueprint.loader import Environment
from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.refresh import World
from mlinfra.engine.values import decode, live_digest
from mlinfra.sdk.diagnostics import Diagnostic
from mlinfra.sdk.errors import Unreachable
from mlinfra.sdk.resource import Known
from mlinfra.state.snapshot import State

_AGAIN = "Make and review a new plan: mlinfra plan --out FILE."


def stale(plan: Plan, *, digest: str, state: State, providers: Mapping[str, str], version: str) -> list[Diagnostic]:
    """Why a saved plan does not apply any more, by what can be told without reading live objects."""
    found: list[str] = []
    if plan.version != version:
        found.append(f"it was made by mlinfra {plan.version}, and this is {version}")
    if plan.digest != digest:
        found.append("the blueprint (or a variable) has changed since the plan was made")
    if plan.lineage != state.lineage and plan.serial > 0:
        found.append("the state is another one than the plan was made from")
    elif plan.serial != state.serial:
        found.append(f"the state has changed since: it was at serial {plan.serial}, it is at {state.serial}")
    for name, made_with in plan.providers.items():
        if providers.get(name, made_with) != made_with:
            found.append(f"the provider {name} was {made_with}, it is {providers[name]}")
    return [
        Diagnostic("plan-stale", "Saved plan is out of date", f"Nothing was changed: {text}.", _AGAIN) for text in found
    ]


def moved(plan: Plan, world: World, catalog: Catalog) -> list[Diagnostic]:
    """Which live objects that the plan touches are no longer as the plan saw them."""
    found = []
    for node in plan.nodes:
        if node.live is None or node.address not in world.live:
            continue
        live = world.live[node.address]
        if isinstance(live, Unreachable):
            why = f"cannot be read ({live})"
        elif live is None:
            why = "is gone"
        elif live_digest(catalog.resource_type(node.type), live, plan.salt) != node.live:
            why = "has changed"
        else:
            continue
        found.append(
            Diagnostic(
                "plan-stale",
                "Saved plan is out of date",
                f"Nothing was changed: {node.address} {why} since the plan was made.",
                _AGAIN,
                address=node.address,
            )
        )
    return found


def shifted(plan: Plan, again: Plan) -> list[Diagnostic]:
    """Which resources would become something else than the plan showed, since files or environment variables that they take
    a part of their fields from have changed. ``again`` is the same plan, made now."""
    now = {node.id: node.outside for node in again.nodes}
    return [
        Diagnostic(
            "plan-stale",
            "Saved plan is out of date",
            f"Nothing was changed: a file or variable that {node.address} takes its content from has changed since.",
            _AGAIN,
            address=node.address,
        )
        for node in plan.nodes
        if node.outside is not None and now.get(node.id) != node.outside
    ]


def losses(nodes: Iterable[Node], state: State, world: World, catalog: Catalog, clients: Clients) -> dict[str, str]:
    """What each delete among ``nodes`` would lose, by address; only of types that hold data."""
    found: dict[str, str] = {}
    for node in nodes:
        if node.action not in ("delete", "forget"):
            continue
        model = catalog.resource_type(node.type)
        entry = state.resources.get(node.address)
        if not model.holds_data or entry is None:
            continue
        live = world.live.get(node.address)
        if isinstance(live, Unreachable):
            found[node.address] = f"what it holds, which cannot be read now ({live})"
            continue
        known = Known(node.address, node.object_id, {**decode(entry.fields), **(live or {})})
        text = model.would_lose(clients.of(node.type), known)
        if text:
            found[node.address] = text
    return found


def refused(plan: Plan, environment: Environment, allowed: Iterable[str]) -> list[Diagnostic]:
    """Why this plan may not be applied in this environment: a protected one is not destroyed, and data is not lost unless
    each address was named or the environment is disposable."""
    found = []
    if plan.destroy and environment.protect:
        found.append(
            Diagnostic(
                "protected",
                "Environment is protected",
                f'The environment "{environment.name}" has `protect: true`, so it is not destroyed.',
                "Remove `protect` from the environment first, in a change of its own.",
            )
        )
    if environment.disposable:
        return found
    agreed = set(allowed)
    for node in plan.shown():
        if not node.would_lose or node.address in agreed:
            continue
        verb = "Deleting" if node.action in ("delete", "forget") else "Replacing"
        found.append(
            Diagnostic(
                "data-loss",
                "Data would be lost",
                f"{verb} {node.address} would lose {node.would_lose}. The environment is not disposable.",
                f"Save the data, or agree to lose it with --allow-data-loss {node.address}.",
                address=node.address,
            )
        )
    return found


def unsupported(plan: Plan) -> list[Diagnostic]:
    """What components ask for and the provider cannot do, as errors (``--strict``)."""
    return [
        Diagnostic(
            "unsupported",
            "Not supported here",
            f"{note.component}: {note.text}.",
            "Remove it for this environment with an override, or plan without --strict.",
            address=note.component,
        )
        for note in plan.notes
        if note.unsupported
    ]
