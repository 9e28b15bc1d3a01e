"""The types that entities and features have, under their three names: a blueprint's, Feast's in Python, the registry's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    "bool": ("Bool", "BOOL"),
    "bytes": ("Bytes", "BYTES"),
    "float32": ("Float32", "FLOAT"),
    "float64": ("Float64", "DOUBLE"),
    "int32": ("Int32", "INT32"),
    "int64": ("Int64", "INT64"),
    "string": ("String", "STRING"),
    "timestamp": ("UnixTimestamp", "UNIX_TIMESTAMP"),
}
_LISTS: Final = {f"list<{name}>": (f"Array({dtype})", f"{value}_LIST") for name, (dtype, value) in _PLAIN.items()}

TYPES: Final[Mapping[str, tuple[str, str]]] = {**_PLAIN, **_LISTS}
"""Blueprint's name → the expression of `feast.types`, the name in Feast's `ValueType`."""
BY_VALUE: Final[Mapping[str, str]] = {value: name for name, (_, value) in TYPES.items()}
"""The name in Feast's `ValueType` → blueprint's name."""
