"""What pydantic says about a value, told in plain words at the key it is about. Knows models only as pydantic models."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.source import plain
from mlinfra.sdk.diagnostics import did_you_mean
from mlinfra.sdk.refs import Sensitive

_WANTED: Final[Mapping[str, str]] = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "string_type": "text",
    "string_sub_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dataclass_type": "a mapping (key: value)",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "iterable_type": "a list",
    "none_required": "nothing (null)",
    "path_type": "a path",
    "url_type": "a URL",
    "url_parsing": "a URL",
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_pattern_mismatch": 'text that matches the pattern "{pattern}"',
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list or mapping of at least {min_length} items",
    "too_long": "a list or mapping of at most {max_length} items",
    "literal_error": "one of {expected}",
    "enum": "one of {expected}",
}
"""What an error type of pydantic says was wanted."""


def report(
    error: ValidationError,
    model: type[BaseModel],
    fields: Any,
    path: tuple[Any, ...],
    what: str,
    problems: Problems,
    address: str,
    known: Iterable[str] = (),
) -> None:
    """Add each error of a validation of ``fields`` (at ``path``) to the problems. ``what`` names the thing: "endpoint";
    ``known`` are keys that may stand there besides those of the model."""
    wrong: dict[tuple[Any, ...], tuple[list[str], Any]] = {}
    for item in error.errors(include_url=False):
        location = item["loc"]
        inner = _path(fields, location)
        if item["type"] in ("extra_forbidden", "missing") and location:
            _key(item["type"], str(location[-1]), inner, model, path, what, problems, address, known)
            continue
        clauses, _ = wrong.setdefault(inner, ([], _at(fields, inner)))
        clause = _clause(item)
        if not clause.startswith("must be ") and isinstance(_at(fields, inner), Sensitive):
            clause = "it is refused"  # the reason may quote the secret
        if clause not in clauses:
            clauses.append(clause)
    for inner, (clauses, got) in wrong.items():
        name = ".".join(map(str, inner))
        label = f'"{name}"' if name else f"This {what}"
        wanted = [clause.removeprefix("must be ") for clause in clauses if clause.startswith("must be ")]
        reasons = [clause for clause in clauses if not clause.startswith("must be ")]
        if reasons:
            detail, remedy = f"{label}: {'; or '.join(reasons)}.", "Correct the value."
            if not name:
                detail = f"{label} cannot be used: {'; '.join(reasons)}."
        else:
            detail = f"{label} must be {' or '.join(wanted)}, and it is {plain(got)}."
            remedy = f"Write {' or '.join(wanted)}."
        code, summary = ("value-type", "Wrong type of value") if not reasons else ("value-invalid", "Invalid value")
        problems.add(
            code, summary, detail + _meant(got, error, inner, fields), remedy, (*path, *inner), address=address
        )


def _key(
    kind: str,
    key: str,
    inner: tuple[Any, ...],
    model: type[BaseModel],
    path: tuple[Any, ...],
    what: str,
    problems: Problems,
    address: str,
    known: Iterable[str],
) -> None:
    parent = inner[:-1] if inner and str(inner[-1]) == key and kind == "extra_forbidden" else inner
    where = f'"{".".join(map(str, parent))}" of this {what}' if parent else f"This {what}"
    if kind == "missing":
        problems.add(
            "key-missing",
            "Missing key",
            f'{where} needs the key "{key}".',
            f'Add "{key}:" to it.',
            (*path, *parent),
            at="key",
            address=address,
        )
        return
    names = [*dict.fromkeys((*_names(model, parent), *known))]
    problems.add(
        "key-unknown",
        "Unknown key",
        f'{where} has no key "{key}".{did_you_mean(key, names)}',
        f"Its keys are: {', '.join(names)}." if names else "Remove it.",
        (*path, *parent, key),
        at="key",
        address=address,
    )


def _clause(item: Any) -> str:
    wanted = _WANTED.get(item["type"])
    context = dict(item.get("ctx", {}))
    if wanted is not None:
        if "expected" in context:
            context["expected"] = str(context["expected"]).replace("'", '"')
        for name in context:
            if isinstance(context[name], float) and context[name].is_integer():
                context[name] = int(context[name])
        return "must be " + wanted.format_map(context)
    if item["type"] in ("value_error", "assertion_error") and "error" in context:
        text = str(context["error"])
    else:
        text = str(item["msg"]).replace("Input should be", "must be").replace("Value error, ", "")
    text = text.strip().rstrip(".") or "it is refused"
    return text[:1].lower() + text[1:] if text[:2] != text[:2].upper() else text


def _path(fields: Any, location: Sequence[Any]) -> tuple[Any, ...]:
    """The part of pydantic's location that is in the blueprint: names of union members and validators are not."""
    found: list[Any] = []
    value = fields
    for step in location:
        if (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list | tuple) and isinstance(step, int) and step < len(value)
        ):
            value = value[step]
        else:
            continue
        found.append(step)
    return tuple(found)


def _at(value: Any, path: Sequence[Any]) -> Any:
    for step in path:
        value = value[step]
    return value


def _meant(got: Any, error: ValidationError, inner: tuple[Any, ...], fields: Any) -> str:
    """Did you mean, for a word that is not one of those allowed."""
    if not isinstance(got, str):
        return ""
    for item in error.errors(include_url=False):
        if item["type"] in ("literal_error", "enum") and _path(fields, item["loc"]) == inner:
            allowed = str(item.get("ctx", {}).get("expected", "")).replace(" or ", ", ").split(", ")
            return did_you_mean(got, [word.strip("'\"") for word in allowed])
    return ""


def _names(model: Any, inner: Sequence[Any]) -> list[str]:
    """The keys that may stand at a path within a model."""
    models = [model]
    for step in inner:
        following: list[Any] = []
        for annotation in models:
            following += _inside(annotation, step)
        models = following
    names: dict[str, None] = {}
    for annotation in models:
        for each in _flat(annotation):
            if isinstance(each, type) and issubclass(each, BaseModel):
                names.update((info.alias or name, None) for name, info in each.model_fields.items())
    return list(names)


def _inside(annotation: Any, step: Any) -> list[Any]:
    found: list[Any] = []
    for each in _flat(annotation):
        arguments = typing.get_args(each)
        origin = typing.get_origin(each)
        if isinstance(each, type) and issubclass(each, BaseModel):
            found += [info.annotation for name, info in each.model_fields.items() if str(step) in (name, info.alias)]
        elif arguments and isinstance(origin, type) and issubclass(origin, Mapping):
            found.append(arguments[-1])
        elif arguments and isinstance(origin, type):
            found.append(arguments[0])
    return found


def _flat(annotation: Any) -> Iterable[Any]:
    """The members of a union, without what only annotates."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        yield from _flat(typing.get_args(annotation)[0])
    elif origin is typing.Union or origin is types.UnionType:
        for member in typing.get_args(annotation):
            yield from _flat(member)
    elif isinstance(annotation, typing.TypeAliasType if hasattr(typing, "TypeAliasType") else ()):
        yield from _flat(annotation.__value__)
    else:
        yield annotation
