"""A state that was made anew, before it takes its place: what was found and how, what is missing, what goes."""

from __future__ import annotations

from typing import Any

from mlinfra.engine.rebuild import Rebuilt, Row
from mlinfra.views.lines import Line, Piece, Style, counted, table

_HOW = {"tags": "by its tags", "name": "by its name", "state": "only the state before knows it"}
_ROLES: dict[str, tuple[str, Style, str]] = {
    "wanted": ("=", "good", ""),
    "left": ("-", "destroy", "not in the blueprint: the next apply destroys it"),
    "second": ("-", "destroy", "another object has its address: the next apply destroys it"),
}


def rebuild_lines(rebuilt: Rebuilt) -> list[Line]:
    """What the state would be, a line an object."""
    cells: list[list[Piece]] = [_row(row) for row in rebuilt.rows]
    for address, why in sorted(rebuilt.missing.items()):
        told = f"cannot be looked for now: {why}" if why else "not found: the next apply makes it"
        cells.append([("?", "warning"), (address, ""), ("", ""), ("", ""), (told, "dim")])
    for address in rebuilt.dropped:
        cells.append([("✗", "dim"), (address, ""), ("", ""), ("", ""), ("in the state before, and gone", "dim")])
    for object_id, address in rebuilt.strange:
        cells.append(
            [("!", "warning"), (address, ""), ("", ""), (object_id, "dim"), ("of no type that is known here", "dim")]
        )
    lines = table(cells)
    assumed = [row for row in rebuilt.rows if row.assumed]
    if assumed:
        lines.append([])
        lines.append([("Nothing can read these back, so they are taken to be as the blueprint says:", "warning")])
        lines += table([[(row.address, "dim"), (", ".join(row.assumed), "dim")] for row in assumed], indent=2)
    for name in rebuilt.unlisted:
        lines.append(
            [(f"The provider {name} cannot list what is ours: what the blueprint has no more is not found.", "warning")]
        )
    if lines:
        lines.append([])
    return [*lines, [(_sum(rebuilt), "bold")]]


def _row(row: Row) -> list[Piece]:
    symbol, style, told = _ROLES[row.role]
    return [
        (symbol, style),
        (row.address, ""),
        (row.type, "dim"),
        (_short(row.id), "dim"),
        (told or _HOW[row.how], "dim"),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _sum(rebuilt: Rebuilt) -> str:
    wanted = sum(row.role == "wanted" for row in rebuilt.rows)
    parts = [f"{counted(len(rebuilt.rows), 'object')} found, {wanted} of them in the blueprint"]
    if rebuilt.missing:
        parts.append(f"{len(rebuilt.missing)} not found")
    if rebuilt.before is None:
        parts.append("the state before cannot be read")
    elif rebuilt.before:
        parts.append(f"the state before has {counted(rebuilt.before, 'resource')}")
    return f"Rebuild: {'; '.join(parts)}."


def rebuild_record(rebuilt: Rebuilt) -> dict[str, Any]:
    """The same for machines."""
    return {
        "event": "rebuild",
        "blueprint": rebuilt.state.blueprint,
        "environment": rebuilt.state.environment,
        "objects": [
            {
                "address": row.address,
                "type": row.type,
                "id": row.id,
                "how": row.how,
                "role": row.role,
                "assumed": list(row.assumed),
            }
            for row in rebuilt.rows
        ],
        "missing": [{"address": address, "why": why} for address, why in sorted(rebuilt.missing.items())],
        "dropped": list(rebuilt.dropped),
        "before": rebuilt.before,
        "unlisted": list(rebuilt.unlisted),
        "strange": [{"id": object_id, "address": address} for object_id, address in rebuilt.strange],
    }
