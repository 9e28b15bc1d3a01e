"""The real command line, run as its users run it: a process of its own on a blueprint in a folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.provider import Place
from mlinfra.state.backend import Loaded
from mlinfra_local import alive
from mlinfra_local.client import connect

PATIENCE = 120.0
"""Seconds after which a command that does not end is a failure."""


@dataclass(frozen=True, slots=True)
class Site:
    """A blueprint's folder, with the commands that are run on it and what is really there because of them."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / ".mlinfra" / "test"

    def write(self, resources: Mapping[str, Any], **sections: Any) -> None:
        """Make the blueprint anew, of raw resources."""
        blueprint = {
            "blueprint": "shop",
            "environments": {"test": {"provider": "local", "disposable": True}},
            "resource": dict(resources),
            **sections,
        }
        text = yaml.safe_dump(blueprint, sort_keys=False, allow_unicode=True)
        (self.root / "blueprint.yaml").write_text(text, "utf-8")

    # -- commands -----------------------------------------------------------------------------------------------------

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        """A command under way."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("MLINFRA_", "FORCE_"))}
        return subprocess.Popen(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.root,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **more,
        )

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, run to its end."""
        child = self.start(*arguments)
        out, err = child.communicate(timeout=PATIENCE)
        return subprocess.CompletedProcess(arguments, child.returncode, out, err)

    def apply(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("apply", "--auto-approve", *arguments)

    def destroy(self) -> subprocess.CompletedProcess[str]:
        return self.run("destroy", "--auto-approve")

    def well(self, *arguments: str) -> str:
        """A command that must succeed; what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"mlinfra {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    # -- what is there, seen without another command ----------------------------------------------------------------------------

    def processes(self) -> list[psutil.Process]:
        """All living processes that carry a marker of this environment."""
        place = Place("shop", "test", self.root, self.work)
        return alive.scan(connect(place), f"{self.work}{os.sep}")

    def nothing_to_do(self) -> bool:
        """Whether a plan is empty."""
        with Workspace.open(Selection(self.root / "blueprint.yaml", environ={})) as workspace:
            plan = workspace.plan()
        return plan.empty and not plan.records

    def remove_all(self) -> None:
        """What `mlinfra destroy` does, in this process: it starts nothing, so that its children are nobody's concern."""
        with Workspace.open(Selection(self.root / "blueprint.yaml", environ={})) as workspace:
            _, outcome = workspace.apply(Options(destroy=True), command="destroy")
        assert outcome is None or outcome.succeeded, outcome

    def recorded(self) -> dict[str, Any]:
        """The state's entries by address, of a run that left nothing unsure."""
        loaded = self._loaded()
        assert not loaded.pending, loaded.pending
        return {address: entry.to_json() for address, entry in loaded.state.resources.items()}

    def recorded_anyway(self) -> list[str]:
        """The addresses that the state has as done after a run that failed."""
        entries = self._loaded().state.resources.values()
        return sorted(entry.address for entry in entries if not entry.tainted)

    def _loaded(self) -> Loaded:
        with Workspace.open(Selection(self.root / "blueprint.yaml", environ={})) as workspace:
            return workspace.backend.load()

    def left(self, *, without: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment] - read only
        """Every file and folder but those of the blueprint and the state with its history."""
        kept = {"blueprint.yaml", ".mlinfra", ".mlinfra/test", *without}
        found = (str(path.relative_to(self.root)) for path in self.root.rglob("*"))
        return sorted(name for name in found if name not in kept and not name.startswith(".mlinfra/test/state.db"))

    def end(self) -> None:
        """End what still runs, however a test ended."""
        for process in self.processes():
            process.kill()


def events(text: str) -> list[dict[str, Any]]:
    """The events that ``--json`` printed; a last line that was cut off is left out."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def until(child: subprocess.Popen[str], event: str, **fields: Any) -> dict[str, Any] | None:
    """Read what ``--json`` prints until an event; None if the command ends before it."""
    assert child.stdout is not None
    for line in child.stdout:
        record: dict[str, Any] = json.loads(line)
        if record.get("event") == event and all(record.get(name) == value for name, value in fields.items()):
            return record
    return None


def killed_after(child: subprocess.Popen[str], seconds: float) -> bool:
    """kill -9 after so many seconds; whether it was still under way."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGKILL)
    child.communicate()
    return child.returncode == -signal.SIGKILL
