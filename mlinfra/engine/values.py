"""Field values: how they compare, and how they are written down without secrets.

In memory a field value is a JSON value that may hold `UNKNOWN`, `Sensitive` text, or a `Fingerprint` of a secret that was
only read back. On disk an unknown is ``{"$unknown": true}`` and a secret ``{"$secret": "<hmac>"}``, the first 32 hex digits
of HMAC-SHA256 with the state's salt.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from mlinfra.sdk.fields import FieldPolicy, policies
from mlinfra.sdk.refs import UNKNOWN, Sensitive
from mlinfra.sdk.resource import Resource

_UNKNOWN_KEY = "$unknown"
_SECRET_KEY = "$secret"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is stored of a secret: enough to see that it changed, not what it is."""

    digest: str

    def __repr__(self) -> str:
        return "(sensitive)"


def fingerprint(text: str, salt: str) -> Fingerprint:
    """The fingerprint of a secret under a state's salt."""
    return Fingerprint(hmac.new(salt.encode(), text.encode(), hashlib.sha256).hexdigest()[:32])


def encode(value: Any, salt: str) -> Any:
    """A value as it may be written: JSON only, secrets as fingerprints."""
    if isinstance(value, Sensitive):
        return {_SECRET_KEY: fingerprint(value.reveal(), salt).digest}
    if isinstance(value, Fingerprint):
        return {_SECRET_KEY: value.digest}
    if value is UNKNOWN:
        return {_UNKNOWN_KEY: True}
    if isinstance(value, Mapping):
        return {str(key): encode(item, salt) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, salt) for item in value]
    return value


def decode(value: Any) -> Any:
    """The value that `encode` wrote."""
    if isinstance(value, dict):
        if len(value) == 1:
            if _SECRET_KEY in value:
                return Fingerprint(value[_SECRET_KEY])
            if _UNKNOWN_KEY in value:
                return UNKNOWN
        return {key: decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [decode(item) for item in value]
    return value


def holds_secret(value: Any) -> bool:
    """Whether an encoded value has a secret's fingerprint in it."""
    if isinstance(value, dict):
        return _SECRET_KEY in value or any(holds_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_secret(item) for item in value)
    return False


def reveal(value: Any) -> Any:
    """A copy with secrets as plain text, for the call to a provider and for nothing else."""
    if isinstance(value, Sensitive):
        return value.reveal()
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item) for item in value]
    return value


