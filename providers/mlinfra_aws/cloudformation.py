"""The schemas of CloudFormation's resource types: what mlinfra keeps of one, and what is wrong with properties by it. Pure.

`cloudformation_types.jsonl` holds the public types, a line each, so that a plan needs no call and no network for them
(`scripts/cloudformation_types.py` makes it from the schemas that AWS publishes). A type that is not among them (newer, or one's
own) is asked of the account (`DescribeType`), which tells the same schema at greater length.

A node of a schema is a letter for a plain value (``s`` text, ``i`` integer, ``n`` number, ``b`` boolean, ``*`` anything),
``#Name`` for a definition, ``[node]`` for a list, ``[node, 0]`` for one whose order means nothing, ``{"*": node}`` for a map, and
``{"name": node, "name!": node}`` for a structure, ``!`` marking what it must have. One with ``*`` may have other names, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from mlinfra.sdk.diagnostics import did_you_mean

TABLE: Final = Path(__file__).with_name("cloudformation_types.jsonl")
LETTERS: Final[Mapping[str, str]] = {"string": "s", "integer": "i", "number": "n", "boolean": "b"}
WORDS: Final[Mapping[str, str]] = {"s": "a text", "i": "an integer", "n": "a number", "b": "true or false"}
ANYTHING: Final = "*"
POINTERS: Final[Mapping[str, str]] = {
    "createOnlyProperties": "create_only",
    "readOnlyProperties": "read_only",
    "writeOnlyProperties": "write_only",
    "primaryIdentifier": "identifier",
}


@dataclass(frozen=True, slots=True)
class Schema:
    """What is kept of a type. Pointers are paths with dots; ``*`` stands for any item of a list.

    ``tags`` is the property with the tags, if it can carry any: ``pairs`` says whether as a list of Key and Value, ``tags_stay``
    whether they are fixed. ``handled`` says whether Cloud Control has it, ``updatable`` whether it can change anything of it.
    """

    structure: Any
    definitions: Mapping[str, Any] = field(default_factory=dict)
    create_only: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    write_only: tuple[str, ...] = ()
    identifier: tuple[str, ...] = ()
    tags: str = ""
    pairs: bool = True
    tags_stay: bool = False
    handled: bool = True
    updatable: bool = True

    def fixed(self, properties: Mapping[str, Any], tags: Mapping[str, str]) -> dict[str, Any]:
        """What of an object cannot be changed, by pointer; its tags as ``tags``."""
        paths = self.create_only if self.updatable else tuple(properties)
        found = {path: value for path in paths if (value := at(properties, path)) is not None}
        return {**found, "tags": dict(tags)} if tags and (self.tags_stay or not self.updatable) else found

    def identified(self, properties: Mapping[str, Any]) -> str | None:
        """The identifier that an object with these properties has, or None if AWS makes it."""
        parts = [at(properties, pointer) for pointer in self.identifier]
        return "|".join(map(str, parts)) if parts and None not in parts else None


# -- from AWS's schemas -------------------------------------------------------------------------------------------------


def kept(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What a line of the table holds of a type's schema, as AWS publishes it."""
    definitions = schema.get("definitions", {})
    tags, pairs = _tagging(schema)
    handlers = schema.get("handlers", {})
    told: dict[str, Any] = {
        "structure": _node({**schema, "type": "object"}),
        "definitions": {name: _node(node) for name, node in definitions.items()},
        **{ours: [_path(one) for one in schema.get(theirs, ())] for theirs, ours in POINTERS.items()},
        "tags": tags,
    }
    if tags and (schema["tagging"].get("tagUpdatable") is False or tags in told["create_only"]):
        told["tags_stay"] = True
    if not pairs:
        told["pairs"] = False
    if not {"create", "read", "delete"} <= handlers.keys():
        told["handled"] = False
    if "update" not in handlers:
        told["updatable"] = False
    return {name: value for name, value in told.items() if value not in ("", [], {})}


def schema_of(told: Mapping[str, Any]) -> Schema:
    """The schema of a line of the table."""
    given: dict[str, Any] = {name: tuple(value) if name in POINTERS.values() else value for name, value in told.items()}
    return Schema(**given)


