"""What botocore's service models say of requests and answers: lengths, patterns, ranges, required members, types.

AWS refuses a request that breaks them; moto mostly does not. An answer that breaks them would not come from AWS: it is a
mistake of the emulator.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.parsers import create_parser

from .answers import Answer
from .calls import Call

REFUSAL_CODES: Final[Mapping[str, str]] = {
    "iam": "ValidationError",
    "sts": "ValidationError",
    "cloudformation": "ValidationError",
    "cloudwatch": "ValidationError",
    "s3": "InvalidRequest",
    "ec2": "InvalidParameterValue",
    "ecr": "InvalidParameterException",
    "logs": "InvalidParameterException",
    "lambda": "InvalidParameterValueException",
}
"""The code with which a service refuses what breaks its model; ``ValidationException`` for all others."""


def refusal_code(call: Call) -> str:
    """The code with which this service refuses such a request."""
    return REFUSAL_CODES.get(call.service, "ValidationException")


def refused(call: Call) -> str | None:
    """What AWS says to a request that breaks the model, or None if it does not."""
    assert call.model is not None
    shape = call.model.input_shape
    if shape is None:
        return None
    found = [text for text, _ in zip(_broken(shape, call.params, ""), range(3), strict=False)]
    if not found:
        return None
    many = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    return many + "; ".join(found)


def _broken(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Constraints that a request's value breaks, in the words of AWS."""
    rules = shape.metadata
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"Value null at '{_at(path, name)}' failed to satisfy constraint: Member must not be null"
        for name, item in value.items():
            if item is not None and name in shape.members:
                yield from _broken(shape.members[name], item, _at(path, name))
        return
    if isinstance(shape, ListShape) and isinstance(value, list):
        yield from _length(len(value), rules, path, value)
        for index, item in enumerate(value, 1):
            yield from _broken(shape.member, item, f"{path}.{index}.member")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _length(len(value), rules, path, value)
        for key, item in value.items():
            yield from _broken(shape.key, key, f"{path}.key")
            yield from _broken(shape.value, item, f"{path}.{key}.member")
    elif isinstance(shape, StringShape) and isinstance(value, str):
        told = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must"
        if shape.enum and value not in shape.enum:
            yield f"{told} satisfy enum value set: [{', '.join(shape.enum)}]"
        else:
            yield from _length(len(value), rules, path, value)
            pattern = rules.get("pattern")
            if pattern and (known := _compiled(pattern)) is not None and not known.fullmatch(value):
                yield f"{told} satisfy regular expression pattern: {pattern}"
    elif isinstance(value, int | float) and not isinstance(value, bool) and shape.type_name in _NUMBERS:
        told = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have value"
        if "min" in rules and value < rules["min"]:
            yield f"{told} greater than or equal to {rules['min']}"
        if "max" in rules and value > rules["max"]:
            yield f"{told} less than or equal to {rules['max']}"


def _length(length: int, rules: Mapping[str, Any], path: str, value: Any) -> Iterator[str]:
    told = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must have length"
    if "min" in rules and length < rules["min"]:
        yield f"{told} greater than or equal to {rules['min']}"
    if "max" in rules and length > rules["max"]:
        yield f"{told} less than or equal to {rules['max']}"


_NUMBERS: Final = ("integer", "long", "float", "double")


def _at(path: str, name: str) -> str:
    small = name[:1].lower() + name[1:]
    return f"{path}.{small}" if path else small


@cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """The pattern, or None for one that Python's dialect does not have."""
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return None


# -- answers ------------------------------------------------------------------------------------------------------------


def wrong_answer(call: Call, answer: Answer) -> list[str]:
    """What in a successful answer is not as the model says."""
    assert call.model is not None
    shape = call.model.output_shape
    if shape is None or call.model.has_streaming_output:
        return []
    found: list[str] = []
    if call.protocol in ("json", "rest-json") and answer.body and not shape.serialization.get("payload"):
        found += _unlike(shape, json.loads(answer.body), "", names=_wire_names(call.protocol))
    if call.protocol != "smithy-rpc-v2-cbor" or answer.body:
        parser = create_parser(call.protocol)
        headers = dict(answer.headers)
        parsed = parser.parse({"status_code": answer.status, "headers": _Headers(headers), "body": answer.body}, shape)
        parsed.pop("ResponseMetadata", None)
        found += _missing(shape, parsed, "")
    return list(dict.fromkeys(found))[:10]


class _Headers(dict[str, str]):
    """Headers by name, large or small letters."""

    def __init__(self, given: Mapping[str, str]) -> None:
        super().__init__({name.lower(): value for name, value in given.items()})

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())


def _wire_names(protocol: str) -> bool:
    return protocol == "rest-json"


def _unlike(shape: Shape, value: Any, path: str, *, names: bool) -> Iterator[str]:
    """Members that the model does not have, and values of another type, in a JSON body."""
    if value is None:
        return
    if isinstance(shape, StructureShape):
        if shape.metadata.get("document"):
            return
        if not isinstance(value, Mapping):
            yield f"{path or 'the answer'} is {type(value).__name__} and no structure"
            return
        known = {(m.serialization.get("name", n) if names else n): m for n, m in shape.members.items()}
        for name, item in value.items():
            if name not in known:
                yield f"{path}.{name} is not in the model"
            else:
                yield from _unlike(known[name], item, f"{path}.{name}", names=names)
    elif isinstance(shape, ListShape):
        if not isinstance(value, list):
            yield f"{path} is {type(value).__name__} and no list"
            return
        for item in value:
            yield from _unlike(shape.member, item, f"{path}[]", names=names)
    elif isinstance(shape, MapShape):
        if not isinstance(value, Mapping):
            yield f"{path} is {type(value).__name__} and no map"
            return
        for key, item in value.items():
            yield from _unlike(shape.value, item, f"{path}.{key}", names=names)
    elif not _is(shape, value):
        yield f"{path} is {value!r} and no {shape.type_name}"


def _is(shape: Shape, value: Any) -> bool:
    match shape.type_name:
        case "string" | "character":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "long":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float" | "double":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case _:
            return True


def _missing(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Required members that are not there, and texts outside of an enumeration, in a parsed answer."""
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        for name in shape.required_members:
            if value.get(name) is None:
                yield f"{path}.{name} is missing"
        for name, item in value.items():
            if name in shape.members and item is not None:
                yield from _missing(shape.members[name], item, f"{path}.{name}")
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for item in value:
            yield from _missing(shape.member, item, f"{path}[]")
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        for key, item in value.items():
            yield from _missing(shape.value, item, f"{path}.{key}")
    elif isinstance(shape, StringShape) and shape.enum and isinstance(value, str) and value and value not in shape.enum:
        yield f"{path} is {value!r}, which is none of {', '.join(shape.enum)}"
