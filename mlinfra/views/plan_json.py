"""A plan as one JSON record for machines, without what only an apply needs."""

from __future__ import annotations

from typing import Any

from mlinfra.engine.plan import Change, Node, Plan
from mlinfra.engine.values import encode


def plan_record(plan: Plan) -> dict[str, Any]:
    """``{"event": "plan", "changes": {…counts}, "resources": […], …}``; unknown values are ``{"$unknown": true}``."""
    return {
        "event": "plan",
        "blueprint": plan.blueprint,
        "environment": plan.environment,
        "destroy": plan.destroy,
        "changes": plan.counts(),
        "unchanged": plan.unchanged,
        "resources": [_node(node, plan.salt) for node in plan.shown()],
        "headlines": [
            {
                "component": headline.component,
                "name": headline.name,
                "before": encode(headline.before, plan.salt),
                "after": encode(headline.after, plan.salt),
            }
            for headline in plan.headlines
        ],
        "notes": [{"component": n.component, "text": n.text, "unsupported": n.unsupported} for n in plan.notes],
        "cost": {"objects": plan.cost.objects, "calls": plan.cost.calls, "seconds": plan.cost.seconds},
    }


def _node(node: Node, salt: str) -> dict[str, Any]:
    return {
        "address": node.address,
        "type": node.type,
        "action": node.action,
        "component": node.component,
        "summary": node.summary,
        "would_lose": node.would_lose,
        "fields": [_change(change, salt) for change in node.changes],
    }


def _change(change: Change, salt: str) -> dict[str, Any]:
    return {
        "path": change.path,
        "before": encode(change.before, salt),
        "after": encode(change.after, salt),
        "reason": change.reason,
        "forces_replacement": change.forces_replacement,
    }
