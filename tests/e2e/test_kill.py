"""kill -9 of the command line at any moment: the next apply goes on, makes nothing twice, and leaves nothing behind (P2)."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import Site, killed_after, until
from tests.e2e.light import OWN, differences, first, observed, prepare, second

SEED = int(os.environ.get("MLINFRA_TEST_SEED", "20260"))
"""Another seed gives other moments. It is printed with them."""
APPLIES, STARTS, UPDATES, DESTROYS = 18, 2, 5, 4
"""How many runs are killed: while they apply, before they do, while they change things, while they destroy them."""


@dataclass
class Undisturbed:
    """How the same goes without a kill: how long it takes, and what is there then. Measured when first asked for."""

    folder: Path

    @cached_property
    def site(self) -> Site:
        site = prepare(self.folder)
        site.write(first(site))
        return site

    @cached_property
    def applying(self) -> tuple[float, float]:
        """Seconds of a first apply until it makes the first thing, and from then on."""
        return _timed(self.site, "apply")

    @cached_property
    def applied(self) -> Any:
        assert self.applying
        return observed(self.site)

    @cached_property
    def updating(self) -> tuple[float, float]:
        assert self.applied
        self.site.write(second(self.site))
        return _timed(self.site, "apply")

    @cached_property
    def updated(self) -> Any:
        assert self.updating
        return observed(self.site)

    @cached_property
    def destroying(self) -> tuple[float, float]:
        assert self.updated
        found = _timed(self.site, "destroy")
        assert_gone(self.site)
        return found


def _timed(site: Site, command: str) -> tuple[float, float]:
    began = time.monotonic()
    child = site.start(command, "--auto-approve", "--json")
    assert until(child, "apply_started") is not None
    started = time.monotonic()
    _, told = child.communicate(timeout=60)
    assert child.returncode == 0, told
    return started - began, time.monotonic() - started


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    found = Undisturbed(tmp_path_factory.mktemp("undisturbed") / "shop")
    yield found
    found.site.end()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = prepare(tmp_path / "shop")
    site.write(first(site))
    yield site
    site.end()


def moments(what: str, count: int) -> list[float]:
    """Parts of a run's duration, one in each of ``count`` equal stretches of it, so that they spread over the whole."""
    draw = random.Random(f"{SEED} {what}")
    return [round((i + draw.random()) / count, 3) for i in range(count)]


def kill(site: Site, command: str, moment: float, seconds: tuple[float, float], *, at_work: bool = True) -> bool:
    """Run a command and kill it: at this part of what it does, or of the time before it does anything. Tells whether it was
    still under way."""
    delay = moment * seconds[1 if at_work else 0]
    child = site.start(command, "--auto-approve", "--json")
    if at_work and until(child, "apply_started") is None:
        pytest.fail(f"{command} ended before it did anything: {child.communicate()}")
    killed = killed_after(child, delay)
    since = "its first step" if at_work else "its start"
    sys.stdout.write(f"seed {SEED}: {command} killed {delay:.3f} s after {since}: {killed}\n")
    return killed


def surely_kill(
    site: Site, command: str, moment: float, seconds: tuple[float, float], again: Callable[[], object]
) -> None:
    """Kill a command under way. One that was quicker than the undisturbed one is done ``again``, and killed earlier."""
    while not kill(site, command, moment, seconds):
        again()
        moment *= 0.7


def assert_taken_up(site: Site, wanted: Any) -> None:
    """The next apply succeeds, leads to what an undisturbed one does, and leaves nothing to do."""
    site.well("apply", "--auto-approve")
    assert differences(observed(site), wanted) == []
    assert site.nothing_to_do()


def assert_gone(site: Site) -> None:
    """Nothing is left but the history."""
    assert site.processes() == []
    assert site.left(without=OWN) == []
    assert site.recorded() == {}


@pytest.mark.parametrize("moment", moments("apply", APPLIES))
def test_an_apply_that_was_killed_is_taken_up(site: Site, undisturbed: Undisturbed, moment: float) -> None:
    surely_kill(site, "apply", moment, undisturbed.applying, site.remove_all)
    assert_taken_up(site, undisturbed.applied)
    site.remove_all()
    assert_gone(site)


@pytest.mark.parametrize("moment", moments("start", STARTS))
def test_one_that_was_killed_before_it_did_anything(site: Site, undisturbed: Undisturbed, moment: float) -> None:
    kill(site, "apply", moment, undisturbed.applying, at_work=False)
    assert_taken_up(site, undisturbed.applied)


@pytest.mark.parametrize("moment", moments("update", UPDATES))
def test_an_update_that_was_killed_is_taken_up(site: Site, undisturbed: Undisturbed, moment: float) -> None:
    seconds, wanted = undisturbed.updating, undisturbed.updated

    def prepared() -> None:
        site.write(first(site))
        site.well("apply", "--auto-approve")
        site.write(second(site))

    prepared()
    surely_kill(site, "apply", moment, seconds, prepared)
    assert_taken_up(site, wanted)
    site.remove_all()
    assert_gone(site)


@pytest.mark.parametrize("moment", moments("destroy", DESTROYS))
def test_a_destroy_that_was_killed_is_taken_up(site: Site, undisturbed: Undisturbed, moment: float) -> None:
    seconds = undisturbed.destroying

    def prepared() -> None:
        site.well("apply", "--auto-approve")

    prepared()
    surely_kill(site, "destroy", moment, seconds, prepared)
    site.well("destroy", "--auto-approve")
    assert_gone(site)


def test_what_a_killed_apply_left_is_destroyed_without_finishing_it(site: Site, undisturbed: Undisturbed) -> None:
    kill(site, "apply", 0.6, undisturbed.applying)
    site.well("destroy", "--auto-approve")
    assert_gone(site)


def test_what_a_killed_apply_left_goes_with_its_resource(site: Site, undisturbed: Undisturbed) -> None:
    """The blueprint wants less by the time that somebody applies again."""
    kill(site, "apply", 0.6, undisturbed.applying)
    site.write({"scratch": {"type": "local.folder", "path": "data/scratch"}})
    site.well("apply", "--auto-approve")
    assert site.processes() == []
    assert [name for name in site.left(without=OWN) if not name.startswith(".mlinfra")] == ["data", "data/scratch"]
    assert list(site.recorded()) == ["resource.scratch"]


def test_one_that_was_killed_twice(site: Site, undisturbed: Undisturbed) -> None:
    kill(site, "apply", 0.4, undisturbed.applying)
    child = site.start("apply", "--auto-approve", "--json")
    until(child, "apply_started")
    killed_after(child, 0.3 * undisturbed.applying[1])
    assert_taken_up(site, undisturbed.applied)
