"""A laboratory on a real engine: a blueprint with a name of its own, mlinfra's engine, and the Docker engine behind both."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from docker import APIClient
from docker.errors import NotFound

from mlinfra.engine.apply import Outcome
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.state.snapshot import State

Resources = Mapping[str, Mapping[str, Any]]


@dataclass
class Lab:
    """Blueprints are given as raw resources by name. ``name`` is the blueprint's and begins the names of all objects."""

    folder: Path
    name: str
    api: APIClient
    environment: dict[str, Any] = field(default_factory=lambda: {"provider": "docker"})
    calls: int = 0
    """What the last plan or apply cost."""

    def write(self, resources: Resources, **more: Any) -> None:
        """Make the blueprint anew."""
        blueprint = {
            "blueprint": self.name,
            "environments": {"test": self.environment},
            **({"resource": {key: dict(fields) for key, fields in resources.items()}} if resources else {}),
            **more,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), encoding="utf-8")

    def open(self) -> Workspace:
        """The workspace, as a command would open it."""
        return Workspace.open(Selection(self.folder / "blueprint.yaml", environ={}))

    def plan(self, **options: Any) -> Plan:
        """Plan as `mlinfra plan` does."""
        with self.open() as workspace:
            plan = workspace.plan(Options(**options))
            self.calls = plan.cost.calls
            return plan

    def apply(self, *, allow: tuple[str, ...] = (), **options: Any) -> Outcome | None:
        """Apply as `mlinfra apply --auto-approve` does."""
        with self.open() as workspace:
            _, outcome = workspace.apply(Options(**options), allow_data_loss=allow, wait_timeout=0.0)
            return outcome

    def applied(self, resources: Resources, **more: Any) -> None:
        """Write, apply, and see that nothing is left to do."""
        self.write(resources, **more)
        self.mend()

    def mend(self) -> None:
        """Apply, and see that nothing is left to do."""
        outcome = self.apply()
        assert outcome is None or outcome.succeeded, outcome.failed
        assert self.plan().empty, [(n.address, n.action, n.changes) for n in self.plan().nodes]

    def node(self, address: str) -> Node:
        """What the plan shows of one resource."""
        found = [node for node in self.plan().shown() if node.address == address]
        assert found, f"the plan has nothing about {address}"
        return found[0]

    def state(self) -> State:
        """What the state says."""
        with self.open() as workspace:
            return workspace.recovered().state

    def id(self, name: str) -> str:
        """The engine's id of a resource."""
        return self.state().resources[f"resource.{name}"].id

    def inspect(self, name: str) -> Mapping[str, Any]:
        """What the engine says of a container."""
        found: Mapping[str, Any] = self.api.inspect_container(self.id(name))
        return found

    def called(self, name: str) -> str:
        """A name for an object of this laboratory."""
        return f"{self.name}-{name}"

    def container(self, name: str, **fields: Any) -> dict[str, Any]:
        """The fields of a container that runs and stops at once when it is asked to."""
        base = {"type": "docker.container", "name": self.called(name), "image": "busybox", "init": True}
        return {**base, "command": ["sleep", "600"], "stop_timeout": 1, **fields}

    # -- what is there ------------------------------------------------------------------------------------------------

    def owned(self) -> dict[str, list[str]]:
        """The names of all objects that carry the blueprint's label, by sort."""
        filters = {"label": f"mlinfra:blueprint={self.name}"}
        return {
            "containers": sorted(row["Names"][0][1:] for row in self.api.containers(all=True, filters=filters)),
            "networks": sorted(network["Name"] for network in self.api.networks(filters=filters)),
            "volumes": sorted(volume["Name"] for volume in self.api.volumes(filters=filters)["Volumes"] or []),
            "images": sorted(image["Id"] for image in self.api.images(filters=filters)),
        }

    def clean(self) -> None:
        """Remove everything of this laboratory, whoever made it."""
        for row in self.api.containers(all=True):
            ours = row["Labels"].get("mlinfra:blueprint") == self.name
            if ours or any(name.startswith(f"/{self.name}") for name in row["Names"]):
                with_gone(lambda row=row: self.api.remove_container(row["Id"], v=True, force=True))
        for network in self.api.networks():
            if network["Name"].startswith(self.name):
                with_gone(lambda network=network: self.api.remove_network(network["Id"]))
        for volume in self.api.volumes()["Volumes"] or []:
            ours = (volume["Labels"] or {}).get("mlinfra:blueprint") == self.name
            if ours or volume["Name"].startswith(self.name):
                with_gone(lambda volume=volume: self.api.remove_volume(volume["Name"]))
        for image in self.api.images():
            tags = [tag for tag in image["RepoTags"] or [] if tag.startswith(self.name)]
            ours = (image["Labels"] or {}).get("mlinfra:blueprint") == self.name
            for name in tags or ([image["Id"]] if ours else []):
                with_gone(lambda name=name: self.api.remove_image(name, force=True))


def with_gone(remove: Any) -> None:
    """Remove something that may be gone."""
    with contextlib.suppress(NotFound):
        remove()


NOTHING: Mapping[str, list[str]] = {"containers": [], "networks": [], "volumes": [], "images": []}
