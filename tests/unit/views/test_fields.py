"""Fields as rows, from the model alone."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field

from mlinfra.sdk.fields import COMPUTED, REPLACE, SECRET
from mlinfra.sdk.resource import Resource
from mlinfra.views.fields import FieldRow, field_rows, prose
from mlinfra.views.lines import plain
from mlinfra.views.reference import type_lines


class Part(BaseModel):
    size: int = 3
    """How large it is,
    in metres."""
    inner: Part | None = None


class Thing(Resource):
    """Something that is there.

    It has parts.

    Example::

        resource:
          it: { type: test.thing, name: it }

    And more to tell.
    """

    type: ClassVar[str] = "test.thing"

    name: Annotated[str, REPLACE]
    """Its name."""
    token: Annotated[str | None, SECRET] = None
    mode: Literal["fast", "slow"] = Field("fast", description="How. Default: fast.")
    parts: dict[str, Part] = {}
    more: list[Part] = []
    on: bool = True
    url: Annotated[str | None, COMPUTED] = None


def test_each_field_is_a_row_with_its_policy_and_text() -> None:
    assert field_rows(Thing) == [
        FieldRow(0, "name", "string", ("forces replacement", "required"), "Its name."),
        FieldRow(0, "token", "string", ("secret",), ""),
        FieldRow(0, "mode", "fast | slow", (), "How. Default: fast."),
        FieldRow(0, "parts", "map of mapping", (), ""),
        FieldRow(1, "size", "integer", ("default 3",), "How large it is, in metres."),
        FieldRow(1, "inner", "mapping", (), ""),
        FieldRow(0, "more", "list of mapping", (), ""),
        FieldRow(0, "on", "boolean", ("default true",), ""),
        FieldRow(0, "url", "string", ("computed",), ""),
    ]


def test_a_docstring_is_prose_and_an_example() -> None:
    assert prose(Thing) == (
        "Something that is there.\n\nIt has parts.\n\nAnd more to tell.",
        "resource:\n  it: { type: test.thing, name: it }",
    )


def test_it_is_folded_for_the_screen() -> None:
    told = plain(type_lines("test.thing", Thing, 40))
    assert "\n    resource:\n      it: { type: test.thing, name: it }\n" in told
    assert "\n  name  string  (forces replacement, required)\n      Its name.\n" in told
