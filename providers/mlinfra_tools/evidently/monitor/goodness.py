"""How good a model is: predictions joined with what really happened, measured by scikit-learn's metrics, which Evidently uses too.

Classes are compared as texts. With just the classes 0 and 1, precision, recall and f1 are of class 1; with any others they are
the mean over the classes. Must not decide a verdict.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, Final

import pandas
from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently.metrics import Accuracy
from evidently.presets import ClassificationPreset, RegressionPreset
from sklearn import metrics

from .answer import Found
from .config import ERRORS, FOR_CLASSES, Config
from .frames import PREDICTION, PROBABILITY, are_numbers, classes, listed, numbers, plain
from .tables import Problem, load

REQUEST: Final = "request_id"
LABEL: Final = "label"
FEW: Final = 20
"""Whole numbers with at most so many different values are classes, unless a metric for numbers is asked for."""


def labelled(data: Any, config: Config, found: Found) -> Any:
    """The rows of ``data`` that have a label: the columns `LABEL`, `PREDICTION` and, where there is one, `PROBABILITY`.

    Errors: Problem.
    """
    labels = config.labels
    assert labels is not None
    table = load("labels", labels.source, config.places)
    for name in (labels.key, labels.column):
        if name not in table.columns:
            raise Problem(f'labels: there is no column "{name}"; there are: {listed(table.columns)}')
    keys, several = _keys(data, labels.key, with_rows="row" in table.columns)
    if several:
        found.notes.append(
            f'{several} rows belong to requests of several rows, which labels without a column "row" cannot tell apart'
        )
    told = table[table[labels.column].notna()]
    by_row = labels.key == REQUEST and "row" in table.columns and isinstance(data.index, pandas.MultiIndex)
    known = _texts(told[labels.key], told["row"] if by_row else None)
    truth = dict(zip(known, told[labels.column], strict=True))  # the last label of a key is the one that holds
    rows = pandas.DataFrame({PREDICTION: data[PREDICTION] if PREDICTION in data.columns else None}, index=data.index)
    if PROBABILITY in data.columns:
        rows[PROBABILITY] = data[PROBABILITY]
    rows[LABEL] = [None if key is None else truth.get(key) for key in keys]
    there = rows[rows[LABEL].notna()]
    if PREDICTION not in data.columns:
        raise Problem(f'what is looked at has no column "{PREDICTION}"')
    return there[there[PREDICTION].notna()]


def of_reference(table: Any, config: Config) -> Any:
    """The reference in the same columns.

    Errors: Problem if it lacks the label or the prediction.
    """
    assert config.labels is not None
    for name, what in ((config.labels.column, "the label"), (PREDICTION, "what the model said")):
        if name not in table.columns:
            raise Problem(f'the reference has no column "{name}" ({what}); it has: {listed(table.columns)}')
    wanted = {config.labels.column: LABEL, PREDICTION: PREDICTION}
    if PROBABILITY in table.columns:
        wanted[PROBABILITY] = PROBABILITY
    kept = table[list(wanted)].rename(columns=wanted)
    return kept[kept[LABEL].notna() & kept[PREDICTION].notna()]


def measure(normal: Any | None, data: Any, config: Config, found: Found) -> Any:
    """Fill ``found``; gives the snapshot whose report is shown, or None.

    Errors: Problem.
    """
    of_classes = _are_classes(data if normal is None else pandas.concat([normal, data]), config)
    metric = config.metric or ("f1" if of_classes else "mae")
    form = classes if of_classes else numbers
    data = _formed(data, form)
    normal = None if normal is None else _formed(normal, form)
    if not of_classes and data[[LABEL, PREDICTION]].isna().any(axis=None):
        raise Problem(f"{metric} is about numbers, and some labels or predictions are none")
    both = data if normal is None else pandas.concat([normal, data])
    binary = of_classes and {*both[LABEL], *both[PREDICTION]} <= {"0", "1"}
    if metric == "roc_auc" and not (binary and PROBABILITY in data.columns):
        raise Problem("roc_auc needs the classes 0 and 1 and a probability with each prediction")
    now = _score(metric, data, binary)
    found.metrics[metric] = now
    if now is None:
        found.too_little = f"{len(data)} rows have a label, but {metric} cannot be told: one class alone is there"
    elif config.type == "performance":
        found.what, found.score = metric, now
    else:
        assert normal is not None
        before = _score(metric, normal, binary)
        found.metrics[f"reference_{metric}"] = before
        if before is None:
            raise Problem(f"{metric} cannot be told of the reference: one class alone is there")
        if before == 0:
            raise Problem(f"{metric} is 0 on the reference, so that a loss relative to it means nothing")
        loss = (now - before if metric in ERRORS else before - now) / abs(before)
        found.what, found.score = f"relative loss of {metric}", max(0.0, loss)
    return _snapshot(normal, data, of_classes, binary, found)


def _score(metric: str, data: Any, binary: bool) -> float | None:
    truth, said = data[LABEL], data[PREDICTION]
    if metric == "accuracy":
        return float(metrics.accuracy_score(truth, said))
    if metric in ("precision", "recall", "f1"):
        if binary and not ((truth == "1").any() or (said == "1").any()):
            return None
        average: dict[str, Any] = {"pos_label": "1"} if binary else {"average": "macro"}
        function = {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score}[
            metric
        ]
        return float(function(truth, said, zero_division=0, **average))
    if metric == "roc_auc":
        chance = numbers(data[PROBABILITY])
        there = chance.notna()
        if truth[there].nunique() < 2:
            return None
        return float(metrics.roc_auc_score(truth[there] == "1", chance[there]))
    if metric == "mae":
        return float(metrics.mean_absolute_error(truth, said))
    if metric == "rmse":
        return math.sqrt(metrics.mean_squared_error(truth, said))
    return float(metrics.r2_score(truth, said)) if len(data) > 1 else None


def _are_classes(data: Any, config: Config) -> bool:
    if config.metric is not None:
        return config.metric in FOR_CLASSES
    for name in (LABEL, PREDICTION):
        column = data[name].infer_objects()
        if not are_numbers(column):
            return True
    values = pandas.concat([numbers(data[LABEL]), numbers(data[PREDICTION])])
    return bool((values % 1 == 0).all()) and values.nunique() <= FEW


def _formed(data: Any, form: Any) -> Any:
    found = data.reset_index(drop=True)
    for name in (LABEL, PREDICTION):
        found[name] = form(found[name].infer_objects())
    if PROBABILITY in found.columns:
        found[PROBABILITY] = numbers(found[PROBABILITY])
    return found


def _keys(data: Any, key: str, *, with_rows: bool) -> tuple[list[Any], int]:
    """The key of each row, None where it cannot be told, and for how many that is so."""
    if key in data.columns:
        return _texts(data[key], None), 0
    if key != REQUEST or not isinstance(data.index, pandas.MultiIndex):
        raise Problem(f'what is looked at has no column "{key}" to join labels by; it has: {listed(data.columns)}')
    ids = data.index.get_level_values(0).to_series()
    rows = data.index.get_level_values(1).to_series()
    if with_rows:
        return _texts(ids, rows), 0
    alone = ~ids.duplicated(keep=False) & (rows.to_numpy() == 0)
    return [key if single else None for key, single in zip(_texts(ids, None), alone, strict=True)], int((~alone).sum())


def _texts(keys: Any, rows: Any | None) -> list[Any]:
    plain_keys = [plain(value) for value in keys]
    if rows is None:
        return plain_keys
    return [(key, plain(row)) for key, row in zip(plain_keys, rows, strict=True)]


def _snapshot(normal: Any | None, data: Any, of_classes: bool, binary: bool, found: Found) -> Any:
    """Evidently's own view of it. What it cannot show (a class that one side lacks) costs the report, not the score."""
    chances = [PROBABILITY] if PROBABILITY in data.columns and data[PROBABILITY].notna().all() else []
    if normal is not None and chances and not (PROBABILITY in normal.columns and normal[PROBABILITY].notna().all()):
        chances = []
    wanted = [LABEL, PREDICTION, *chances]
    if not of_classes:
        definition = DataDefinition(
            numerical_columns=[LABEL, PREDICTION], regression=[Regression(target=LABEL, prediction=PREDICTION)]
        )
        tries: list[Any] = [RegressionPreset()]
        wanted = [LABEL, PREDICTION]
    else:
        task: Any = MulticlassClassification(target=LABEL, prediction_labels=PREDICTION)
        if binary:
            task = BinaryClassification(
                target=LABEL,
                prediction_labels=PREDICTION,
                prediction_probas=chances[0] if chances else None,
                pos_label="1",
            )
        definition = DataDefinition(
            categorical_columns=[LABEL, PREDICTION], numerical_columns=chances, classification=[task]
        )
        tries = [ClassificationPreset(), Accuracy()]
    sides = [
        None if side is None else Dataset.from_pandas(side[wanted], data_definition=definition)
        for side in (data, normal)
    ]
    for metric in tries:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                snapshot = Report([metric]).run(*sides)
                snapshot.dict()
                return snapshot
        except Exception as error:  # Evidently raises whatever its parts raise
            failure = error
    found.notes.append(
        f"Evidently cannot show this: {str(failure).splitlines()[0] if str(failure) else type(failure).__name__}"
    )
    return None