def stand_in(value: Any) -> Any:
    """A copy with an empty text in the place of each fingerprint: for checks of a value whose secret is not known."""
    if isinstance(value, Fingerprint):
        return ""
    if isinstance(value, Mapping):
        return {key: stand_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [stand_in(item) for item in value]
    return value


def restored(value: Any, pattern: Any) -> Any:
    """``value`` with the fingerprints back for which `stand_in` put something; ``pattern`` is what it was given."""
    if isinstance(pattern, Fingerprint):
        return pattern
    if isinstance(value, dict) and isinstance(pattern, Mapping):
        return {key: restored(item, pattern.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(pattern, list | tuple) and len(value) == len(pattern):
        return [restored(item, part) for item, part in zip(value, pattern, strict=True)]
    return value


def conceal(value: Any, pattern: Any) -> Any:
    """``value`` with text made `Sensitive` wherever ``pattern`` (a value of the same shape) holds a secret."""
    if isinstance(pattern, Sensitive | Fingerprint):
        return Sensitive(value) if isinstance(value, str) else value
    if isinstance(value, dict) and isinstance(pattern, Mapping):
        return {key: conceal(item, pattern.get(key)) for key, item in value.items()}
    if isinstance(value, list) and isinstance(pattern, list | tuple) and len(value) == len(pattern):
        return [conceal(item, part) for item, part in zip(value, pattern, strict=True)]
    return value


def conceal_all(value: Any) -> Any:
    """``value`` with every text in it made `Sensitive`."""
    if isinstance(value, str):
        return Sensitive(value)
    if isinstance(value, Mapping):
        return {key: conceal_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [conceal_all(item) for item in value]
    return value


def conceal_fields(model: type[Resource], fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Fields with those `Sensitive` that the type calls secret."""
    secret = secret_fields(model)
    if not secret:
        return fields
    return {name: conceal_all(value) if name in secret else value for name, value in fields.items()}


@cache
def secret_fields(model: type[Resource]) -> frozenset[str]:
    """The names of a type's secret fields."""
    return frozenset(name for name, policy in policies(model).items() if policy.secret)


def is_unknown(value: Any) -> bool:
    """Whether an unknown stands anywhere in the value."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Mapping):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(is_unknown(item) for item in value)
    return False


def absent(value: Any) -> bool:
    """None, ``{}`` and ``[]`` say the same as nothing."""
    return value is None or (isinstance(value, dict | list | tuple) and not value)


def same(wanted: Any, live: Any, policy: FieldPolicy, salt: str) -> bool:
    """Whether a live value is what is wanted, by the field's policy. Order of keys never matters."""
    if absent(wanted) and absent(live):
        return True
    if isinstance(wanted, Sensitive | Fingerprint) or isinstance(live, Sensitive | Fingerprint):
        return bool(_digest(wanted, salt) == _digest(live, salt))
    if policy.unordered and isinstance(wanted, list) and isinstance(live, list):
        return sorted(map(canonical, wanted)) == sorted(map(canonical, live))
    if policy.keyed_by and isinstance(wanted, list) and isinstance(live, list):
        return _by_key(wanted, policy.keyed_by) == _by_key(live, policy.keyed_by)
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted is live
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        keys = wanted.keys() | live.keys()
        return all(same(wanted.get(key), live.get(key), _PLAIN, salt) for key in keys)
    if isinstance(wanted, list | tuple) and isinstance(live, list | tuple):
        return len(wanted) == len(live) and all(
            same(left, right, _PLAIN, salt) for left, right in zip(wanted, live, strict=True)
        )
    return bool(wanted == live)


_PLAIN = FieldPolicy()


def _digest(value: Any, salt: str) -> Any:
    if isinstance(value, Fingerprint):
        return value
    if isinstance(value, str):
        return fingerprint(value.reveal() if isinstance(value, Sensitive) else value, salt)
    return value


def _by_key(items: list[Any], key: str) -> dict[str, str]:
    return {
        canonical(item.get(key)) if isinstance(item, Mapping) else canonical(item): canonical(item) for item in items
    }


def canonical(value: Any, salt: str = "") -> str:
    """One text for equal values."""
    return json.dumps(encode(value, salt), sort_keys=True, separators=(",", ":"), default=str)


def digest(value: Any, salt: str) -> str:
    """A fingerprint of a whole value, for "is it still as it was"."""
    return hashlib.sha256(canonical(value, salt).encode()).hexdigest()[:32]


def live_digest(model: type[Resource], live: Mapping[str, Any], salt: str) -> str:
    """A fingerprint of a live object, without what changes by itself."""
    volatile = {name for name, policy in policies(model).items() if policy.volatile}
    return digest({name: value for name, value in live.items() if name not in volatile}, salt)


def at_path(value: Any, path: str) -> Any:
    """The value at a dotted path, or `MISSING`. Keys may contain dots themselves: the longest key that fits is taken."""
    if not path:
        return value
    if isinstance(value, Mapping):
        if path in value:
            return value[path]
        end = len(path)
        while (end := path.rfind(".", 0, end)) != -1:
            head = path[:end]
            if head in value:
                return at_path(value[head], path[end + 1 :])
        return MISSING
    if isinstance(value, list | tuple):
        head, _, rest = path.partition(".")
        if head.isdigit() and int(head) < len(value):
            return at_path(value[int(head)], rest)
    if value is UNKNOWN:
        return UNKNOWN
    return MISSING


class _Missing:
    def __repr__(self) -> str:
        return "(missing)"


MISSING = _Missing()
