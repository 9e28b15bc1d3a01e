"""References to values that another resource has, or will have.

A reference is text: ``ref("endpoint.fraud/process.a", "ports.http")`` is a *token*, a string that no
blueprint can contain, so that it survives f-strings, templates, pydantic and JSON untouched. What a recipe
builds with plain string code (``f"{server.url}/health"``) is therefore still a reference until the engine
resolves it. A value that is one token and nothing else resolves to the referenced value with its type; a token
within a longer string is put in as text.

Three sorts of token exist:

* ``ref(address, path)``: a field of a resource;
* ``expression(source, bindings)``: a Jinja expression over values that are references themselves;
* ``slot(name)``: a place of a workload (a port, a volume's path) that the runtime fills in, see `workload`.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

OPEN: Final = "\ue000"
CLOSE: Final = "\ue001"
_TOKEN: Final = re.compile(f"{OPEN}([^{OPEN}{CLOSE}]*){CLOSE}")


class Unknown:
    """A value that only an apply can tell. There is one: `UNKNOWN`. A string that contains it is unknown as a whole."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(known after apply)"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth: ask `is UNKNOWN` first")

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


class Sensitive(str):
    """A secret in memory: a string that never shows itself. Take the text with `reveal()`."""

    __slots__ = ()

    def __new__(cls, text: str) -> Sensitive:
        # Of one that is concealed already it takes the text itself: `str()` of it would be "(sensitive)".
        return super().__new__(cls, str.__str__(text))

    def __repr__(self) -> str:
        return "(sensitive)"

    def __str__(self) -> str:
        return "(sensitive)"

    def __format__(self, spec: str) -> str:
        return "(sensitive)"

    def reveal(self) -> str:
        """The secret itself."""
        return str.__str__(self)


@dataclass(frozen=True, slots=True)
class Reference:
    """A field of a resource: its address (``component/type.name``) and the path to the field, keys joined by dots."""

    address: str
    path: str


def ref(address: str, path: str) -> str:
    """A token for the field at ``path`` (keys joined by dots) of the resource at ``address``."""
    return f"{OPEN}{address}#{path}{CLOSE}"


def slot(name: str) -> str:
    """A token for a place that the runtime fills in: ``port:http``, ``path:data``, ``host``."""
    return f"{OPEN}~{name}{CLOSE}"


def expression(source: str, bindings: Mapping[str, Any]) -> str:
    """A token for a Jinja expression whose names are ``bindings``, JSON values that contain tokens."""
    body = json.dumps({"source": source, "bindings": dict(bindings)}, separators=(",", ":"))
    return f"{OPEN}={base64.b64encode(body.encode()).decode()}{CLOSE}"


def has_token(value: Any) -> bool:
    """Whether a token stands anywhere in a JSON value."""
    # Asked of every value of every resource, so written for speed: no generators, and concrete types before abstract ones.
    if isinstance(value, str):
        return OPEN in value
    if value is None or isinstance(value, int | float):
        return False
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - the first is asked ten times faster
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    for item in value:  # noqa: SIM110 - a generator doubles the cost
        if has_token(item):
            return True
    return False


def references(value: Any) -> Iterator[Reference]:
    """Each reference to a resource in a JSON value, those within expressions included."""
    if isinstance(value, str):
        if OPEN in value:
            for token in _TOKEN.findall(value):
                if token[0] == "=":
                    yield from references(_expression(token)["bindings"])
                elif token[0] != "~":
                    yield _reference(token)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from references(item)


def resolve(
    value: Any,
    lookup: Callable[[Reference], Any],
    evaluate: Callable[[str, Mapping[str, Any]], Any] | None = None,
) -> Any:
    """A copy of a JSON value with every reference replaced.

    ``lookup`` gives the value of a reference, or `UNKNOWN`; ``evaluate`` gives the value of an expression over
    resolved bindings. A string that contains an unknown becomes `UNKNOWN`; one that contains a secret becomes
    `Sensitive`. Values without tokens are returned as they are, not copied.
    """
    if isinstance(value, str):
        if OPEN not in value:
            return value

        def one(token: str) -> Any:
            if token[0] == "=":
                body = _expression(token)
                bound = resolve(body["bindings"], lookup, evaluate)
                if _has_unknown(bound):
                    return UNKNOWN
                if evaluate is None:
                    raise ValueError("this value has an expression, and no evaluator was given")
                return evaluate(body["source"], bound)
            if token[0] == "~":
                return f"{OPEN}{token}{CLOSE}"
            return lookup(_reference(token))

        return _substitute(value, one)
    if isinstance(value, Mapping):
        return {key: resolve(item, lookup, evaluate) for key, item in value.items()} if has_token(value) else value
    if isinstance(value, list | tuple):
        return [resolve(item, lookup, evaluate) for item in value] if has_token(value) else value
    return value


def fill(value: Any, slots: Mapping[str, Any]) -> Any:
    """A copy of a JSON value with the slots replaced by what a runtime put there. References stay.

    Errors: KeyError for a slot that the runtime does not have.
    """
    if isinstance(value, str):
        if OPEN not in value:
            return value
        return _substitute(value, lambda token: slots[token[1:]] if token[0] == "~" else f"{OPEN}{token}{CLOSE}")
    if isinstance(value, Mapping):
        return {key: fill(item, slots) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill(item, slots) for item in value]
    return value


def _substitute(value: str, one: Callable[[str], Any]) -> Any:
    whole = _TOKEN.fullmatch(value)
    if whole:
        return one(whole[1])
    parts: list[str] = []
    secret = False
    at = 0
    for match in _TOKEN.finditer(value):
        parts.append(value[at : match.start()])
        item = one(match[1])
        if item is UNKNOWN:
            return UNKNOWN
        if isinstance(item, Sensitive):
            secret = True
            parts.append(item.reveal())
        else:
            parts.append(item if isinstance(item, str) else _text(item))
        at = match.end()
    parts.append(value[at:])
    text = "".join(parts)
    return Sensitive(text) if secret else text


def _text(item: Any) -> str:
    if item is None:
        return ""
    if isinstance(item, bool):
        return "true" if item else "false"
    return json.dumps(item) if isinstance(item, dict | list) else str(item)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(_has_unknown(item) for item in value)
    return value is UNKNOWN


def _reference(token: str) -> Reference:
    address, _, path = token.partition("#")
    return Reference(address, path)


def _expression(token: str) -> Any:
    return json.loads(base64.b64decode(token[1:]))
