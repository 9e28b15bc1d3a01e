"""What all kinds share: the base of their models, how values that are not known yet pass through them, and links.

A value of a blueprint may be a reference, which is a token here (`mlinfra.sdk.refs`), or a secret. Both are let through
unvalidated and unchanged, in the place of any value. Knows no kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic_core import CoreSchema, core_schema

from mlinfra.kinds.units import ModelRef
from mlinfra.sdk.refs import Sensitive, Unknown, has_token

T = TypeVar("T")


def opaque(value: Any) -> bool:
    """Whether a value cannot be looked into: a text with a token, a secret, or one that only an apply can tell."""
    return isinstance(value, Sensitive | Unknown) or (isinstance(value, str) and has_token(value))


def _let_through(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return value if opaque(value) else handler(value)


class _Tokens:
    """Lets opaque values stand in the place of what it annotates."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_wrap_validator_function(_let_through, handler(source))


class _Switch:
    """Lets true and false stand for a mapping with its defaults and for nothing."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> Any:
            return {} if value is True else None if value is False else value

        return core_schema.no_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [*handler(schema)["anyOf"], {"type": "boolean"}]}


class _OneOrMore:
    """Lets an item stand for the list of just that item."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def read(value: Any) -> Any:
            return value if isinstance(value, list | tuple) else [value]

        return core_schema.no_info_before_validator_function(read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        several = handler(schema)
        return {"anyOf": [several["items"], several]}


Open = Annotated[T, _Tokens()]
"""An item of a list or mapping in whose place an opaque value may stand: ``list[Open[int]]``. Fields need no mark."""
Switch = Annotated[T | None, _Switch()]
"""A mapping, or ``true`` for it with its defaults, or ``false`` for nothing."""
OneOrMore = Annotated[list[T], _OneOrMore()]
"""A list; an item alone stands for the list of it."""


class Part(BaseModel):
    """A mapping within a component. Defaults are written as a blueprint writes them ("7d") and validated like it."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, coerce_numbers_to_str=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _tokens_pass(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return _let_through(value, handler)


@dataclass(frozen=True, slots=True)
class Link:
    """A field that names another component.

    ``field`` is the path of the field, keys joined by dots. ``role`` says what it does with it: it needs it (``uses``), a run
    of it makes it (``produces``), or it may start it (``starts``). ``model`` is the model that is meant, in a registry.
    """

    field: str
    component: str
    role: Literal["uses", "produces", "starts"]
    model: ModelRef | None = None


class Kind(Part):
    """The model of a component. Subclasses are kinds: one a file, listed in `mlinfra.kinds.KINDS`."""

    kind: ClassVar[str]
    """The name of the section in a blueprint."""
    outputs: ClassVar[Mapping[str, str]] = {}
    """What references may name (``${storage.lake.url}``): name → what it is, in a line."""

    def links(self) -> list[Link]:
        """The components that this one names in its fields. References (``${...}``) are not links."""
        return []
