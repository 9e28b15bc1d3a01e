"""Data drift: which columns are distributed otherwise than in the reference, by Evidently's tests. Must not decide a verdict."""

from __future__ import annotations

import math
from typing import Any, Final

from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

from .answer import Found
from .config import Config
from .frames import compared
from .tables import Problem

FOR_NUMBERS: Final = ("psi", "ks", "wasserstein", "jensenshannon")
FOR_CLASSES: Final = ("psi", "chisquare", "jensenshannon")
"""Which columns each method suits. A column that a method does not suit is measured by Evidently's default for it."""


def measure(normal: Any, data: Any, config: Config, found: Found) -> Any:
    """Fill ``found``; gives the snapshot whose report is shown, or None.

    Errors: Problem.
    """
    left, right, columns = compared(normal, data, config)
    found.left_out |= columns.left_out
    found.what = "share of drifted columns"
    # A column without a single value cannot be measured, and is as far from the reference as one can be.
    emptied = [name for name in columns.names if not right[name].notna().any()]
    for name in emptied:
        found.columns[name] = {"drifted": True, "score": None, "method": "no values", "threshold": None}
    measured = [name for name in columns.names if name not in emptied]
    snapshot = None
    if measured:
        snapshot = _snapshot(left, right, columns, measured, config)
        found.columns |= _columns(snapshot.dict())
    missing = [name for name in measured if name not in found.columns]
    if missing:
        raise Problem(f"Evidently tells nothing of the columns {', '.join(missing)}")
    drifted = sum(1 for column in found.columns.values() if column["drifted"])
    found.score = drifted / len(columns.names)
    found.metrics["drifted_columns"] = float(drifted)
    return snapshot


def _snapshot(left: Any, right: Any, columns: Any, measured: list[str], config: Config) -> Any:
    numbers = [name for name in columns.numbers if name in measured]
    classes = [name for name in columns.classes if name in measured]
    suited = {
        *(numbers if config.method in FOR_NUMBERS else ()),
        *(classes if config.method in FOR_CLASSES else ()),
    }
    threshold = config.column_threshold
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=classes)
    preset = DataDriftPreset(
        columns=measured,
        drift_share=config.threshold,
        per_column_method={name: str(config.method) for name in sorted(suited)} or None,
        per_column_threshold={name: threshold for name in sorted(suited) if threshold is not None} or None,
    )
    return Report([preset], include_tests=True).run(
        Dataset.from_pandas(right[measured], data_definition=definition),
        Dataset.from_pandas(left[measured], data_definition=definition),
    )


def _columns(told: Any) -> dict[str, dict[str, Any]]:
    """What the snapshot tells of each column: its tests say whether it drifted, each method having a sense of its own."""
    failed = {test["metric_config"]["metric_id"]: test["status"] == "FAIL" for test in told["tests"]}
    found = {}
    for metric in told["metrics"]:
        config = metric["config"]
        if config["type"].endswith(":ValueDrift"):
            score = float(metric["value"])
            found[config["column"]] = {
                "drifted": failed[metric["id"]],
                "score": score if math.isfinite(score) else None,
                "method": config["method"],
                "threshold": config["threshold"],
            }
    return found
