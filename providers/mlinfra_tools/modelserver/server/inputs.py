"""Turns a request's body into what a pyfunc model takes: MLflow's ``/invocations`` formats, JSON and CSV.

Every refusal is a `RequestError` that says which column or key is wrong. Must not call the model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from .errors import RequestError, brief

FORMATS = ("dataframe_split", "dataframe_records", "inputs", "instances")


@dataclass(frozen=True, slots=True)
class Parsed:
    """A request that was read: ``data`` is a DataFrame, an array or a dict of arrays, ``rows`` how many it has."""

    data: Any
    rows: int
    params: Mapping[str, Any] | None = None
    batch_key: Hashable | None = None
    """Requests with equal keys can be put on top of one another."""


def read_json(body: bytes) -> Any:
    """The JSON value of a body.

    Errors: RequestError.
    """
    try:
        return json.loads(body)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RequestError(f"the body is not JSON: {error}") from error


def parse_invocation(body: bytes, content_type: str, schema: Any) -> Parsed:
    """The input of an ``/invocations`` request. ``schema`` is MLflow's input schema, or None.

    Errors: RequestError.
    """
    mime, _, rest = content_type.partition(";")
    charset = rest.partition("charset=")[2].strip(' "').lower()
    if charset not in ("", "utf-8"):
        raise RequestError("only UTF-8 is understood", 415)
    mime = mime.strip().lower() or "application/json"
    if mime == "text/csv":
        return checked(_converted(lambda: _csv(body, schema)), None, schema)
    if mime != "application/json":
        raise RequestError(f'content type "{mime}" is not understood; send application/json or text/csv', 415)
    raw = read_json(body)
    if not isinstance(raw, dict):
        raise RequestError(
            f"the body must be a JSON object with one of {', '.join(FORMATS)}, not a {type(raw).__name__}"
        )
    found = [name for name in FORMATS if name in raw]
    if len(found) != 1:
        what = " and ".join(found) if found else ", ".join(map(str, raw)) or "nothing"
        raise RequestError(f"the body must have exactly one of {', '.join(FORMATS)}; it has {what}")
    params = raw.get("params")
    if params is not None and not isinstance(params, dict):
        raise RequestError("params must be a JSON object")
    return checked(_converted(lambda: _read(found[0], raw[found[0]], schema)), params, schema)


def checked(data: Any, params: Mapping[str, Any] | None, schema: Any) -> Parsed:
    """``data`` with the schema's columns in their order, counted.

    Errors: RequestError that names the missing columns.
    """
    import pandas as pd

    if schema is not None and schema.has_input_names() and isinstance(data, pd.DataFrame | dict):
        present = [str(name) for name in data]
        missing = [name for name in schema.required_input_names() if name not in present]
        if missing:
            extra = sorted(set(present) - set(schema.input_names()))
            unknown = f"; unknown: {', '.join(extra)}" if extra else ""
            raise RequestError(f"missing column{'s' * (len(missing) > 1)}: {', '.join(missing)}{unknown}")
    rows = row_count(data)
    if rows == 0:
        raise RequestError("the request has no rows")
    key = None
    if isinstance(data, pd.DataFrame) and not params:
        key = (tuple(map(str, data.columns)), tuple(map(str, data.dtypes)))
    return Parsed(data, rows, params, key)


def cast(frame: Any, schema: Any) -> Any:
    """Columns in the schema's types. A whole number may come as 3.0, since one tensor has one type for all columns.

    Errors: RequestError that names the column.
    """
    if schema is None:
        return frame
    import numpy as np

    for name, kind in zip(schema.input_names(), schema.pandas_types(), strict=True):
        if name not in frame:
            continue
        try:
            cast = frame[name].astype(kind)
        except (ValueError, TypeError) as error:
            raise RequestError(f"column {name}: cannot be read as {np.dtype(kind).name}: {error}") from error
        if cast.dtype.kind in "iu" and frame[name].dtype.kind == "f" and not (cast == frame[name]).all():
            raise RequestError(f"column {name}: the model takes whole numbers")
        frame[name] = cast
    return frame


def _as_frame(value: Any, schema: Any) -> Any:
    """A frame of what ``inputs`` or ``instances`` brings to a model that takes columns: a dict of equally long columns, rows
    as dicts, or rows as wide as the schema. None if it is none of these."""
    import pandas as pd

    names = schema.input_names()
    if isinstance(value, dict):
        if not all(isinstance(column, list) for column in value.values()):
            return None
        return pd.DataFrame(value)
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(row, dict) for row in value):
        return pd.DataFrame(value)
    if all(isinstance(row, list) and not any(isinstance(item, list | dict) for item in row) for row in value):
        for at, row in enumerate(value):
            if len(row) != len(names):
                raise RequestError(
                    f"row {at}: the model takes {len(names)} columns ({', '.join(names)}), not {len(row)}"
                )
        return pd.DataFrame(value, columns=names)
    return None


def row_count(data: Any) -> int:
    """How many rows an input has: its first dimension."""
    if isinstance(data, dict):
        return max(map(_length, data.values()), default=0)
    return _length(data)


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") and not isinstance(value, str) else 1


def joined(requests: Sequence[Parsed]) -> Parsed:
    """One request with the rows of several of the same ``batch_key``, in order."""
    import pandas as pd

    data = pd.concat([request.data for request in requests], ignore_index=True)
    return Parsed(data, sum(request.rows for request in requests), None, requests[0].batch_key)


def column_rows(data: Any) -> list[dict[str, Any]]:
    """The rows of an input as dicts by column; columns without a name are called by their number."""
    import pandas as pd

    if isinstance(data, dict):
        lengths = {len(value) for value in data.values() if hasattr(value, "__len__")}
        if len(lengths) != 1:
            return [dict(data)]
        listed = {name: _plain(value) for name, value in data.items()}
        return [{name: value[at] for name, value in listed.items()} for at in range(lengths.pop())]
    if isinstance(data, pd.DataFrame):
        return [{str(name): value for name, value in row.items()} for row in data.to_dict("records")]
    listed_rows = _plain(data)
    if not isinstance(listed_rows, list):
        return [{"0": listed_rows}]
    return [row if isinstance(row, dict) else _numbered(row) for row in listed_rows]


def _numbered(row: Any) -> dict[str, Any]:
    return {str(at): value for at, value in enumerate(row if isinstance(row, list) else [row])}


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _csv(body: bytes, schema: Any) -> Any:
    import pandas as pd

    named = schema is not None and schema.has_input_names()
    # Text stays text ("007"); other columns are converted one by one, so that a refusal can name the column.
    kinds = zip(schema.input_names(), schema.to_dict(), strict=True) if named else ()
    texts: Any = {name: "object" for name, spec in kinds if spec.get("type") == "string"}
    frame = pd.read_csv(StringIO(body.decode("utf-8")), dtype=texts)
    return cast(frame, schema) if named else frame


def _read(form: str, value: Any, schema: Any) -> Any:
    from mlflow.pyfunc.scoring_server import infer_and_parse_data

    columns = schema is not None and not schema.is_tensor_spec() and schema.has_input_names()
    if columns and form in ("inputs", "instances"):
        frame = _as_frame(value, schema)
        if frame is not None:
            return cast(frame, schema)
    return infer_and_parse_data({form: value}, schema)


def _converted(read: Callable[[], Any]) -> Any:
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        raise RequestError(brief(error).partition(": ")[2] or brief(error)) from error
    except (ValueError, TypeError, KeyError, OverflowError, AttributeError) as error:
        # pandas has no exception of its own for text that is no table: these are what its readers raise.
        raise RequestError(f"the input cannot be read: {brief(error)}") from error
