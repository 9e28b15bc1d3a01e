"""Tables: what is alive, what is offered, what was proved, what was applied."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Mapping, Sequence
from typing import Any

from mlinfra.engine.inspect import CheckOutcome, StatusRow
from mlinfra.engine.values import MISSING, at_path, decode
from mlinfra.engine.values import reveal as revealed
from mlinfra.sdk.diagnostics import did_you_mean, fail
from mlinfra.sdk.refs import Sensitive
from mlinfra.state.snapshot import ResourceState
from mlinfra.views.lines import Line, Piece, Style, counted, seconds, shown, table
from mlinfra.views.screen import jsonable

_STATES: dict[str, Style] = {
    "running": "good",
    "ready": "good",
    "stopped": "error",
    "failed": "error",
    "unknown": "warning",
}


def status_lines(rows: Sequence[StatusRow], environment: str, applied: int) -> list[Line]:
    """What is alive and where. ``applied`` counts the resources, also those that have nothing to tell."""
    if not rows and applied:
        return [
            [
                (
                    f"{counted(applied, 'resource')} applied in {environment}, none that runs. `mlinfra show` lists them.",
                    "",
                )
            ]
        ]
    if not rows:
        return [[(f"Nothing is applied in {environment} yet. `mlinfra apply` makes it.", "")]]
    cells: list[list[Piece]] = []
    for row in rows:
        style = _STATES.get(row.status.state, "")
        told = row.status.url or row.status.detail
        if row.status.url and row.status.detail:
            told = f"{row.status.url}  {row.status.detail}"
        cells.append([(row.address, ""), (row.status.state, style), (told, "")])
    return table(cells)


def status_record(row: StatusRow) -> dict[str, Any]:
    """One thing that was applied, for machines."""
    return {
        "event": "status",
        "component": row.component,
        "address": row.address,
        "state": row.status.state,
        "detail": row.status.detail,
        "url": row.status.url,
    }


def output_lines(outputs: Mapping[str, Mapping[str, Any]], *, reveal: bool) -> list[Line]:
    """What components offer, one value a line."""
    cells: list[list[Piece]] = []
    for component, offered in outputs.items():
        for name, value in _flat(offered):
            text = value.reveal() if reveal and isinstance(value, Sensitive) else _bare(value)
            cells.append([(f"{component}.{name}", ""), (text, "bold")])
    return table(cells) if cells else [[("No outputs.", "")]]


def output_record(outputs: Mapping[str, Mapping[str, Any]], *, reveal: bool) -> dict[str, Any]:
    """What components offer, for machines."""
    return {"event": "outputs", "outputs": revealed(outputs) if reveal else jsonable(outputs)}


def output_text(outputs: Mapping[str, Mapping[str, Any]], name: str, *, reveal: bool, json: bool) -> str:
    """One output's bare value.

    Errors: DiagnosticError for a name that nothing offers.
    """
    kind, _, rest = name.partition(".")
    component, _, path = rest.partition(".")
    value = (
        at_path(outputs.get(f"{kind}.{component}", {}), path) if path else outputs.get(f"{kind}.{component}", MISSING)
    )
    if value is MISSING:
        names = [f"{each}.{key}" for each, offered in outputs.items() for key, _ in _flat(offered)]
        raise fail(
            "output-unknown",
            "Unknown output",
            f'Nothing offers "{name}".{did_you_mean(name, names)}',
            "`mlinfra output` lists all.",
        )
    if value is None:
        raise fail("output-unknown", "No value yet", f"{name} has no value yet.", "Run `mlinfra apply` first.")
    value = revealed(value) if reveal else value
    if json or isinstance(value, dict | list):
        return jsonlib.dumps(jsonable(value))
    return _bare(value)


def check_lines(outcomes: Sequence[CheckOutcome]) -> list[Line]:
    """What was proved, one check a line, and the sum."""
    if not outcomes:
        return [[("Nothing to check.", "")]]
    cells: list[list[Piece]] = []
    for outcome in outcomes:
        mark: Piece = ("✓", "good") if outcome.passed else ("✗", "error")
        cells.append(
            [mark, (outcome.component, ""), (outcome.name, "dim"), (outcome.summary, "" if outcome.passed else "error")]
        )
    failed = sum(1 for outcome in outcomes if not outcome.passed)
    took = seconds(sum(outcome.seconds for outcome in outcomes))
    if failed:
        total: Line = [(f"{failed} of {counted(len(outcomes), 'check')} failed, {took}.", "error")]
    elif len(outcomes) == 1:
        total = [(f"The check passed, {took}.", "bold")]
    else:
        total = [(f"All {len(outcomes)} checks passed, {took}.", "bold")]
    return [*table(cells), total]


def check_record(outcome: CheckOutcome) -> dict[str, Any]:
    """One check, for machines."""
    return {
        "event": "check",
        "component": outcome.component,
        "name": outcome.name,
        "passed": outcome.passed,
        "summary": outcome.summary,
        "seconds": round(outcome.seconds, 3),
    }


def resource_lines(entries: Sequence[ResourceState], *, details: bool) -> list[Line]:
    """What was applied: a line each, or with ``details`` every field."""
    if not entries:
        return [[("Nothing is applied yet.", "")]]
    if not details:
        return table([[(entry.address, ""), (entry.type, "dim"), (entry.id, "dim")] for entry in entries])
    lines: list[Line] = []
    for entry in entries:
        lines.append([(entry.address, "bold"), (f"  {entry.type}  {entry.id}", "dim")])
        lines += table([[(name, "dim"), (shown(value), "")] for name, value in decode(entry.fields).items()], indent=2)
    return lines


def resource_record(entry: ResourceState) -> dict[str, Any]:
    """One applied resource, for machines; secrets as fingerprints."""
    return {
        "event": "resource",
        "address": entry.address,
        "type": entry.type,
        "id": entry.id,
        "fields": entry.fields,
        "dependencies": entry.dependencies,
    }


def _flat(offered: Any, prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, value in offered.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _bare(value: Any) -> str:
    if isinstance(value, Sensitive):
        return "(sensitive)"
    if value is None:
        return "(not yet)"
    return value if isinstance(value, str) else jsonlib.dumps(jsonable(value))
