"""What Cloud Control does in the caller's name: the permissions that the handlers of a CloudFormation type ask for. Pure.

`cloudformation_permissions.jsonl` has a line for each public type: its permissions, each with the letters of the actions that need
it (`scripts/cloudformation_permissions.py` makes it from the schemas that AWS publishes).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("cloudformation_permissions.jsonl")
LETTERS: Final[Mapping[str, str]] = {"create": "c", "read": "r", "update": "u", "delete": "d"}
"""The handlers of a type, and what stands for them in the table."""


@cache
def handled(type_name: str) -> Mapping[str, tuple[str, ...]] | None:
    """Handler → its permissions, or None for a type that is not in the table: newer, private, or without handlers."""
    start = f"[{json.dumps(type_name)},"
    with TABLE.open(encoding="utf-8") as lines:
        line = next((line for line in lines if line.startswith(start)), None)
    if line is None:
        return None
    told: dict[str, str] = json.loads(line)[1]
    return {
        action: tuple(one for one, letters in told.items() if letter in letters) for action, letter in LETTERS.items()
    }