def _node(schema: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return "#" + schema["$ref"].rpartition("/")[2]
    kind = schema.get("type")
    if kind == "array":
        item = _node(schema.get("items") or {})
        return [item] if schema.get("insertionOrder", True) else [item, 0]
    if kind != "object":
        return LETTERS.get(kind, ANYTHING) if isinstance(kind, str) else ANYTHING
    properties = schema.get("properties") or {}
    patterns = list((schema.get("patternProperties") or {}).values())
    if not properties:
        return {ANYTHING: _node(patterns[0])} if len(patterns) == 1 else ANYTHING
    required = set(schema.get("required", ()))
    found = {f"{name}!" if name in required else name: _node(node) for name, node in properties.items()}
    closed = schema.get("additionalProperties") is False and not patterns
    return found if closed else {**found, ANYTHING: ANYTHING}


def _path(pointer: str) -> str:
    """``/properties/A/items/properties/B`` and ``/properties/A/*/B`` are the same."""
    parts = [part for part in pointer.split("/")[1:] if part != "properties"]
    return ".".join("*" if part == "items" else part for part in parts)


def _tagging(schema: Mapping[str, Any]) -> tuple[str, bool]:
    """The property with the tags, and whether they are pairs of Key and Value; an empty name for others."""
    told = schema.get("tagging", {})
    name = _path(told.get("tagProperty") or "/properties/Tags")
    node = schema["properties"].get(name)
    if not told.get("taggable") or node is None:
        return "", True
    node = _resolved(node, schema)
    if node.get("type") == "object":
        return name, False
    item = _resolved(node.get("items") or {}, schema)
    return (name, True) if {"Key", "Value"} == set(item.get("properties", ())) else ("", True)


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in node:
        node = schema["definitions"][node["$ref"].rpartition("/")[2]]
    return node


# -- the table ----------------------------------------------------------------------------------------------------------


@cache
def schema(type_name: str) -> Schema | None:
    """The schema of a public type, or None for one that the table does not have."""
    start = f'["{type_name}",'
    with TABLE.open(encoding="utf-8") as lines:
        found = next((line for line in lines if line.startswith(start)), None)
    return None if found is None else schema_of(json.loads(found)[1])


@cache
def type_names() -> tuple[str, ...]:
    """The names of all public types."""
    with TABLE.open(encoding="utf-8") as lines:
        return tuple(line[2 : line.index('"', 2)] for line in lines)


# -- what is wrong ------------------------------------------------------------------------------------------------------


def problems(schema: Schema, properties: Mapping[str, Any]) -> list[str]:
    """What AWS would refuse: properties that there are not, that only AWS tells, that are missing or of another type.

    Lengths, patterns and enumerations are left to AWS: they change more often than schemas are extracted.
    """
    found = [
        f"{path} is told by AWS and cannot be set" for path in schema.read_only if at(properties, path) is not None
    ]
    if schema.tags and schema.tags in properties:
        found.append(f'{schema.tags} is what the field "tags" is for')
    return found + list(_wrong(schema, schema.structure, properties, ""))


def _wrong(schema: Schema, node: Any, value: Any, path: str) -> Iterator[str]:
    while isinstance(node, str) and node.startswith("#"):
        node = schema.definitions.get(node[1:], ANYTHING)
    if isinstance(node, Mapping):
        if isinstance(value, Mapping):
            yield from _wrong_names(schema, node, value, path)
        else:
            yield f"{path} must be a mapping"
    elif isinstance(node, list):
        if not isinstance(value, list):
            yield f"{path} must be a list"
        else:
            for index, item in enumerate(value):
                yield from _wrong(schema, node[0], item, f"{path}[{index}]")
    elif not _is(node, value):
        yield f"{path} must be {WORDS[node]}"


def _wrong_names(schema: Schema, node: Mapping[str, Any], value: Mapping[str, Any], path: str) -> Iterator[str]:
    dot = f"{path}." if path else ""
    names = {name.rstrip("!"): inner for name, inner in node.items() if name != ANYTHING}
    for name, item in value.items():
        if name in names:
            yield from _wrong(schema, names[name], item, f"{dot}{name}")
        elif ANYTHING in node:
            yield from _wrong(schema, node[ANYTHING], item, f"{dot}{name}")
        else:
            yield f"{dot}{name} is none of its properties.{did_you_mean(name, names)}"
    for name in node:
        if name.endswith("!") and name[:-1] not in value:
            yield f"{dot}{name[:-1]} is missing"


def _is(letter: str, value: Any) -> bool:
    match letter:
        case "s":
            return isinstance(value, str)
        case "b":
            return isinstance(value, bool)
        case "i":
            return isinstance(value, int) and not isinstance(value, bool)
        case "n":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return True


# -- properties at pointers ---------------------------------------------------------------------------------------------


def at(value: Any, pointer: str) -> Any:
    """The value at a pointer, or None; a list of those that there are, where ``*`` goes through a list."""
    head, _, rest = pointer.partition(".")
    if head == "*":
        items = [found for item in value if (found := at(item, rest)) is not None] if isinstance(value, list) else []
        return items or None
    inner = value.get(head) if isinstance(value, Mapping) else None
    return inner if inner is None or not rest else at(inner, rest)


def with_known(live: Any, known: Any, pointer: str) -> Any:
    """The live value with what is known at a pointer that AWS does not tell."""
    head, _, rest = pointer.partition(".")
    if head == "*":
        if not isinstance(live, list) or not isinstance(known, list) or len(live) != len(known):
            return live
        return [with_known(one, other, rest) for one, other in zip(live, known, strict=True)]
    if not isinstance(known, Mapping) or head not in known or not isinstance(live, Mapping):
        return live
    if not rest:
        return {**live, head: known[head]} if live.get(head) is None else live
    return {**live, head: with_known(live.get(head, {}), known[head], rest)}
