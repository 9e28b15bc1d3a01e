"""References made from the models themselves: kinds, providers, resource types."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from pydantic import BaseModel

from mlinfra.kinds.kind import Kind
from mlinfra.sdk.provider import Provider
from mlinfra.sdk.resource import Resource
from mlinfra.views.fields import field_rows, prose
from mlinfra.views.lines import Line, Piece, folded, table


def kinds_lines(models: Mapping[str, type[BaseModel]]) -> list[Line]:
    """Every kind with a line about it."""
    rows: list[list[Piece]] = [[(name, "bold"), (_first(model), "")] for name, model in models.items()]
    return [*table(rows), [("`mlinfra kinds KIND` tells all about one.", "dim")]]


def kind_lines(name: str, model: type[Kind], width: int | None = None) -> list[Line]:
    """One kind: what it is, its fields with types and defaults, what it offers."""
    lines: list[Line] = [[(name, "bold")], *_prose(model, width), *_fields(model, width)]
    if model.outputs:
        lines += [[], [("Outputs", "bold")]]
        lines += table(
            [[(f"${{{name}.<name>.{key}}}", ""), (text, "dim")] for key, text in model.outputs.items()], indent=2
        )
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


def type_lines(name: str, model: type[Resource], width: int | None = None) -> list[Line]:
    """One resource type: its fields with their policies."""
    return [[(name, "bold")], *_prose(model, width), *_fields(model, width)]


def _fields(model: type[BaseModel], width: int | None) -> list[Line]:
    lines: list[Line] = []
    for row in field_rows(model):
        indent = " " * (2 + 4 * row.level)
        note = f"  ({', '.join(row.notes)})" if row.notes else ""
        lines.append([(indent, ""), (row.name, "bold"), (f"  {row.type}{note}", "dim")])
        if row.about:
            lines += [[(text, "")] for text in folded(row.about, width, indent + "    ")]
    return lines


def _first(model: type[BaseModel]) -> str:
    return (inspect.getdoc(model) or "").partition("\n")[0]


def _prose(model: type[BaseModel], width: int | None) -> list[Line]:
    said, example = prose(model)
    lines: list[Line] = []
    for paragraph in said.split("\n\n"):
        lines += [[(text, "")] for text in folded(" ".join(paragraph.split()), width, "")]
        lines.append([])
    lines += [[(f"    {text}", "dim")] for text in example.splitlines()]
    return [*lines, []] if example else lines
