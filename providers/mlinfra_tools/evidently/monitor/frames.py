"""Makes the data frames of one look: what is looked at, the reference, and the columns that both are compared by.

Values of a column are numbers, or texts by which they can be compared whatever they were written as (true, 1 and "1" are
the same class). Must not measure anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from numbers import Number
from typing import Any, Final

import pandas

from .captured import SAMPLE, Captured
from .config import TIMESTAMP, Config
from .tables import Problem, load

PREDICTION: Final = "prediction"
PROBABILITY: Final = "probability"
MANY: Final = 100
"""More different texts than this, in more than half of the rows, identify rows: their distribution means nothing."""


@dataclass
class Frame:
    """The rows that are looked at. ``total`` counts those that the window has; ``data`` may be a sample of them."""

    data: Any
    total: int
    notes: list[str] = field(default_factory=list)


@dataclass
class Columns:
    """The columns that both sides have, by what they hold; and those that are left out, with the reason."""

    numbers: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """All that are compared."""
        return [*self.numbers, *self.classes]


def of_requests(found: Captured) -> Frame:
    """Captured requests: the columns that were asked with, `PREDICTION`, and `PROBABILITY` of the second of two classes.
    ``request_id`` and ``row`` are the index."""
    rows = [
        {
            **{name: _scalar(value) for name, value in row.inputs.items()},
            PREDICTION: _scalar(row.prediction),
            **_probability(row.probabilities),
        }
        for row in found.rows
    ]
    index = pandas.MultiIndex.from_tuples([(row.request_id, row.row) for row in found.rows] or [("", 0)])
    data = pandas.DataFrame.from_records(rows, index=index if rows else None)
    notes = [f"{found.unreadable} lines of the captured requests could not be read"] if found.unreadable else []
    return Frame(data, found.total, notes)


def of_table(config: Config, since: datetime, until: datetime) -> Frame:
    """The rows of the table ``current`` with ``since < timestamp <= until``.

    Errors: Problem.
    """
    table = load("current", str(config.current), config.places)
    name = config.timestamp_field or TIMESTAMP
    notes = []
    if name in table.columns:
        try:
            when = pandas.to_datetime(
                table[name], utc=True, format=None if table[name].dtype.kind == "M" else "ISO8601"
            )
        except (ValueError, TypeError) as error:
            raise Problem(f'current: the column "{name}" holds no times: {error}') from error
        table = table[(when > since) & (when <= until)]
    elif config.timestamp_field is not None:
        raise Problem(f'current: there is no column "{name}" to tell which rows are in the window')
    else:
        notes.append(f'current has no column "{name}": all of it was looked at')
    return Frame(sample(table), len(table), notes)


def reference(config: Config) -> Any:
    """The reference, at most `SAMPLE` rows of it.

    Errors: Problem.
    """
    table = load("reference", str(config.reference), config.places)
    if not len(table):
        raise Problem("reference: the table has no rows")
    return sample(table)


def sample(table: Any) -> Any:
    """The table, or a random part of it: the same for the same rows."""
    return table if len(table) <= SAMPLE else table.sample(SAMPLE, random_state=0)


def compared(normal: Any, data: Any, config: Config) -> tuple[Any, Any, Columns]:
    """Reference and current data with the columns that both have, each column in one form on both sides.

    Errors: Problem if a column that is named is missing, or if nothing is left to compare.
    """
    for name in config.columns:
        for side, table in (("the reference", normal), ("what is looked at", data)):
            if name not in table.columns:
                raise Problem(f'{side} has no column "{name}"; it has: {listed(table.columns)}')
    normal, data = normal.reset_index(drop=True), data.reset_index(drop=True)
    found = Columns()
    skipped = {config.timestamp_field or TIMESTAMP} - set(config.columns)
    left, right = {}, {}
    for name in config.columns or [str(name) for name in normal.columns if name in data.columns]:
        if name in skipped:
            continue
        kind, reason = _kind(normal[name], named=name in config.columns)
        if kind is None:
            found.left_out[name] = reason
            continue
        (found.numbers if kind == "numbers" else found.classes).append(name)
        form = numbers if kind == "numbers" else classes
        left[name], right[name] = form(normal[name]), form(data[name])
    if not found.names:
        why = "; ".join(f"{name}: {reason}" for name, reason in found.left_out.items())
        raise Problem(
            f"nothing to compare ({why})" if why else f"no column is in both: the reference has "
            f"{listed(normal.columns)}, what is looked at has {listed(data.columns)}"
        )  # fmt: skip
    return pandas.DataFrame(left), pandas.DataFrame(right), found


def numbers(column: Any) -> Any:
    """A column as floats; what is no finite number is missing."""
    plain = column.map(lambda value: None if isinstance(value, str) and not value.strip() else value)
    found = pandas.to_numeric(plain, errors="coerce").astype("float64")
    return found.where(found.abs() != float("inf"))


def classes(column: Any) -> Any:
    """A column as texts; what is missing stays so."""
    return column.map(plain).astype("object")


def plain(value: Any) -> str | None:
    """The text by which a value is compared: whole numbers, true and false are the same however they were written."""
    if value is None or (isinstance(value, float) and value != value) or value is pandas.NaT or value is pandas.NA:
        return None
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def listed(names: Any, most: int = 12) -> str:
    """Names for a sentence."""
    found = [str(name) for name in names]
    return (", ".join(found[:most]) + (f" and {len(found) - most} more" if len(found) > most else "")) or "none"


def are_numbers(column: Any) -> bool:
    """Whether a column holds numbers; true and false are none."""
    if column.dtype != "object":
        return bool(column.dtype.kind in "iuf" or str(column.dtype) in ("Int64", "Int32", "Float64", "Float32"))
    there = column.dropna()
    return bool(len(there)) and all(isinstance(value, Number) and not isinstance(value, bool) for value in there)


def _kind(column: Any, *, named: bool) -> tuple[str | None, str]:
    there = column.dropna()
    if not len(there):
        return None, "the reference has no values"
    if column.dtype.kind in "mM":
        return None, "times are not compared"
    if are_numbers(column):
        return "numbers", ""
    if not named:
        different = len(set(there.map(plain)))
        if different > MANY and different > len(there) / 2:
            return None, "its texts identify rows"
    return "classes", ""


def _scalar(value: Any) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 1:
        value = value[0]
    return json.dumps(value, sort_keys=True) if isinstance(value, list | tuple | Mapping) else value


def _probability(value: Any) -> dict[str, float]:
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], Number):
        return {PROBABILITY: float(value[1])}  # type: ignore[arg-type]  # of a real number, as JSON has them
    return {}
