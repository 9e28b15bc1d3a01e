"""Whether an IAM policy allows what a call does: the actions, and the object that the call names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from mlinfra_aws.permissions import permitted
from tests.emulator.calls import Call


def refused(document: Mapping[str, Any], calls: Iterable[Call]) -> list[str]:
    """The calls of mlinfra's that the policy does not allow."""
    found = set()
    for call in calls:
        if "mlinfra/" in call.agent and call.operation != "?":
            for one in permitted(f"{call.service}.{call.operation}"):
                if not any(one in told["Action"] and _about(told, call) for told in document["Statement"]):
                    found.add(f"{one} {dict(call.params)}"[:300])
    return sorted(found)


def _about(statement: Mapping[str, Any], call: Call) -> bool:
    if statement["Resource"] == "*":
        return True
    names = list(_texts(call.params))
    return any(_fits(pattern, name) for pattern in statement["Resource"] for name in names)


def _texts(value: Any) -> Iterator[str]:
    """All texts of the first level of the parameters, and of their lists: names and ARNs stand there."""
    for item in value.values():
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            yield from (one for one in item if isinstance(one, str))


def _fits(pattern: str, name: str) -> bool:
    if name.startswith("arn:"):
        return fnmatchcase(name, pattern)
    tail = pattern.split(":", 5)[5]
    # Roles have a path and secrets an ending that calls do not name; SageMaker's ARNs are in small letters.
    ends = {tail, re.sub(r"^[A-Za-z*-]+[:/]", "", tail), tail.rpartition("/")[2], tail.rpartition(":")[2]} - {"", "*"}
    return any(
        fnmatchcase(text, end)
        for end in ends
        for text in (name, name.lower(), name.removeprefix("/"), f"{name}-AAAAAA")
    )
