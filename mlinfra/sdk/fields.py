"""Field policies: how a field of a resource type behaves when it differs. Data on the field, seen in its JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, GetJsonSchemaHandler
from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class FieldPolicy:
    """What the diff and the engine may do with a field. Combine with ``Annotated[str, REPLACE, SECRET]``."""

    replace: bool = False
    """A change of this field replaces the resource."""
    computed: bool = False
    """The provider sets it; a blueprint does not. Stays as it was through an update, unknown before a create or replace."""
    volatile: bool = False
    """Computed, and an update may change it: unknown while any update is planned."""
    secret: bool = False
    """Never stored or shown; compared by salted fingerprint."""
    unordered: bool = False
    """A list whose order means nothing."""
    keyed_by: str | None = None
    """A list of objects, matched by this key instead of by position."""
    owned: bool = False
    """Owned elsewhere: set when the resource is created, then left as it is found and never called drift."""
    write_only: bool = False
    """The live object cannot tell it: compared with what was last applied only."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        json_schema = handler(schema)
        marks = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name)}
        json_schema.setdefault("x-mlinfra", {}).update(marks)
        return json_schema


REPLACE = FieldPolicy(replace=True)
COMPUTED = FieldPolicy(computed=True)
VOLATILE = FieldPolicy(computed=True, volatile=True)
SECRET = FieldPolicy(secret=True)
UNORDERED = FieldPolicy(unordered=True)
OWNED = FieldPolicy(owned=True)
WRITE_ONLY = FieldPolicy(write_only=True)


def keyed_by(key: str) -> FieldPolicy:
    """A list of objects, matched by ``key``."""
    return FieldPolicy(keyed_by=key)


_PLAIN = FieldPolicy()


@cache
def policies(model: type[BaseModel]) -> Mapping[str, FieldPolicy]:
    """The policy of every field of a resource type."""
    return {name: _merged(info.metadata) for name, info in model.model_fields.items()}


def _merged(metadata: list[Any]) -> FieldPolicy:
    policy = _PLAIN
    for item in metadata:
        if isinstance(item, FieldPolicy):
            changed = {f.name: getattr(item, f.name) for f in fields(item) if getattr(item, f.name) != f.default}
            policy = replace(policy, **changed)
    return policy
