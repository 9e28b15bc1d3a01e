"""The feature server as one script: its modules, and the templates of the repository's files as a module of their own.

Must not import the server: what it imports is in Feast's environment only.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from mlinfra.sdk.bundle import script

PACKAGE: Final = "featureserver"


@cache
def templates() -> dict[str, str]:
    """The templates of the repository's files by their names."""
    return _texts("templates", ".j2")


@cache
def server_script() -> str:
    """The text of the script."""
    modules = {
        PACKAGE if name == "__init__.py" else f"{PACKAGE}.{name.removesuffix('.py')}": text
        for name, text in _texts("server", ".py").items()
    }
    return script(PACKAGE, {**modules, f"{PACKAGE}.templates": f"TEMPLATES = {templates()!r}\n"})


def _texts(folder: str, ending: str) -> dict[str, str]:
    found = sorted((resources.files("mlinfra_tools.feast") / folder).iterdir(), key=lambda item: item.name)
    return {item.name: item.read_text("utf-8") for item in found if item.name.endswith(ending)}
