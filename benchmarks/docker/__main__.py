"""Measure the Docker provider on the engine that answers here: ``python -m benchmarks.docker [ROUNDS]`` (default 3).

50 containers, 5 networks, 10 volumes: create, plan without changes, change of five containers' environment (which replaces
them), destroy. Told are medians of wall-clock seconds through mlinfra's engine, the ratio to the floor, and the calls of the
Engine's API. The floor, measured in the same rounds in turn, is the SDK with 16 threads making the calls that the work cannot
be done without; for the plan there are two: the lists alone, and the lists with an inspect call for each container.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from benchmarks.docker.floor import Floor
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace

CONTAINERS, NETWORKS, VOLUMES, CHANGED = 50, 5, 10, 5
IMAGE = "busybox:latest"
PHASES = ("create", "plan, lists", "plan, inspects", "change of five", "destroy")


def blueprint(name: str, changed: int = 0) -> str:
    """The text of the blueprint."""
    resources: dict[str, Any] = {}
    for number in range(NETWORKS):
        resources[f"n{number}"] = {"type": "docker.network", "name": f"{name}-n{number}"}
    for number in range(VOLUMES):
        resources[f"v{number}"] = {"type": "docker.volume", "name": f"{name}-v{number}", "data": False}
    for number in range(CONTAINERS):
        fields: dict[str, Any] = {
            "type": "docker.container",
            "name": f"{name}-c{number}",
            "image": IMAGE,
            "command": ["sleep", "3600"],
            "init": True,
            "memory": "32Mi",
            "environment": {"VERSION": "2" if number < changed else "1"},
            "networks": [f"${{resource.n{number % NETWORKS}.name}}"],
        }
        if number < VOLUMES:
            fields["mounts"] = [{"source": f"${{resource.v{number}.id}}", "target": "/data"}]
        resources[f"c{number}"] = fields
    environments = {"bench": {"provider": "docker", "disposable": True}}
    return yaml.safe_dump({"blueprint": name, "environments": environments, "resource": resources})


class Ours:
    """The phases through mlinfra; ``calls`` are those of the Engine's API in each."""

    def __init__(self, folder: Path) -> None:
        self.name = "mlinfrabench"
        self.path = folder / "blueprint.yaml"
        self.calls: dict[str, int] = {}

    def apply(self, phase: str, **options: Any) -> None:
        """Apply, all of which must succeed."""
        with Workspace.open(Selection(self.path, environ={})) as workspace:
            _, outcome = workspace.apply(Options(**options))
            assert outcome is not None
            assert outcome.succeeded, outcome.failed[:1]
            self.calls[phase] = workspace.clients.of("docker.network").calls_made

    def plan(self, phase: str) -> None:
        """Plan, and see that nothing is to be done."""
        with Workspace.open(Selection(self.path, environ={})) as workspace:
            assert workspace.plan().empty
            self.calls[phase] = workspace.clients.of("docker.network").calls_made

    def phases(self) -> dict[str, Callable[[], None]]:
        """What to measure, in order."""

        def change() -> None:
            self.path.write_text(blueprint(self.name, CHANGED), encoding="utf-8")
            self.apply("change of five")

        self.path.write_text(blueprint(self.name), encoding="utf-8")
        return {
            "create": lambda: self.apply("create"),
            "plan, lists": lambda: self.plan("plan, lists"),
            "plan, inspects": lambda: self.plan("plan, inspects"),
            "change of five": change,
            "destroy": lambda: self.apply("destroy", destroy=True),
        }


def seconds(work: Callable[[], None]) -> float:
    """How long a piece of work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    mine: dict[str, list[float]] = {phase: [] for phase in PHASES}
    floors: dict[str, list[float]] = {phase: [] for phase in PHASES}
    with tempfile.TemporaryDirectory(prefix="mlinfra-bench-") as folder:
        ours = Ours(Path(folder))
        floor = Floor("mlinfrafloor", IMAGE, CONTAINERS, NETWORKS, VOLUMES, CHANGED)
        for _ in range(rounds):
            for phase, work in floor.phases().items():
                floors[phase].append(seconds(work))
            for phase, work in ours.phases().items():
                mine[phase].append(seconds(work))
    print(f"{CONTAINERS} containers, {NETWORKS} networks, {VOLUMES} volumes; medians of {rounds}")
    print(f"{'phase':<18}{'mlinfra, s':>12}{'floor, s':>12}{'ratio':>8}{'calls':>8}{'floor':>8}")
    for phase in PHASES:
        took, least = statistics.median(mine[phase]), statistics.median(floors[phase])
        print(
            f"{phase:<18}{took:>12.2f}{least:>12.2f}{took / least:>8.2f}{ours.calls[phase]:>8}{floor.calls[phase]:>8}"
        )


if __name__ == "__main__":
    main()
