"""The three-way diff of one resource: last applied, desired, live. Pure.

Desired ≠ live is a change. If last applied = desired it is drift: somebody changed the live object. A field that left the
blueprint is reset. A live field that nobody declared is left alone, also within maps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlinfra.engine.plan import Change, Reason
from mlinfra.engine.values import absent, is_unknown, same
from mlinfra.sdk.fields import FieldPolicy, policies
from mlinfra.sdk.refs import UNKNOWN, Sensitive
from mlinfra.sdk.resource import Resource


def changes(
    model: type[Resource],
    applied: Mapping[str, Any],
    desired: Mapping[str, Any],
    live: Mapping[str, Any],
    salt: str,
) -> tuple[Change, ...]:
    """What must change on the live object, field by field, by each field's policy."""
    found: list[Change] = []
    for name, policy in policies(model).items():
        if policy.computed:
            continue
        if policy.owned and name in live:
            continue
        before = live.get(name)
        if policy.write_only:
            before = applied.get(name)
        found += _field(name, policy, applied.get(name), desired.get(name), before, salt)
    return tuple(found)


def _field(path: str, policy: FieldPolicy, applied: Any, wanted: Any, live: Any, salt: str) -> Iterator[Change]:
    if wanted is UNKNOWN or is_unknown(wanted):
        yield Change(path, _shown(live, policy), UNKNOWN, "unknown", policy.replace)
        return
    if absent(wanted):
        if not absent(applied) and not absent(live):
            kept = _undeclared(live, applied)
            if kept is None or not same(kept, live, policy, salt):
                yield Change(path, _shown(live, policy), kept, "reset", policy.replace)
        return
    if isinstance(wanted, Mapping) and isinstance(live, Mapping) and not policy.secret:
        yield from _mapping(path, policy, applied if isinstance(applied, Mapping) else {}, wanted, live, salt)
        return
    if not same(wanted, live, policy, salt):
        reason: Reason = "drift" if not absent(applied) and same(wanted, applied, policy, salt) else "changed"
        yield Change(path, _shown(live, policy), _shown(wanted, policy), reason, policy.replace)


def _mapping(
    path: str,
    policy: FieldPolicy,
    applied: Mapping[str, Any],
    wanted: Mapping[str, Any],
    live: Mapping[str, Any],
    salt: str,
) -> Iterator[Change]:
    inner = FieldPolicy(replace=policy.replace)
    for key, value in wanted.items():
        yield from _field(f"{path}.{key}", inner, applied.get(key), value, live.get(key), salt)
    for key in applied:
        if key not in wanted and not absent(live.get(key)):
            yield Change(f"{path}.{key}", _shown(live.get(key), policy), None, "reset", policy.replace)


def _undeclared(live: Any, applied: Any) -> Any:
    """What of a live map nobody declared: it stays when the field is reset."""
    if isinstance(live, Mapping) and isinstance(applied, Mapping):
        kept = {key: value for key, value in live.items() if key not in applied}
        return kept or None
    return None


def _shown(value: Any, policy: FieldPolicy) -> Any:
    """Secrets leave as something that cannot be read."""
    if policy.secret and isinstance(value, str) and not isinstance(value, Sensitive):
        return Sensitive(value)
    return value
