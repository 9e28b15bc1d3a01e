"""kill -9 on AWS: thirty runs of the real command line, killed at random calls; the next one takes up what they left.

A moment is a call: the emulator kills the command when its n-th call that changes something is asked, or when it has been
done and not answered. So each moment is one of a run that is under way, and a seed makes it happen again.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3.session
import pytest
import yaml

from tests.emulator.answers import Answer
from tests.emulator.calls import Call
from tests.emulator.server import Emulator
from tests.providers.aws.lab import ACCOUNT, REGION
from tests.providers.aws.platform import census, sections

SEED = int(os.environ.get("MLINFRA_TEST_SEED", "20260"))
"""Another seed gives other moments."""
APPLIES, UPDATES, DESTROYS = 16, 7, 7
READS = ("Get", "List", "Describe", "Head", "Search", "Batch")


@dataclass
class Trigger:
    """Kills a process at a call that changes something: the one with this number, before or after it is done."""

    emulator: Emulator
    number: int
    done: bool
    child: subprocess.Popen[str] | None = None
    seen: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.ready = threading.Event()

    def watch(self, call: Call) -> bool:
        """Whether this is the call at which the process is killed."""
        if "mlinfra/" not in call.agent or call.operation.startswith(READS):
            return False
        with self.lock:
            self.seen += 1
            return self.seen == self.number

    def kill(self) -> None:
        assert self.ready.wait(30)
        assert self.child is not None
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(30)


class Killing(Emulator):
    """An emulator that kills its caller when a trigger says so."""

    trigger: Trigger | None = None

    def _asked(self, call: Call, environ: Any, body: bytes) -> Any:
        trigger = self.trigger
        if trigger is None or not trigger.watch(call):
            return super()._asked(call, environ, body)
        if not trigger.done:
            trigger.kill()
            return Answer(503, [], b"")  # the request never reached AWS, and nobody reads this
        answer = super()._asked(call, environ, body)
        trigger.kill()
        return answer


@dataclass
class Site:
    """A blueprint's folder, the command line, and the account."""

    root: Path
    emulator: Killing

    def write(self, *, grown: bool = False) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        environment = {"provider": "aws", "region": REGION, "account": ACCOUNT, "disposable": True}
        blueprint = {"blueprint": "shop", "environments": {"test": environment}, **sections(self.root, grown=grown)}
        (self.root / "blueprint.yaml").write_text(yaml.safe_dump(blueprint, sort_keys=False), "utf-8")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("MLINFRA_", "AWS_"))}
        environ = {
            **kept,
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_ACCESS_KEY_ID": f"AKIA{ACCOUNT}TEST",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.root,
            env=environ,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def well(self, *arguments: str) -> str:
        child = self.start(*arguments)
        told, _ = child.communicate(timeout=180)
        assert child.returncode == 0, f"mlinfra {' '.join(arguments)}\n{told}"
        return told

    def killed(self, command: str, number: int, *, done: bool) -> None:
        """A command, killed at the call with this number."""
        trigger = Trigger(self.emulator, number, done)
        self.emulator.trigger = trigger
        child = trigger.child = self.start(command, "--auto-approve")
        trigger.ready.set()
        told, _ = child.communicate(timeout=180)
        self.emulator.trigger = None
        assert child.returncode == -signal.SIGKILL, f"{command} was not killed at call {number}\n{told}"
        self.emulator.problems.clear()  # requests that were cut off; what comes after them is looked at

    def changes(self, command: str) -> int:
        """How many calls a command makes that change something."""
        before = len(self.emulator.calls.calls)
        self.well(command, "--auto-approve")
        made = self.emulator.calls.calls[before:]
        return sum(1 for call in made if "mlinfra/" in call.agent and not call.operation.startswith(READS))

    def boto(self, service: str) -> Any:
        return SESSION.client(
            service,
            region_name=REGION,
            endpoint_url=self.emulator.url,
            aws_access_key_id=f"AKIA{ACCOUNT}TEST",
            aws_secret_access_key="secret",
        )

    def census(self) -> list[str]:
        return census(self.boto)


SESSION = boto3.session.Session()


@dataclass(frozen=True)
class Undisturbed:
    """What is there without a kill, and how many changing calls lead to it."""

    applied: list[str]
    applying: int
    grown: list[str]
    growing: int
    destroying: int


@pytest.fixture(scope="module")
def emulator() -> Iterator[Killing]:
    with Killing() as emulator:
        emulator.reset()
        yield emulator


@pytest.fixture(scope="module")
def undisturbed(emulator: Killing, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    site = Site(tmp_path_factory.mktemp("undisturbed") / "shop", emulator)
    site.write()
    applying = site.changes("apply")
    applied = site.census()
    destroying = site.changes("destroy")
    assert site.census() == []
    site.well("apply", "--auto-approve")
    site.write(grown=True)
    growing = site.changes("apply")
    grown = site.census()
    site.well("destroy", "--auto-approve")
    assert site.census() == []
    return Undisturbed(applied, applying, grown, growing, destroying)


@pytest.fixture
def site(tmp_path: Path, emulator: Killing, undisturbed: Undisturbed) -> Site:
    emulator.reset()
    site = Site(tmp_path / "shop", emulator)
    site.write()
    return site


def moments(what: str, count: int) -> list[tuple[float, bool]]:
    """Parts of a run, one in each of ``count`` equal stretches of it, and whether the call at it is done."""
    draw = random.Random(f"{SEED} {what}")
    return [(round((i + draw.random()) / count, 3), draw.random() < 0.5) for i in range(count)]


def number(moment: float, calls: int) -> int:
    return min(calls, 1 + int(moment * calls))


def taken_up(site: Site, wanted: list[str]) -> None:
    """The next apply leads to what an undisturbed one does, and leaves nothing to do; a destroy leaves nothing."""
    site.well("apply", "--auto-approve")
    assert site.census() == wanted
    site.well("plan", "--detailed-exitcode")
    site.well("destroy", "--auto-approve")
    assert site.census() == []
    assert site.emulator.problems == []


@pytest.mark.parametrize(("moment", "done"), moments("apply", APPLIES))
def test_an_apply_that_was_killed_is_taken_up(site: Site, undisturbed: Undisturbed, moment: float, done: bool) -> None:
    site.killed("apply", number(moment, undisturbed.applying), done=done)
    taken_up(site, undisturbed.applied)


@pytest.mark.parametrize(("moment", "done"), moments("update", UPDATES))
def test_an_update_that_was_killed_is_taken_up(site: Site, undisturbed: Undisturbed, moment: float, done: bool) -> None:
    site.well("apply", "--auto-approve")
    site.write(grown=True)
    site.killed("apply", number(moment, undisturbed.growing), done=done)
    taken_up(site, undisturbed.grown)


@pytest.mark.parametrize(("moment", "done"), moments("destroy", DESTROYS))
def test_a_destroy_that_was_killed_is_taken_up(site: Site, undisturbed: Undisturbed, moment: float, done: bool) -> None:
    site.well("apply", "--auto-approve")
    site.killed("destroy", number(moment, undisturbed.destroying), done=done)
    site.well("destroy", "--auto-approve")
    assert site.census() == []
    assert site.emulator.problems == []
