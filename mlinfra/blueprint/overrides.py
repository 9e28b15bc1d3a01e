"""``overrides:`` of an environment: a deep merge of sections over those of the blueprint. ``null`` removes what it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

_ABSENT: Final = object()


def merged(below: Any, above: Any) -> Any:
    """``above`` laid over ``below``: mappings key by key, anything else replaced. Neither is changed."""
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return without_nulls(above) if isinstance(above, Mapping) else above
    result = dict(below)
    for key, value in above.items():
        if value is None:
            result.pop(key, None)
        elif key in result:
            result[key] = merged(result[key], value)
        else:
            result[key] = without_nulls(value) if isinstance(value, Mapping) else value
    return result


def without_nulls(value: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping that only overrides have: a null in it removes nothing and says nothing."""
    return {
        key: without_nulls(item) if isinstance(item, Mapping) else item
        for key, item in value.items()
        if item is not None
    }


def from_override(below: Any, above: Any, path: Sequence[Any]) -> bool:
    """Whether the value at a path of the merged tree comes from the override, and not (or not only) from below."""
    under, over = _at(below, path), _at(above, path)
    if over is _ABSENT:
        # Neither has it (a missing key): the side that has the longer part of the path is where it would be written.
        return under is _ABSENT and _depth(above, path) > _depth(below, path)
    return under is _ABSENT or not (isinstance(under, Mapping) and isinstance(over, Mapping))


def _at(tree: Any, path: Sequence[Any]) -> Any:
    for step in path:
        if (isinstance(tree, Mapping) and step in tree) or (
            isinstance(tree, list) and isinstance(step, int) and step < len(tree)
        ):
            tree = tree[step]
        else:
            return _ABSENT
    return tree


def _depth(tree: Any, path: Sequence[Any]) -> int:
    return next((size for size in range(len(path), 0, -1) if _at(tree, path[:size]) is not _ABSENT), 0)
