"""The fields of a kind or a resource type as rows, made from the model itself: its JSON schema, policies and docstrings."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, takewhile
from typing import Any, Final, get_args

from pydantic import BaseModel

from mlinfra.sdk.fields import FieldPolicy, policies

LISTED: Final = 10
"""Words that a field may have which are told with its type; more are left to its description."""


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field. ``level`` 0 is a field of the model itself, 1 one of a mapping in it, and so on."""

    level: int
    name: str
    type: str
    notes: tuple[str, ...]
    about: str


def field_rows(model: type[BaseModel]) -> list[FieldRow]:
    """The fields of a model, each followed by those of the mappings in it. A mapping that comes again is told once."""
    schema = model.model_json_schema()
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    prose = {known.__name__: _docstrings(known) for known in _reachable(model)}
    table = policies(model)
    seen: set[str] = set()

    def walk(of: str, spec: Mapping[str, Any], level: int) -> Iterator[FieldRow]:
        required = spec.get("required", ())
        for name, field in spec.get("properties", {}).items():
            notes = _marks(table.get(name)) if level == 0 else []
            about = " ".join((field.get("description") or prose.get(of, {}).get(name, "")).split())
            if name in required:
                notes.append("required")
            elif field.get("default") not in (None, [], {}, "") and "Default:" not in about:
                notes.append(f"default {_plain(field['default'])}")
            yield FieldRow(level, name, _type(field), tuple(notes), about)
            target = _target(field)
            if target in definitions and target not in seen:
                seen.add(target)
                yield from walk(target, definitions[target], level + 1)

    return list(walk(model.__name__, schema, 0))


def prose(model: type[BaseModel]) -> tuple[str, str]:
    """What a model's docstring says: its text, and the example in it (YAML), which may be empty."""
    said, _, rest = (inspect.getdoc(model) or "").partition("::\n")
    lines = rest.splitlines()
    # The example is what is indented.
    body = list(takewhile(lambda line: not line.strip() or line.startswith(" "), lines))
    before = said.strip().removesuffix("Example").strip()
    after = "\n".join(lines[len(body) :]).strip()
    return "\n\n".join(part for part in (before, after) if part), textwrap.dedent("\n".join(body)).strip("\n")


@cache
def _docstrings(model: type[BaseModel]) -> Mapping[str, str]:
    """The texts that stand below the fields of a class."""
    found: dict[str, str] = {}
    for known in reversed(model.__mro__):
        if known in (BaseModel, object) or not issubclass(known, BaseModel):
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(known))).body
        except (OSError, TypeError, SyntaxError, ValueError):
            continue  # a class without source, made by a program
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, text in pairwise(body):
            match field, text:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str() as said)),
                ):
                    found[name] = inspect.cleandoc(said)
                case _:
                    pass
    return found


def _reachable(model: type[BaseModel]) -> set[type[BaseModel]]:
    """A model and those that its fields hold, at any depth."""
    found: set[type[BaseModel]] = set()

    def look(annotation: Any) -> None:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in found:
            found.add(annotation)
            for field in annotation.model_fields.values():
                look(field.annotation)
        for inner in get_args(annotation):
            look(inner)

    look(model)
    return found


def _inner(spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What the values of a mapping are like."""
    for key in ("additionalProperties", "patternProperties"):
        inner = spec.get(key)
        if key == "patternProperties" and isinstance(inner, Mapping):
            inner = next(iter(inner.values()), None)
        if isinstance(inner, Mapping):
            return inner
    return None


def _target(spec: Mapping[str, Any]) -> str:
    """The name of the model that a field holds, itself or in a list or map."""
    if "$ref" in spec:
        return str(spec["$ref"]).rpartition("/")[2]
    for inner in (spec.get("items"), _inner(spec)):
        if isinstance(inner, Mapping):
            return _target(inner)
    for option in (*spec.get("anyOf", ()), *spec.get("allOf", ())):
        found = _target(option)
        if found:
            return found
    return ""


def _type(spec: Mapping[str, Any]) -> str:
    if len(spec.get("enum", ())) > LISTED:
        return "string"
    if "enum" in spec:
        return " | ".join(_plain(item) for item in spec["enum"])
    if "const" in spec:
        return _plain(spec["const"])
    if "anyOf" in spec:
        return " | ".join(dict.fromkeys(_type(option) for option in spec["anyOf"] if option.get("type") != "null"))
    if "$ref" in spec:
        return "mapping"
    kind = spec.get("type", "any")
    if kind == "array":
        return f"list of {_type(spec.get('items', {}))}"
    if kind == "object":
        inner = _inner(spec)
        return f"map of {_type(inner)}" if inner is not None else "map"
    return str(kind)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _marks(policy: FieldPolicy | None) -> list[str]:
    if policy is None:
        return []
    words = {
        "computed": policy.computed,
        "forces replacement": policy.replace,
        "secret": policy.secret,
        "owned elsewhere": policy.owned,
    }
    return [word for word, holds in words.items() if holds]
