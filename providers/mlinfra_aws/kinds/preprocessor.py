"""Makes rows with names of what an endpoint captured: requests in MLflow's protocol, each row with the answer as `prediction`.

It is sent as text and called by SageMaker's analyzer for each captured request, in that image's own Python: so it imports the
standard library only, nothing of mlinfra, and does without what Python learned since 3.7. What it cannot read gives no row.
"""

from __future__ import annotations

import csv
import io
import json
from typing import Any


def preprocess_handler(inference_record: Any) -> list[dict[str, Any]]:
    """The rows of one request: column to value."""
    try:
        rows = _rows(inference_record.endpoint_input)
        answers = _answers(inference_record.endpoint_output)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return []
    if len(answers) == len(rows):
        for index, row in enumerate(rows):
            row.update(_flat("prediction", answers[index]))
    return rows


def _rows(captured: Any) -> list[dict[str, Any]]:
    if captured.encoding == "CSV":
        told = csv.DictReader(io.StringIO(captured.data))
        return [{name: _value(cell) for name, cell in row.items() if name is not None} for row in told]
    body = json.loads(captured.data)
    if "dataframe_records" in body:
        rows = body["dataframe_records"]
    elif "dataframe_split" in body:
        split = body["dataframe_split"]
        names = split.get("columns") or range(len(split["data"][0]))
        rows = [{name: row[index] for index, name in enumerate(names)} for row in split["data"]]
    else:
        rows = _tensors(body["inputs"] if "inputs" in body else body["instances"])
    found = []
    for row in rows:
        flat: dict[str, Any] = {}
        for name, value in row.items():
            flat.update(_flat(str(name), value))
        found.append(flat)
    return found


def _tensors(told: Any) -> list[dict[Any, Any]]:
    """Rows of columns, or of rows that are mappings or lists."""
    if isinstance(told, dict):
        length = max(len(column) for column in told.values())
        return [{name: column[index] for name, column in told.items()} for index in range(length)]
    return [row if isinstance(row, dict) else dict(enumerate(row)) for row in told]


def _answers(captured: Any) -> list[Any]:
    if captured.encoding == "CSV":
        return [_value(line) for line in captured.data.split("\n") if line]
    body = json.loads(captured.data)
    return list(body["predictions"] if isinstance(body, dict) else body)


def _flat(name: str, value: Any) -> dict[str, Any]:
    """A value as the analyzer takes it: without lists and mappings within."""
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {name: value}
    found: dict[str, Any] = {}
    for key, item in value.items():
        found.update(_flat(f"{name}.{key}", item))
    return found


def _value(cell: str) -> Any:
    """A cell of CSV: a number where it is one, None where it is empty."""
    if not cell:
        return None
    try:
        return float(cell)
    except ValueError:
        return cell
