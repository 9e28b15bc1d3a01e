"""The Open Inference Protocol v2 (github.com/kserve/open-inference-protocol): tensors to inputs, answers to tensors.

Inputs come either as one tensor a column (shape ``[n]`` or ``[n, 1]``) or as one tensor ``[n, columns]``. Data is JSON; the
binary extension is refused. Must not call the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .errors import RequestError
from .inputs import Parsed, cast, checked

DATATYPES: Mapping[str, str] = {
    "BOOL": "bool", "UINT8": "uint8", "UINT16": "uint16", "UINT32": "uint32", "UINT64": "uint64",
    "INT8": "int8", "INT16": "int16", "INT32": "int32", "INT64": "int64",
    "FP16": "float16", "FP32": "float32", "FP64": "float64", "BYTES": "object",
}  # fmt: skip
SCHEMA_DATATYPES: Mapping[str, str] = {
    "boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64",
    "string": "BYTES", "binary": "BYTES", "datetime": "BYTES",
}  # fmt: skip


def parse_infer(raw: Any, schema: Any) -> Parsed:
    """The input of an infer request. ``schema`` is MLflow's input schema, or None.

    Errors: RequestError that names the tensor.
    """
    if not isinstance(raw, dict) or not isinstance(raw.get("inputs"), list) or not raw["inputs"]:
        raise RequestError('the body must be a JSON object with a list "inputs" of at least one tensor')
    tensors: dict[str, Any] = {}
    for item in raw["inputs"]:
        name, array = _tensor(item)
        if name in tensors:
            raise RequestError(f'two inputs are called "{name}"')
        tensors[name] = array
    return checked(_as_input(tensors, schema), None, schema)


def _tensor(item: Any) -> tuple[str, Any]:
    import numpy as np

    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise RequestError("each input needs a name")
    name = item["name"]
    datatype, shape, data = item.get("datatype"), item.get("shape"), item.get("data")
    if not isinstance(datatype, str) or datatype not in DATATYPES:
        raise RequestError(f'input "{name}": datatype {datatype!r} is none of {", ".join(DATATYPES)}')
    if not isinstance(shape, list) or not shape or not all(type(size) is int and size >= 0 for size in shape):
        raise RequestError(f'input "{name}": shape must be a list of sizes, 0 or more')
    if not isinstance(data, list):
        raise RequestError(f'input "{name}": data must be a list; binary tensors are not understood')
    try:
        array = np.array(data, dtype=DATATYPES[datatype]).reshape(-1)
    except (ValueError, TypeError, OverflowError) as error:
        raise RequestError(f'input "{name}": data is not {datatype}: {error}') from error
    if array.size != math.prod(shape):
        raise RequestError(f'input "{name}": shape {shape} needs {math.prod(shape)} values, data has {array.size}')
    return name, array.reshape(shape)


def _as_input(tensors: Mapping[str, Any], schema: Any) -> Any:
    import pandas as pd

    columns = list(schema.input_names()) if schema is not None and schema.has_input_names() else []
    only = next(iter(tensors.items())) if len(tensors) == 1 else None
    if schema is not None and schema.is_tensor_spec():
        return dict(tensors) if columns else next(iter(tensors.values()))
    if only is not None and only[1].ndim == 2 and only[0] not in columns:
        if columns and only[1].shape[1] != len(columns):
            raise RequestError(
                f'input "{only[0]}": the model takes {len(columns)} columns ({", ".join(columns)}), '
                f"the tensor has {only[1].shape[1]}"
            )
        return cast(pd.DataFrame(only[1], columns=columns), schema) if columns else only[1]
    if only is not None and not columns:
        return only[1]
    flat: dict[str, Any] = {}
    for name, array in tensors.items():
        if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
            raise RequestError(f'input "{name}": a column must have the shape [n] or [n, 1], not {list(array.shape)}')
        flat[name] = array.reshape(-1)
    sizes = {name: len(array) for name, array in flat.items()}
    if len(set(sizes.values())) > 1:
        raise RequestError(
            f"the inputs differ in length: {', '.join(f'{name} {size}' for name, size in sizes.items())}"
        )
    return cast(pd.DataFrame(flat), schema)


def tensor(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """An output tensor of a list of numbers, texts or equally long lists of them."""
    shape = [len(values)]
    flat: list[Any] = list(values)
    while flat and all(isinstance(item, list) for item in flat) and len({len(item) for item in flat}) == 1:
        shape.append(len(flat[0]))
        flat = [value for item in flat for value in item]
    if all(isinstance(item, bool) for item in flat):
        datatype = "BOOL"
    elif all(isinstance(item, int) and not isinstance(item, bool) for item in flat):
        datatype = "INT64"
    elif all(isinstance(item, int | float) and not isinstance(item, bool) for item in flat):
        datatype = "FP64"
    else:
        datatype = "BYTES"
        flat = [item if isinstance(item, str) else str(item) for item in flat]
    return {"name": name, "shape": shape, "datatype": datatype, "data": flat}


def wanted_outputs(raw: Mapping[str, Any], offered: Sequence[str]) -> list[str]:
    """The outputs that a request asks for: all, if it names none.

    Errors: RequestError for one that there is not.
    """
    asked = raw.get("outputs")
    if asked is None:
        return list(offered)
    if not isinstance(asked, list) or not all(isinstance(item, dict) and "name" in item for item in asked):
        raise RequestError('"outputs" must be a list of objects with a name')
    for item in asked:
        if item["name"] not in offered:
            raise RequestError(f'there is no output "{item["name"]}"; there is {", ".join(offered)}')
    return [item["name"] for item in asked] or list(offered)


def schema_tensors(schema: Any) -> list[dict[str, Any]]:
    """MLflow's schema as the ``inputs`` or ``outputs`` of a model's metadata."""
    if schema is None:
        return []
    found: list[dict[str, Any]] = []
    for at, item in enumerate(schema.to_dict()):
        spec = item.get("tensor-spec")
        if spec:
            dtype = next((oip for oip, name in DATATYPES.items() if name == spec["dtype"]), "BYTES")
            found.append({"name": item.get("name", f"{at}"), "datatype": dtype, "shape": list(spec["shape"])})
        else:
            kind = SCHEMA_DATATYPES.get(str(item.get("type")), "BYTES")
            found.append({"name": item.get("name", f"{at}"), "datatype": kind, "shape": [-1]})
    return found
