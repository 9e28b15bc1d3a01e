"""Puts the ready blueprints into wheels, at ``mlinfra/blueprints``. An editable install finds them in the checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ReadyBlueprints(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's build hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a build; ``version`` is ``standard`` or ``editable``."""
        if version == "standard":
            folder = Path(self.root) / "blueprints"
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    build_data["force_include"][str(path)] = f"mlinfra/blueprints/{path.relative_to(folder)}"
