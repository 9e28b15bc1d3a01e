"""The quickstart from a fresh copy, with every real tool: up in one apply, broken in each way that matters, mended, gone, back.

The platform is brought up once for this module. Each test leaves it as it found it: applied, with nothing to do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart"
CLOCK = threading.Event()
"""Never set: its wait is a pause between two looks."""


class Platform:
    """A copy of the quickstart, and the commands that its users give."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / ".mlinfra" / "laptop"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command, run to its end."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLINFRA_")}
        return subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
        )

    def well(self, *arguments: str) -> str:
        """What a command printed that must succeed."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"mlinfra {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def changes(self, *arguments: str) -> dict[str, str]:
        """The plan in short: address → action."""
        return {node["address"]: node["action"] for node in self.plan(*arguments)["resources"]}

    def plan(self, *arguments: str) -> dict[str, Any]:
        """The plan as machines read it."""
        records = [json.loads(line) for line in self.well("plan", "--json", *arguments).splitlines()]
        found: dict[str, Any] = next(record for record in records if record["event"] == "plan")
        return found

    def shown(self, *arguments: str) -> list[str]:
        """The lines of a plan that say what changes."""
        lines = self.well("plan", *arguments).splitlines()
        return [line.strip() for line in lines if line[:3].strip() in ("+", "~", "-", ">")]

    def output(self, name: str) -> str:
        return self.well("output", name).strip()

    def pid(self, address: str) -> int:
        """The process behind a resource."""
        record = json.loads(self.well("show", address, "--json"))
        return int(record["fields"]["pid"])

    def processes(self) -> list[psutil.Process]:
        """Every process with a part of its command line in this folder."""
        found = []
        for process in psutil.process_iter():
            try:
                if any(str(self.root) in word for word in process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def end(self) -> None:
        """End what still runs, however a test ended."""
        for process in self.processes():
            process.kill()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The quickstart, applied."""
    root = tmp_path_factory.mktemp("quickstart") / "fraud"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
    made = Platform(root)
    try:
        made.well("apply", "--auto-approve")
        yield made
        made.well("destroy", "--auto-approve")
    finally:
        made.end()


def ask(url: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
    """The JSON answer of a server of the platform."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read())


def test_it_works_and_there_is_nothing_left_to_do(platform: Platform) -> None:
    assert platform.well("plan").startswith("No changes.")
    assert platform.run("plan", "--detailed-exitcode").returncode == 0
    checks = [json.loads(line) for line in platform.well("check", "--json").splitlines()]
    passed = {check["component"] for check in checks if check["event"] == "check" and check["passed"]}
    assert passed == {"feature_store.fraud", "registry.models", "endpoint.fraud", "monitor.drift"}


def test_the_demo_tells_drifted_from_same(platform: Platform) -> None:
    def demo(*arguments: str) -> str:
        command = [sys.executable, str(platform.root / "demo.py"), "--mlinfra", str(mlinfra), *arguments]
        done = subprocess.run(command, cwd=platform.root, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    mlinfra = Path(sys.executable).with_name("mlinfra")
    for captured in (platform.work / "volumes" / "endpoint.fraud" / "capture").rglob("*.jsonl"):
        captured.unlink()
    ask(f"{platform.output('monitor.drift.url')}/run?wait=120", {})  # it forgets what other tests asked
    text = demo()
    assert "feature     user u042: txn_count_7d = " in text
    assert "fraud with probability" in text
    assert "monitor     ok: " in text
    assert "monitor     breach: " in demo("--drift")
    assert platform.changes() == {}


def _kill(platform: Platform) -> None:
    os.kill(platform.pid("endpoint.fraud/process.champion"), signal.SIGKILL)


def _delete_online_store(platform: Platform) -> None:
    (online,) = (platform.work / "volumes" / "feature_store.fraud").rglob("online.db")
    online.unlink()


def _remove_alias(platform: Platform) -> None:
    url = f"{platform.output('registry.models.url')}/api/2.0/mlflow/registered-models/alias"
    ask(url, {"name": "fraud", "alias": "champion"}, "DELETE")


def _edit_rendered_file(platform: Platform) -> None:
    path = platform.work / "files" / "monitor.drift" / "monitor" / "config.json"
    path.write_text(path.read_text("utf-8").replace("0.5", "0.9"), "utf-8")


@pytest.mark.parametrize(
    ("breaking", "address", "says"),
    [
        (_kill, "endpoint.fraud/process.champion", "stopped → start"),
        (_delete_online_store, "feature_store.fraud/repository.fraud", "online store is gone"),
        (_remove_alias, "registry.models/model_alias.fraud@champion", "removed outside mlinfra → version"),
        (_edit_rendered_file, "monitor.drift/file.monitor-config.json", "outside mlinfra"),
    ],
)
def test_what_breaks_is_named_in_one_line_and_just_that_is_mended(
    platform: Platform, breaking: Callable[[Platform], None], address: str, says: str
) -> None:
    breaking(platform)
    assert list(platform.changes()) == [address]
    (line,) = platform.shown()
    assert says in line
    platform.well("apply", "--auto-approve")
    assert platform.changes() == {}
    platform.well("check", "endpoint.fraud", "feature_store.fraud", "registry.models")


def test_a_threshold_changes_the_monitor_only(platform: Platform) -> None:
    watching = platform.pid("monitor.drift/process.monitor")
    other = ("--var", "drift_threshold=0.25")
    assert platform.changes(*other) == {"monitor.drift/file.monitor-config.json": "update"}
    platform.well("apply", "--auto-approve", *other)
    monitor = platform.output("monitor.drift.url")
    for _ in range(600):
        if ask(f"{monitor}/verdict").get("threshold") == 0.25:
            break
        CLOCK.wait(0.1)
    else:
        raise AssertionError("the monitor does not know its new threshold")
    assert platform.pid("monitor.drift/process.monitor") == watching
    platform.well("apply", "--auto-approve")
    assert platform.changes() == {}


def test_a_new_version_is_named_first_and_taken_over(platform: Platform) -> None:
    serving = platform.pid("endpoint.fraud/process.champion")
    before = int(platform.output("registry.models.models.fraud.champion"))
    platform.well("run", "training.fraud")
    told = platform.well("plan")
    assert f"champion {before} → {before + 1}" in told
    platform.well("apply", "--auto-approve")
    assert platform.pid("endpoint.fraud/process.champion") == serving
    with urllib.request.urlopen(f"{platform.output('endpoint.fraud.url')}/config", timeout=60) as answer:
        assert str(before + 1) in answer.read().decode()
    assert platform.changes() == {}


def test_destroy_leaves_nothing_but_the_history_and_apply_brings_it_back(platform: Platform) -> None:
    ports = {connection.laddr.port for process in platform.processes() for connection in process.net_connections()}
    platform.well("destroy", "--auto-approve")
    assert platform.processes() == []
    left = {str(path.relative_to(platform.work)) for path in platform.work.rglob("*") if path.is_file()}
    assert {name.partition("-")[0] for name in left} == {"state.db"}
    listening = {connection.laddr.port for connection in psutil.net_connections() if connection.status == "LISTEN"}
    assert not ports & listening
    platform.well("apply", "--auto-approve")
    platform.well("check")
    assert platform.changes() == {}
