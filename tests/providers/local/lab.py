"""A blueprint on this machine and the engine over it: what `mlinfra apply` does, without a command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlinfra.engine.events import Event
from mlinfra.engine.lower import Desire
from mlinfra.engine.plan import Plan
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace


@dataclass
class Shop:
    """``environ`` are the environment variables that blueprint variables may come from."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.root / ".mlinfra" / "test"

    def write(self, **sections: Any) -> None:
        """Make the blueprint anew."""
        environments = {"test": {"provider": "local", "disposable": True}}
        blueprint = {"blueprint": "shop", "environments": environments, **sections}
        (self.root / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), "utf-8")

    def open(self) -> Workspace:
        return Workspace.open(Selection(self.root / "blueprint.yaml", environ=self.environ))

    def desire(self) -> Desire:
        with self.open() as workspace:
            return workspace.desire

    def plan(self) -> Plan:
        with self.open() as workspace:
            return workspace.plan()

    def apply(self, **options: Any) -> Plan:
        """Apply; everything must succeed."""
        with self.open() as workspace:
            plan, outcome = workspace.apply(Options(**options), emit=self.events.append)
            assert outcome is None or outcome.succeeded, outcome
            return plan

    def lines(self) -> list[str]:
        """The plan in short: what is to be done to what, and why."""
        return [f"{node.action} {node.address}: {node.summary}" for node in self.plan().shown()]

    def notes(self) -> list[str]:
        return [note.text for note in self.desire().notes]

    def left(self) -> list[str]:
        """Every file and folder but the blueprint and the state."""
        kept = {".mlinfra", ".mlinfra/test", "blueprint.yaml"}
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        return sorted(name for name in found - kept if not name.startswith(".mlinfra/test/state.db"))
