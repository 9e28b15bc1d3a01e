"""Declarations of variables: their types and what values they allow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mlinfra.blueprint.source import parse_value, plain
from mlinfra.sdk.diagnostics import did_you_mean

TYPES: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "map": "a mapping",
    "any": "anything",
}
KEYS: Final = ("type", "default", "description", "enum", "pattern", "minimum", "maximum", "sensitive")
MISSING: Final = object()


@dataclass(frozen=True, slots=True)
class Declaration:
    """A declared variable."""

    name: str
    type: str = "any"
    default: Any = MISSING
    enum: tuple[Any, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    sensitive: bool = False

    def refusal(self, value: Any) -> str:
        """Why the variable cannot have this value, as a clause, or nothing."""
        if not _is(value, self.type):
            return f"must be {TYPES[self.type]}"
        if self.enum and value not in self.enum:
            return f"must be one of {', '.join(map(str, self.enum))}"
        if self.pattern is not None and isinstance(value, str) and not re.search(self.pattern, value):
            return f'must match the pattern "{self.pattern}"'
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.minimum is not None and value < self.minimum:
                return f"must be at least {self.minimum:g}"
            if self.maximum is not None and value > self.maximum:
                return f"must be at most {self.maximum:g}"
        return ""

    def parsed(self, text: str) -> Any:
        """The value that a text from the command line or the environment means. Errors: ValueError."""
        if self.type == "string":
            return text
        if self.type == "boolean" and text.strip().lower() in ("true", "false"):
            return text.strip().lower() == "true"
        return parse_value(text)


def _is(value: Any, type_name: str) -> bool:
    match type_name:
        case "string":
            return isinstance(value, str)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "boolean":
            return isinstance(value, bool)
        case "list":
            return isinstance(value, list)
        case "map":
            return isinstance(value, dict)
    return True


def refused_key(key: str, value: Any) -> str:
    """Why a key of a declaration cannot have this value, as a clause, or nothing."""
    match key:
        case "type" if not isinstance(value, str) or value not in TYPES:
            hint = did_you_mean(value, TYPES) if isinstance(value, str) else ""
            return f"must be the name of a type, and it is {plain(value)}" + hint.rstrip("?") + ("?" if hint else "")
        case "sensitive" if not isinstance(value, bool):
            return f"must be true or false, and it is {plain(value)}"
        case "minimum" | "maximum" if not _is(value, "number"):
            return f"must be a number, and it is {plain(value)}"
        case "enum" if not isinstance(value, list) or not value:
            return f"must be a list of values, and it is {plain(value)}"
        case "description" if not isinstance(value, str):
            return f"must be text, and it is {plain(value)}"
        case "pattern":
            try:
                re.compile(value)
            except (re.error, TypeError, RecursionError, OverflowError) as error:
                return f"must be a regular expression ({error})"
    return ""
