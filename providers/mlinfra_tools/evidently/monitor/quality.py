"""Data quality: missing values, and values out of the reference's range or set, counted by Evidently's metrics.

Must not decide a verdict.
"""

from __future__ import annotations

from typing import Any, Final

from evidently import DataDefinition, Dataset, Report
from evidently.metrics import MissingValueCount, OutListValueCount, OutRangeValueCount
from evidently.presets import DataSummaryPreset

from .answer import Found
from .config import Config
from .frames import Columns, are_numbers, classes, compared, listed, numbers
from .tables import Problem

SET: Final = 50
"""A column with more different texts than this in the reference has no set that a value could be out of."""


def measure(normal: Any | None, data: Any, config: Config, found: Found) -> Any:
    """Fill ``found``; gives the snapshot whose report is shown.

    A value counts as bad if it is missing, beyond the share that is missing in the reference as well; if a number is below
    or above all of the reference's; or if a text is none of the reference's texts, where those are at most `SET`.

    Errors: Problem.
    """
    if normal is None:
        left, right, columns = None, *_alone(data, config)
    else:
        left, right, columns = compared(normal, data, config)
    found.left_out |= columns.left_out
    found.what = "share of bad values"
    metrics: list[Any] = [MissingValueCount(column=name) for name in columns.names]
    if left is not None:
        for name in columns.numbers:
            metrics.append(OutRangeValueCount(column=name, left=float(left[name].min()), right=float(left[name].max())))
        for name in columns.classes:
            there = sorted(set(left[name].dropna()))
            if len(there) <= SET:
                metrics.append(OutListValueCount(column=name, values=there))
    definition = DataDefinition(numerical_columns=columns.numbers, categorical_columns=columns.classes)
    snapshot = Report([*metrics, DataSummaryPreset(columns=columns.names)]).run(
        Dataset.from_pandas(right, data_definition=definition),
        None if left is None else Dataset.from_pandas(left, data_definition=definition),
    )
    counted = _counts(snapshot.dict())
    rows, bad = len(right), 0.0
    for name in columns.names:
        counts = {"missing": 0, "out_of_range": 0, "out_of_set": 0, **counted.get(name, {})}
        usual = 0.0 if left is None else float(left[name].isna().mean())
        beyond = max(0.0, counts["missing"] - usual * rows) + counts["out_of_range"] + counts["out_of_set"]
        found.columns[name] = {**counts, "score": beyond / rows}
        bad += beyond
    found.score = bad / (rows * len(columns.names))
    return snapshot


def _alone(data: Any, config: Config) -> tuple[Any, Columns]:
    """The columns without a reference."""
    for name in config.columns:
        if name not in data.columns:
            raise Problem(f'what is looked at has no column "{name}"; it has: {listed(data.columns)}')
    wanted = list(config.columns) or [str(name) for name in data.columns]
    columns = Columns()
    right = data[wanted].reset_index(drop=True)
    for name in wanted:
        (columns.numbers if are_numbers(data[name]) else columns.classes).append(name)
        right[name] = (numbers if are_numbers(data[name]) else classes)(right[name])
    if not columns.names:
        raise Problem("what is looked at has no columns")
    return right, columns


def _counts(told: Any) -> dict[str, dict[str, int]]:
    words = {"MissingValueCount": "missing", "OutRangeValueCount": "out_of_range", "OutListValueCount": "out_of_set"}
    found: dict[str, dict[str, int]] = {}
    for metric in told["metrics"]:
        word = words.get(metric["config"]["type"].rpartition(":")[2])
        if word is not None:
            found.setdefault(metric["config"]["column"], {})[word] = round(float(metric["value"]["count"]))
    return found
