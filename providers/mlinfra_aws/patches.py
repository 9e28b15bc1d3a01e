"""JSON patches (RFC 6902) from what is there to what shall be, and live properties in the form of those known. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mlinfra_aws.cloudformation import Schema
from mlinfra_aws.sagemaker.declared import declared


def patch(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The steps from the one to the other. Mappings are gone into, so that what nobody declared in them stays; lists change as a
    whole. ``add`` also replaces."""
    return list(_steps(live, wanted, ""))


def _steps(live: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> Iterator[dict[str, Any]]:
    for name, value in wanted.items():
        there, place = live.get(name), f"{path}/{_escaped(name)}"
        if isinstance(value, Mapping) and isinstance(there, Mapping):
            yield from _steps(there, value, place)
        elif value is not None and (type(value) is not type(there) or value != there):
            yield {"op": "add", "path": place, "value": value}
    for name, value in live.items():
        if wanted.get(name) is None and value is not None:
            yield {"op": "remove", "path": f"{path}/{_escaped(name)}"}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def compared(schema: Schema, live: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Of live properties those that are known, in the form in which they are: documents as text or not, lists whose order means
    nothing in the known order, and items of lists without what AWS added to them."""
    return {
        name: _like(schema, schema.structure, name, live[name], value) for name, value in known.items() if name in live
    }


def _like(schema: Schema, node: Any, name: str, live: Any, known: Any) -> Any:
    node = _inner(schema, node, name)
    if isinstance(known, Mapping) and isinstance(live, str):
        live = _document(live)
    elif isinstance(known, str) and isinstance(live, Mapping) and _document(known) == live:
        return known
    if isinstance(known, Mapping) and isinstance(live, Mapping):
        return {key: _like(schema, node, key, live[key], value) for key, value in known.items() if key in live}
    if isinstance(known, list) and isinstance(live, list):
        unordered = isinstance(node, list) and len(node) == 2
        return _in_order(live, known) if unordered else declared(live, known)
    return live


def _inner(schema: Schema, node: Any, name: str) -> Any:
    """The node of a name within a structure."""
    if not isinstance(node, Mapping):
        return "*"
    found = node.get(name, node.get(f"{name}!", node.get("*", "*")))
    while isinstance(found, str) and found.startswith("#"):
        found = schema.definitions.get(found[1:], "*")
    return found


def _in_order(live: list[Any], known: list[Any]) -> list[Any]:
    """The live items in the order of the known ones that they are like; the others after them."""
    left, found = list(live), []
    for item in known:
        match = next((one for one in left if declared([one], [item]) == [item]), None)
        if match is not None:
            left.remove(match)
            found.append(item)
    return found + left


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
