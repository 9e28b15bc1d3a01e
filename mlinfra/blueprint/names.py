"""Names that a blueprint gives: they become parts of addresses, folders and object names, so their alphabet is small."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from mlinfra.blueprint.problems import Problems

NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,40}")


def checked(name: Any, what: str, path: Sequence[Any], problems: Problems, *, key: bool = True) -> bool:
    """Whether a name can be used; what is wrong with it goes to ``problems``."""
    if isinstance(name, str) and NAME.fullmatch(name):
        return True
    problems.add(
        "name-invalid",
        "Name not allowed",
        f"{str(name)[:80]!r} cannot be the name of {what}: a name starts with a letter and has small letters, digits, - "
        "and _, 41 characters at most.",
        "Choose another name.",
        path,
        at="key" if key else "value",
    )
    return False
