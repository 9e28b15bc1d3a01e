"""Policy documents: one form for all ways to write the same. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final
from urllib.parse import unquote

from pydantic import BeforeValidator

_LISTS: Final = ("Action", "NotAction", "Resource", "NotResource")
_VERSION: Final = "2012-10-17"


def read(value: Any) -> Any:
    """A document from JSON text (URL-encoded as IAM sends it, or not) or from a mapping; None stays.

    Errors: ValueError for a text that is no JSON.
    """
    if isinstance(value, str):
        text = unquote(value) if value.lstrip().startswith("%7B") else value
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"it is no JSON: {error}") from None
    if value is not None and not isinstance(value, Mapping):
        raise ValueError("it must be a mapping, or JSON text of one")
    return value


def policy(value: Any) -> Any:
    """A policy in the form in which two that mean the same are equal: statements in a list, actions, resources, principals and
    condition values as sorted lists."""
    document = read(value)
    if document is None:
        return None
    statements = document.get("Statement", [])
    statements = statements if isinstance(statements, list) else [statements]
    return {"Version": _VERSION, **document, "Statement": [_statement(item) for item in statements]}


def _statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in statement.items():
        if key in _LISTS:
            found[key] = _many(value)
        elif key in ("Principal", "NotPrincipal"):
            # "*" is the same as {"AWS": "*"}.
            found[key] = {who: _many(one) for who, one in ({"AWS": value} if isinstance(value, str) else value).items()}
        elif key == "Condition":
            found[key] = {test: {k: _many(v) for k, v in keys.items()} for test, keys in value.items()}
        elif not (key == "Sid" and not value):
            found[key] = value
    return found


def _many(value: Any) -> list[Any]:
    items = value if isinstance(value, list) else [value]
    return sorted({_word(item) for item in items})


def _word(item: Any) -> str:
    return str(item).lower() if isinstance(item, bool) else str(item)


def text(document: Mapping[str, Any]) -> str:
    """A document as calls take it."""
    return json.dumps(document, separators=(",", ":"))


Policy = Annotated[dict[str, Any], BeforeValidator(policy)]
"""A field that holds a policy: a mapping, or JSON text."""
Document = Annotated[dict[str, Any], BeforeValidator(read)]
"""A field that holds a JSON document that is no policy."""
