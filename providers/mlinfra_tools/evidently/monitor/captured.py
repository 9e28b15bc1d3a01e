"""Reads what the endpoint captured: ``<folder>/<variant>/<YYYY-MM-DD>.jsonl`` (UTC days), one JSON object a row of a request.

A line with ``rows`` or with column lists is read as the several rows that it holds. Lines that do not parse (the last one may
be cut) are left out and counted. Must know nothing of drift.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SAMPLE = 100_000
"""Rows that one evaluation looks at; above it a random sample stands for all."""


@dataclass(frozen=True)
class Row:
    """One row of one request: what was asked and what was answered."""

    timestamp: datetime
    request_id: str
    row: int
    variant: str
    version: str
    inputs: Mapping[str, Any]
    prediction: Any
    probabilities: Any = None


@dataclass
class Captured:
    """The rows of a window: how many there were, and those that are looked at."""

    total: int = 0
    unreadable: int = 0
    files: int = 0
    rows: list[Row] = field(default_factory=list)
    by_variant: dict[str, int] = field(default_factory=dict)


def read(
    folder: Path, since: datetime, until: datetime, variants: Sequence[str] = (), sample: int = SAMPLE
) -> Captured:
    """The rows with ``since < timestamp <= until``.

    ``variants`` are those that are looked at; none named: all. A request that several of them saw (shadow traffic) counts
    once, for the first in their order. A sample is the same for the same rows.
    """
    found = Captured()
    order = _order(folder, variants)
    seen: set[tuple[str, int]] | None = set() if len(order) > 1 else None
    chance = random.Random(0)
    for variant in order:
        for path in _days(folder / variant, since, until):
            found.files += 1
            for row in _rows(path, variant, found):
                if not since < row.timestamp <= until:
                    continue
                if seen is not None and row.request_id:
                    if (row.request_id, row.row) in seen:
                        continue
                    seen.add((row.request_id, row.row))
                found.total += 1
                found.by_variant[variant] = found.by_variant.get(variant, 0) + 1
                if len(found.rows) < sample:
                    found.rows.append(row)
                elif (place := chance.randrange(found.total)) < sample:
                    found.rows[place] = row
    return found


def _order(folder: Path, variants: Sequence[str]) -> list[str]:
    try:
        there = sorted(item.name for item in folder.iterdir() if item.is_dir())
    except FileNotFoundError:
        return []
    return [name for name in variants if name in there] if variants else there


def _days(folder: Path, since: datetime, until: datetime) -> list[Path]:
    # A row stands in the file of the day on which it was written, which may be a little after its timestamp.
    first, last = f"{since:%Y-%m-%d}", f"{until + timedelta(minutes=10):%Y-%m-%d}"
    return [path for path in sorted(folder.glob("????-??-??.jsonl")) if first <= path.stem <= last]


def _rows(path: Path, variant: str, found: Captured) -> Iterator[Row]:
    try:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    yield from _parsed(json.loads(line), variant)
                except (ValueError, KeyError, TypeError):
                    found.unreadable += 1
    except FileNotFoundError:
        return  # retention removed it meanwhile


def _parsed(raw: Any, variant: str) -> list[Row]:
    moment = datetime.fromisoformat(raw["timestamp"])
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    inputs = raw["rows"] if "rows" in raw else raw["inputs"]
    answers = raw["predictions"] if "predictions" in raw else [raw.get("prediction")]
    chances = raw.get("probabilities")
    each = chances if "predictions" in raw and isinstance(chances, list) else [chances]
    several = inputs if isinstance(inputs, list) else _unfolded(inputs)
    first = int(raw.get("row") or 0)
    if not all(isinstance(item, Mapping) for item in several):
        raise TypeError("rows are objects")
    return [
        Row(
            moment,
            str(raw.get("request_id") or ""),
            first + number,
            variant,
            str(raw.get("version") or ""),
            item,
            answers[number] if number < len(answers) else None,
            each[number] if number < len(each) else None,
        )
        for number, item in enumerate(several)
    ]


def _unfolded(inputs: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """One row of scalars as it is; columns of equally many values as rows."""
    lengths = {len(value) if isinstance(value, list) else -1 for value in inputs.values()}
    if len(lengths) != 1 or lengths == {-1}:
        return [inputs]
    return [dict(zip(inputs, values, strict=True)) for values in zip(*inputs.values(), strict=True)]
