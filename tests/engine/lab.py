"""A laboratory for engine tests: a blueprint in a folder, a world in memory, and the engine between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from mlinfra.engine.apply import Outcome
from mlinfra.engine.catalog import Catalog
from mlinfra.engine.events import Event
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.plan import Plan
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.fake import World, provider
from mlinfra.state.snapshot import State

Things = Mapping[str, Mapping[str, Any]]


@dataclass
class Lab:
    """Blueprints are given as the fields of raw resources, by name."""

    folder: Path
    world: World = field(default_factory=World)
    events: list[Event] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=lambda: {"provider": "fake"})

    def write(self, things: Things, **more: Any) -> None:
        """Make the blueprint anew."""
        resources = {name: {"type": "fake.thing", "name": name, **fields} for name, fields in things.items()}
        blueprint = {
            "blueprint": "lab",
            "environments": {"test": self.environment},
            **({"resource": resources} if resources else {}),
            **more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), encoding="utf-8")

    def open(self) -> Workspace:
        """The workspace, as a command would open it."""
        selection = Selection(self.folder / "blueprint.yaml", environ={})
        return Workspace.open(selection, Catalog([provider(self.world)]))

    def plan(self, **options: Any) -> Plan:
        """Plan as `mlinfra plan` does."""
        with self.open() as workspace:
            return workspace.plan(Options(**options), self.events.append)

    def apply(
        self, *, interrupt: Interrupt | None = None, allow: tuple[str, ...] = (), **options: Any
    ) -> Outcome | None:
        """Apply as `mlinfra apply --auto-approve` does."""
        with self.open() as workspace:
            _, outcome = workspace.apply(
                Options(**options),
                emit=self.events.append,
                interrupt=interrupt,
                allow_data_loss=allow,
                wait_timeout=0.0,
            )
            return outcome

    def apply_saved(self, plan: Plan) -> Outcome | None:
        """Apply a saved plan, having gone through its JSON."""
        with self.open() as workspace:
            return workspace.apply_saved(Plan.from_json(plan.to_json()), emit=self.events.append)

    def state(self) -> State:
        """What the state says."""
        with self.open() as workspace:
            return workspace.recovered().state

    def actions(self, **options: Any) -> dict[str, str]:
        """The plan in short: address → action."""
        return {node.address: node.action for node in self.plan(**options).shown()}
