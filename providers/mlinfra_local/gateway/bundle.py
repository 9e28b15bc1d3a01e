"""The gateway as one script, so that its process needs one file and nothing of mlinfra. Must not import its modules."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from mlinfra.sdk.bundle import script

MODULES: Final = (
    "__init__", "bodies", "config", "copies", "exposition", "main", "metrics", "own", "proxy", "targets",
)  # fmt: skip
"""All but this one, which runs in the CLI."""


@cache
def gateway_script() -> str:
    """The text of the script."""
    folder = resources.files("mlinfra_local") / "gateway"
    names = {stem: "gateway" if stem == "__init__" else f"gateway.{stem}" for stem in MODULES}
    return script("gateway", {name: (folder / f"{stem}.py").read_text("utf-8") for stem, name in names.items()})


@cache
def gateway_lock() -> str:
    """What the gateway's environment is made from: pinned and hashed."""
    return (resources.files("mlinfra_local") / "gateway" / "gateway.lock").read_text("utf-8")
