"""The JSON Schema (2020-12) of a blueprint file, kinds included, for editors and for checks before mlinfra is at hand.

Wherever a value may stand, a text with ``${...}`` may stand too. The schema is generous where only the loader can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from mlinfra.blueprint.declarations import TYPES
from mlinfra.blueprint.environments import KEYS
from mlinfra.blueprint.names import NAME

if TYPE_CHECKING:
    from pydantic import BaseModel

    from mlinfra.kinds.kind import Kind

_REFERENCE: Final = {"$ref": "#/$defs/reference"}
_ANY: Final = {"$ref": "#/$defs/value"}
_NAMES: Final = {"pattern": f"^{NAME.pattern}$"}
_CARRIES_SCHEMAS: Final = ("properties", "patternProperties", "$defs")
_SCHEMAS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_SCHEMA: Final = ("items", "additionalProperties", "not", "contains")


def json_schema(
    kinds: Mapping[str, type[Kind]], settings: Mapping[str, type[BaseModel]] | None = None
) -> dict[str, Any]:
    """The schema of a file. ``settings`` gives the model of the environment keys of each provider that has one."""
    definitions: dict[str, Any] = {
        "reference": {
            "type": "string",
            "pattern": r"\$\{",
            "description": "a reference or expression: ${storage.lake.url}, ${var.x}, ${env.name}",
        },
        "value": {"description": "any value"},
        "variable": _variable(),
        "resource": _resource(),
    }
    sections: dict[str, Any] = {}
    partial: dict[str, Any] = {}
    for kind, model in kinds.items():
        schema = _definition(f"kind.{kind}", model, definitions)
        sections[kind] = _section(_nullable(schema), _first_line(model))
        partial[kind] = _overriding()
    sections["resource"] = _section({"$ref": "#/$defs/resource"}, "raw resources of any provider")
    partial["resource"] = _overriding()
    for provider, each in (settings or {}).items():
        _definition(f"settings.{provider}", each, definitions)
    definitions["environment"] = _environment(partial, settings or {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mlinfra blueprint",
        "type": "object",
        "required": ["blueprint", "environments"],
        "additionalProperties": False,
        "properties": {
            "blueprint": {"type": "string", **_NAMES, "description": "the name of the blueprint"},
            "variables": _section(_nullable({"$ref": "#/$defs/variable"}), "variables, by name"),
            "environments": {
                **_section({"$ref": "#/$defs/environment"}, "named places to put it"),
                "type": "object",
                "minProperties": 1,
            },
            **sections,
        },
        "$defs": definitions,
    }


def _definition(name: str, model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    """Put a model's schema and what it refers to among the definitions; the reference to it."""
    schema = model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{name}.{{model}}")
    for inner, content in schema.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = _open(content, top=True)
    definitions[name] = _open(schema, top=True)
    return {"$ref": f"#/$defs/{name}"}


def _open(schema: Any, *, top: bool = False) -> Any:
    """A schema in which a reference may stand in the place of any value but the whole."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _CARRIES_SCHEMAS and isinstance(value, dict):
            made[key] = {name: _open(item) for name, item in value.items()}
        elif key in _SCHEMAS and isinstance(value, list):
            made[key] = [_open(item, top=True) for item in value]
        elif key in _SCHEMA and isinstance(value, dict):
            made[key] = _open(value)
        else:
            made[key] = value
    if top or not _restricts(made):
        return made
    told = {key: made.pop(key) for key in ("title", "description", "default", "examples") if key in made}
    return {**told, "anyOf": [*_members(made), _REFERENCE]}


def _members(schema: dict[str, Any]) -> list[Any]:
    return list(schema["anyOf"]) if schema.keys() == {"anyOf"} else [schema]


def _restricts(schema: Mapping[str, Any]) -> bool:
    """Whether anything is refused; a schema that takes any text takes references as well."""
    told = {"title", "description", "default", "examples", "deprecated"}
    left = {key: value for key, value in schema.items() if key not in told}
    return bool(left) and left != {"type": "string"}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def _section(each: dict[str, Any], about: str) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "description": about,
        "propertyNames": _NAMES,
        "additionalProperties": each,
    }


def _overriding() -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "propertyNames": _NAMES,
        "additionalProperties": {"type": ["object", "null"]},
        "description": "laid over the section of the blueprint; null removes",
    }


def _variable() -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "type": {"enum": list(TYPES), "default": "any"},
            "default": _ANY,
            "description": {"type": "string"},
            "enum": {"type": "array", "minItems": 1},
            "pattern": {"type": "string", "format": "regex"},
            "minimum": {"type": "number"},
            "maximum": {"type": "number"},
            "sensitive": {"type": "boolean", "default": False},
        },
    }


def _resource() -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "pattern": r"^[^.]+\..+$", "description": "PROVIDER.TYPE"}},
        "additionalProperties": True,
    }


def _environment(partial: Mapping[str, Any], settings: Mapping[str, type[BaseModel]]) -> dict[str, Any]:
    own: dict[str, Any] = {
        "provider": {"type": "string", "minLength": 1, "description": "the provider that makes it: local"},
        "default": {"type": "boolean", "description": "chosen when no environment is named"},
        "disposable": {"type": "boolean", "description": "data in it may be lost"},
        "protect": {"type": "boolean", "description": "it may not be destroyed"},
        "state": {"type": "string", "description": "where its state is kept; the blueprint's folder if absent"},
        "variables": {"type": ["object", "null"], "description": "values of variables here"},
        "overrides": {
            "type": ["object", "null"],
            "additionalProperties": False,
            "properties": dict(partial),
            "description": "what is different here",
        },
    }
    assert tuple(own) == KEYS
    schema: dict[str, Any] = {"type": "object", "required": ["provider"], "properties": own}
    if settings:
        schema["allOf"] = [
            {
                "if": {"properties": {"provider": {"const": provider}}},
                "then": {
                    "properties": {
                        name: {"$ref": f"#/$defs/settings.{provider}/properties/{name}"} for name in model.model_fields
                    }
                },
            }
            for provider, model in settings.items()
        ]
    return schema


def _first_line(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]
