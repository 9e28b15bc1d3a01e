"""What of a live value was declared. Pure.

AWS adds what it takes for the usual to structures that it tells. Within maps the diff passes over what nobody declared; within
the items of a list it cannot, so it is taken away here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def declared(live: Any, known: Any) -> Any:
    """The live value without keys of list items that the known value, of the same form, does not have."""
    if isinstance(live, Mapping) and isinstance(known, Mapping):
        return {key: declared(value, known.get(key)) for key, value in live.items()}
    if isinstance(live, list) and isinstance(known, list) and len(live) == len(known):
        return [_item(one, other) for one, other in zip(live, known, strict=True)]
    return live


def _item(live: Any, known: Any) -> Any:
    if isinstance(live, Mapping) and isinstance(known, Mapping):
        return {key: _item(value, known.get(key)) for key, value in live.items() if key in known}
    return declared(live, known)
