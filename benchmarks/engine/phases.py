"""One size and shape, phase by phase, in this process; prints a JSON object. Run by ``benchmarks.engine``."""

from __future__ import annotations

import gc
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml_rs

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.fake import World, provider


def blueprint(size: int, shape: str, changed: int = 0) -> str:
    """The text of a blueprint of ``size`` things; in the layered shape each refers to two earlier ones."""
    lines = ["blueprint: bench", "environments:", "  b: { provider: fake, disposable: true }", "resource:"]
    for number in range(size):
        lines += [f"  t{number}:", "    type: fake.thing", f"    name: t{number}"]
        lines.append(f"    size: {2 if number < changed else 1}")
        lines.append(f"    tags: {{ team: risk, tier: t{number % 7} }}")
        if shape == "layered" and number >= 2:
            first, second = (number - 1) // 2, number - 2
            lines.append(f'    uses: ["${{resource.t{first}.url}}", "${{resource.t{second}.url}}"]')
    return "\n".join(lines) + "\n"


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process for a piece of work, and its result."""
    gc.collect()
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def main() -> None:
    """Measure and print."""
    size, shape = int(sys.argv[1]), sys.argv[2]
    gc.set_threshold(100_000, 50, 100)  # as the command line does
    folder = Path(tempfile.mkdtemp(prefix="mlinfra-bench-"))
    path = folder / "blueprint.yaml"
    world = World()

    def opened() -> Workspace:
        return Workspace.open(Selection(path, environ={}), Catalog([provider(world)]))

    def planned(**options: Any) -> Any:
        with opened() as workspace:
            return workspace.plan(Options(**options))

    def applied(**options: Any) -> Any:
        with opened() as workspace:
            plan, outcome = workspace.apply(Options(**options))
            assert outcome is not None
            assert outcome.succeeded, outcome.failed[:1]
            return plan

    def validated() -> None:
        with opened() as workspace:
            _ = workspace.desire

    phases: dict[str, float] = {}
    floors: dict[str, float] = {}
    path.write_text(blueprint(size, shape), encoding="utf-8")
    phases["validate"], _ = cpu(validated)
    phases["plan from nothing"], plan = cpu(planned)
    assert len(plan.nodes) == size
    phases["apply"], _ = cpu(applied)
    phases["plan, no change"], plan = cpu(planned)
    assert plan.empty, plan.nodes[0]
    path.write_text(blueprint(size, shape, changed=max(1, size // 100)), encoding="utf-8")
    phases["plan, 1 % changed"], plan = cpu(planned)
    assert len(plan.nodes) == max(1, size // 100), len(plan.nodes)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    phases["destroy"], _ = cpu(lambda: applied(destroy=True))
    read, tree = cpu(lambda: yaml_rs.loads(path.read_text(encoding="utf-8")))
    compared, _ = cpu(lambda: _floor_compare(tree["resource"]))
    written, _ = cpu(lambda: _floor_write(tree["resource"], folder))
    for phase in phases:
        floors[phase] = read + compared + (written if phase in ("apply", "destroy") else 0.0)
    print(json.dumps({"phases": phases, "floors": floors, "peak_mb": peak}))


def _floor_compare(resources: dict[str, Any]) -> int:
    """Follow every reference, put resources in order, compare each with a copy: what no plan can do without."""
    from graphlib import TopologicalSorter

    needs = {name: [text[11:-5] for text in fields.get("uses", ())] for name, fields in resources.items()}
    ordered = list(TopologicalSorter(needs).static_order())
    live = json.loads(json.dumps(resources))
    return sum(1 for name in ordered if resources[name] != live[name])


def _floor_write(resources: dict[str, Any], folder: Path) -> None:
    """Write each resource once to a journal and all of them once to a snapshot."""
    with (folder / "floor").open("w", encoding="utf-8") as file:
        for name, fields in resources.items():
            file.write(json.dumps([name, fields]) + "\n")
        file.write(json.dumps(resources))


if __name__ == "__main__":
    main()
