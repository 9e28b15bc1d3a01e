"""References made from the models themselves: kinds, providers, resource types."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from mlinfra.sdk.fields import FieldPolicy, policies
from mlinfra.sdk.provider import Provider
from mlinfra.sdk.resource import Resource
from mlinfra.views.lines import Line, Piece, table


def kinds_lines(models: Mapping[str, type[BaseModel]]) -> list[Line]:
    """Every kind with a line about it."""
    rows: list[list[Piece]] = [[(name, "bold"), (_first(model), "")] for name, model in models.items()]
    return [*table(rows), [("`mlinfra kinds KIND` tells all about one.", "dim")]]


def kind_lines(name: str, model: type[Any]) -> list[Line]:
    """One kind: what it is, its fields with types and defaults, what it offers."""
    lines: list[Line] = [[(name, "bold")], *_prose(model), []]
    lines += _fields(model.model_json_schema(), {})
    outputs: Mapping[str, str] = getattr(model, "outputs", {})
    if outputs:
        lines += [[], [("Outputs", "bold")]]
        lines += table([[(f"${{{name}.<name>.{key}}}", ""), (text, "dim")] for key, text in outputs.items()], indent=2)
    return lines


def provider_lines(provider: Provider) -> list[Line]:
    """One provider: its version, what it realises, its resource types."""
    head: Line = [(provider.name, "bold"), (f" {provider.version}  {provider.about}", "dim")]
    rows: list[list[Piece]] = []
    if provider.recipes:
        rows.append([("kinds", "dim"), (", ".join(sorted(provider.recipes)), "")])
    rows.append([("types", "dim"), (", ".join(sorted(provider.resources)), "")])
    if provider.runtime:
        rows.append([("runtime", "dim"), ("runs services and jobs of tools", "")])
    return [head, *table(rows, indent=2)]


def type_lines(name: str, model: type[Resource]) -> list[Line]:
    """One resource type: its fields with their policies."""
    return [[(name, "bold")], *_prose(model), [], *_fields(model.model_json_schema(), policies(model))]


def _fields(schema: Mapping[str, Any], table_of: Mapping[str, FieldPolicy], indent: int = 2) -> list[Line]:
    definitions = schema.get("$defs", {})
    seen: set[str] = set()

    def walk(properties: Mapping[str, Any], required: list[str], level: int) -> list[Line]:
        lines: list[Line] = []
        for field, spec in properties.items():
            target = _target(spec)
            told = _type(spec)
            marks = _marks(table_of.get(field)) if level == indent else []
            if field in required:
                marks.append("required")
            elif spec.get("default") not in (None, [], {}):
                marks.append(f"default {spec['default']}")
            note = f"  ({', '.join(marks)})" if marks else ""
            lines.append([(" " * level, ""), (field, "bold"), (f"  {told}{note}", "dim")])
            about = spec.get("description", "")
            if about:
                lines.append([(" " * (level + 4) + " ".join(about.split()), "")])
            if target in definitions and target not in seen:
                seen.add(target)
                inner = definitions[target]
                lines += walk(inner.get("properties", {}), inner.get("required", []), level + 4)
        return lines

    return walk(schema.get("properties", {}), schema.get("required", []), indent)


def _target(spec: Mapping[str, Any]) -> str:
    """The name of the model that a field holds, itself or in a list or map."""
    if "$ref" in spec:
        return str(spec["$ref"]).rpartition("/")[2]
    for key in ("items", "additionalProperties"):
        if isinstance(spec.get(key), Mapping):
            return _target(spec[key])
    for option in (*spec.get("anyOf", ()), *spec.get("allOf", ())):
        found = _target(option)
        if found:
            return found
    return ""


def _type(spec: Mapping[str, Any]) -> str:
    if "enum" in spec:
        return " | ".join(str(item) for item in spec["enum"])
    if "const" in spec:
        return str(spec["const"])
    if "anyOf" in spec:
        return " | ".join(dict.fromkeys(_type(option) for option in spec["anyOf"] if option.get("type") != "null"))
    if "$ref" in spec:
        return _target(spec)
    kind = spec.get("type", "any")
    if kind == "array":
        return f"list of {_type(spec.get('items', {}))}"
    if kind == "object":
        inner = spec.get("additionalProperties")
        return f"map of {_type(inner)}" if isinstance(inner, Mapping) else "map"
    return str(kind)


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


def _first(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0]


def _prose(model: type[BaseModel]) -> list[Line]:
    return [[(text, "")] for text in (inspect.getdoc(model) or "").splitlines()]
