"""Puts into wheels what an editable install finds in the checkout: the ready blueprints, at ``mlinfra/blueprints``, and the
emulator of AWS that the tests use, as ``mlinfra_emulator``, for `mlinfra sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ReadyBlueprints(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling's build hook."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called before a build; ``version`` is ``standard`` or ``editable``."""
        if version == "standard":
            for folder, target, pattern in (
                ("blueprints", "mlinfra/blueprints", "*"),
                ("tests/emulator", "mlinfra_emulator", "*.py"),
            ):
                source = Path(self.root) / folder
                for path in sorted(source.rglob(pattern)):
                    if path.is_file():
                        build_data["force_include"][str(path)] = f"{target}/{path.relative_to(source)}"
