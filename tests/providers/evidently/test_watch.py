"""A monitor's course over days, with a clock and a world of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlinfra_tools.evidently.monitor import pages, telling
from mlinfra_tools.evidently.monitor.answer import Found
from mlinfra_tools.evidently.monitor.archive import Archive
from mlinfra_tools.evidently.monitor.serving import answer
from mlinfra_tools.evidently.monitor.watch import RETRIES, Watch

START = datetime(2026, 3, 2, 10, tzinfo=UTC)


@dataclass
class World:
    """What is outside: the time, what looks find, a training, a webhook."""

    folder: Path
    now: datetime = START
    score: float = 0.0
    problem: str | None = None
    looks: list[datetime] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)
    heard: list[Mapping[str, Any]] = field(default_factory=list)
    deaf: bool = False
    running: bool = False
    outcome: str | None = None

    def configure(self, **changed: Any) -> None:
        plain = {"monitor": "drift", "of": "endpoint.fraud", "type": "data_drift", "threshold": 0.5, "every": 3600}
        told = {**plain, "reference": "r", **changed}
        (self.folder / "config.json").write_text(json.dumps(told))

    def watch(self) -> Watch:
        archive = Archive(self.folder / "state")
        return Watch(self.folder / "config.json", archive, lambda: self.now, self.look, self, self.tell, "http://m")

    def look(self, text: str, moment: datetime, folder: Path, timeout: float) -> Found:
        self.looks.append(moment)
        (folder / "report.html").write_text("<html>")
        return Found(rows=200, score=self.score, problem=self.problem, report=True)

    def start(self) -> str:
        self.starts.append(self.now)
        return ""

    def ended(self) -> str | None:
        told, self.outcome = self.outcome, None
        return told

    def tell(self, body: Mapping[str, Any]) -> None:
        self.heard.append(body)
        if self.deaf:
            raise OSError("connection refused")

    def go(self, watch: Watch, hours: float, step: float = 600.0) -> None:
        """Let time pass, with a step of the monitor each ten minutes."""
        end = self.now + timedelta(hours=hours)
        while self.now < end:
            self.now += timedelta(seconds=step)
            watch.tick()


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.configure()
    return made


def hours(moments: list[datetime]) -> list[float]:
    return [(moment - START).total_seconds() / 3600 for moment in moments]


def test_an_interval_and_a_restart_that_missed_some(world: World) -> None:
    watch = world.watch()
    assert watch.tick()
    world.go(watch, 2)
    assert hours(world.looks) == [0, 1, 2]
    world.now += timedelta(hours=5.2)
    watch = world.watch()
    assert watch.tick()
    assert not watch.tick()
    assert hours(world.looks) == pytest.approx([0, 1, 2, 7.2])
    world.now += timedelta(minutes=20)
    assert not world.watch().tick()  # a restart is no reason to look


def test_when_the_next_look_is_due_is_a_metric(world: World) -> None:
    name = "mlinfra_monitor_next_run_timestamp_seconds"

    def due(watch: Watch) -> list[float]:
        lines = telling.metrics(watch.view()).splitlines()
        return [float(line.rpartition(" ")[2]) - START.timestamp() for line in lines if line.startswith(name)]

    watch = world.watch()
    assert due(watch) == [0.0]
    watch.tick()
    assert due(watch) == [3600.0]
    world.now += timedelta(hours=3)
    assert due(watch) == [3600.0]  # it is late
    world.configure(every=None, cron="0 0 30 2 *")
    watch = world.watch()
    assert due(watch) == []  # a day that never comes


def test_a_clock_that_was_set_back_does_not_stop_it(world: World) -> None:
    watch = world.watch()
    watch.tick()
    world.now -= timedelta(days=400)
    world.go(watch, 1.2)
    assert [moment.hour for moment in world.looks] == [10, 10, 11]


def test_a_request_made_during_a_look_gets_one_that_begins_after_it(world: World) -> None:
    watch = world.watch()
    asked: list[int] = []
    plain = world.look

    def during(text: str, moment: datetime, folder: Path, timeout: float) -> Found:
        asked.extend((watch.request(), watch.request()))
        return plain(text, moment, folder, timeout)

    watch._look = during
    watch.tick()
    watch._look = plain
    assert asked == [2, 2]
    assert watch.tick()
    ended = watch.wait_for(2, 0)
    assert ended is not None
    assert watch.wait_for(3, 0) is None
    assert not watch.tick()


def test_who_waits_for_a_run_is_woken(world: World) -> None:
    watch = world.watch()
    number = watch.request()
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(watch.wait_for(number, 30)))
    thread.start()
    watch.tick()
    thread.join()
    assert found[0].verdict == "ok"


def test_a_breach_starts_the_training_once_a_cooldown_even_over_a_restart(world: World) -> None:
    world.configure(cooldown=4 * 3600, breaches=2)
    world.score = 0.8
    watch = world.watch()
    watch.tick()
    world.go(watch, 3)
    watch = world.watch()
    world.go(watch, 3)
    assert hours(world.starts) == [1, 5]
    world.running = True
    world.go(watch, 12)
    assert len(world.starts) == 2  # one that still runs is not started again
    world.running, world.outcome = False, "ended well"
    watch.tick()
    assert watch.view().then_outcome == "ended well"


def test_breach_and_recovery_are_told_once_each_until_they_are_heard(world: World) -> None:
    watch = world.watch()
    watch.tick()
    world.score, world.deaf = 0.9, True
    world.go(watch, 1)
    watch.tick()
    assert [body["event"] for body in world.heard] == ["breach"]
    world.now += timedelta(seconds=RETRIES[0])
    watch = world.watch()
    watch.tick()
    assert len(world.heard) == 2  # what was not heard outlives a restart
    world.deaf = False
    world.go(watch, 0.5)
    assert world.heard[-1] == world.heard[0]
    assert world.heard[0]["report"] == "http://m/runs/2/report"
    count = len(world.heard)
    world.go(watch, 3)
    world.problem = "no file"
    world.go(watch, 2)
    assert len(world.heard) == count
    world.problem, world.score = None, 0.1
    world.go(watch, 1.5)
    assert [body["event"] for body in world.heard[count:]] == ["recovered"]


def test_what_nobody_hears_is_given_up(world: World) -> None:
    world.score, world.deaf = 0.9, True
    watch = world.watch()
    watch.tick()
    world.go(watch, 30)
    assert len(world.heard) == len(RETRIES) + 1
    assert watch.view().notices == {"failed": len(RETRIES) + 1}


def test_a_threshold_judges_again_and_a_new_question_looks_again(world: World) -> None:
    world.score = 0.4
    watch = world.watch()
    watch.tick()
    assert watch.view().runs[-1].verdict == "ok"
    world.configure(threshold=0.3)
    assert not watch.tick()
    run = watch.view().runs[-1]
    assert (run.verdict, run.threshold, run.id) == ("breach", 0.3, 1)
    assert hours(world.starts) == [0]
    assert watch.view().counts == {"ok": 0, "breach": 1}
    world.configure(threshold=0.5)
    watch.tick()
    watch.tick()
    assert [body["event"] for body in world.heard] == ["breach", "recovered"]
    # Judged again after a restart by what was changed meanwhile, and kept so.
    world.configure(threshold=0.2)
    assert world.watch().view().runs[-1].verdict == "breach"
    assert json.loads((world.folder / "state/runs/1/run.json").read_text())["verdict"] == "breach"
    world.configure(threshold=0.2, window=60)
    watch.tick()
    assert len(world.looks) == 2


def test_judging_again_counts_no_breach_twice(world: World) -> None:
    world.configure(breaches=3)
    world.score = 0.9
    watch = world.watch()
    watch.tick()
    for threshold in (0.8, 0.7, 0.6):
        world.configure(breaches=3, threshold=threshold)
        watch.tick()
    assert watch.view().streak == 1
    assert not world.starts


def test_a_broken_configuration_leaves_the_old_one_in_force(world: World) -> None:
    watch = world.watch()
    watch.tick()
    (world.folder / "config.json").write_text('{"monitor": 1}')
    watch.tick()
    view = watch.view()
    assert view.config.threshold == 0.5
    assert '"monitor" must be text' in view.config_problem
    assert telling.verdict(view)["config_problem"] == view.config_problem
    assert "mlinfra_monitor_config_problem" in telling.metrics(view)
    world.configure(threshold=0.7)
    watch.tick()
    assert not watch.view().config_problem


def test_old_runs_go_and_numbers_never_come_again(world: World) -> None:
    world.configure(keep=3 * 3600)
    watch = world.watch()
    watch.tick()
    world.go(watch, 10)
    assert [run.id for run in watch.view().runs] == [8, 9, 10, 11]
    assert sorted(path.name for path in (world.folder / "state/runs").iterdir()) == ["10", "11", "8", "9"]
    state = json.loads((world.folder / "state/state.json").read_text())
    assert state["next_id"] == 12


def test_a_state_that_cannot_be_read_starts_anew(world: World) -> None:
    watch = world.watch()
    watch.tick()
    for path in (world.folder / "state").rglob("*.json"):
        path.write_text('{"since": ')
    watch = world.watch()
    assert watch.view().runs == ()
    assert watch.tick()


def test_what_it_answers(world: World) -> None:
    watch = world.watch()

    def ask(target: str, method: str = "GET") -> Any:
        found = answer(watch, lambda run: "<html>" if run == 1 else None, method, target)
        return found.status, found.body.decode()

    status, body = ask("/verdict")
    assert (status, json.loads(body)["verdict"]) == (200, None)
    assert ask("/")[0] == ask("/metrics")[0] == ask("/health")[0] == 200
    status, body = ask("/run?wait=0", "POST")
    assert (status, json.loads(body)["run"]) == (202, 1)
    assert json.loads(ask("/runs/1")[1]) == {"run": 1, "state": "waiting"}
    watch.tick()
    assert json.loads(ask("/runs/1")[1])["verdict"] == "ok"
    assert [run["run"] for run in json.loads(ask("/runs")[1])["runs"]] == [1]
    assert ask("/runs/1/report") == (200, "<html>")
    assert [ask(target, method)[0] for target, method in (("/x", "GET"), ("/runs/7", "GET"), ("/run", "GET"))] == [
        404,
        404,
        405,
    ]
    assert ask("/run?wait=soon", "POST")[0] == 400
    assert ask("/verdict", "POST")[0] == 405


def test_names_from_the_data_are_text_on_the_page_and_in_the_metrics(world: World) -> None:
    evil = '"<script>alert(1)</script>\n'

    def look(*arguments: Any) -> Found:
        columns = {evil: {"drifted": True, "score": 0.9, "method": evil, "threshold": 0.1}}
        return Found(rows=200, score=1.0, columns=columns, left_out={evil: evil}, notes=[evil])

    watch = world.watch()
    watch._look = look
    watch.tick()
    page = pages.index(watch.view())
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    (line,) = (
        text for text in telling.metrics(watch.view()).splitlines() if text.startswith("mlinfra_monitor_column_")
    )
    assert 'column="\\"<script>alert(1)</script>\\n"' in line
