"""The monitor's course: when it looks, what becomes of a verdict, what it remembers. One `tick` is one step of it.

The clock and all that acts on the world are given to it. Must not serve requests; its methods may be called from any thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from .answer import Found
from .archive import Archive, Run
from .config import Config, parse
from .judging import BREACH, ERROR, OK, follow, judge
from .schedule import next_look

log = logging.getLogger("driftmonitor")
RETRIES: Final = (5.0, 30.0, 120.0, 600.0, 3_600.0)
"""Seconds until a notice that was not taken is tried again; after the last it is given up."""
Look = Callable[[str, datetime, Path, float], Found]


class Starter(Protocol):
    """Starts what mends a breach."""

    def start(self) -> str:
        """Start it. Gives what went wrong, or nothing."""

    @property
    def running(self) -> bool:
        """Whether it still runs."""

    def ended(self) -> str | None:
        """How the last start ended, told once."""


@dataclass(frozen=True)
class View:
    """What others may see: a copy that does not change."""

    config: Config
    config_problem: str
    runs: tuple[Run, ...]
    streak: int
    alarm: bool
    counts: Mapping[str, int]
    due: datetime | None
    running: int | None
    waiting: int | None
    then_at: str
    then_starts: int
    then_outcome: str
    notices: Mapping[str, int]
    told: bool


class Watch:
    """One monitor. ``file`` is its configuration; ``tell`` raises OSError if it is not heard; ``url`` is where it is reached
    from outside, if it knows.

    Errors: OSError, ValueError if the configuration cannot be read at the start.
    """

    def __init__(
        self,
        file: Path,
        archive: Archive,
        clock: Callable[[], datetime],
        look: Look,
        then: Starter | None = None,
        tell: Callable[[Mapping[str, Any]], None] | None = None,
        url: str = "",
    ) -> None:
        self._file = file
        self._archive = archive
        self._clock = clock
        self._look = look
        self._then = then
        self._tell = tell
        self._url = url
        self._lock = threading.Condition()
        self._running: int | None = None
        self._waiting: int | None = None
        self._config_problem = ""
        self._text = file.read_text("utf-8")
        self._config = parse(self._text)
        state = archive.state
        if not state.since:
            state.since = clock().isoformat()
            archive.save()
        if archive.runs:
            self._judge_again()

    # -- one step -----------------------------------------------------------------------------------------------------

    def tick(self) -> bool:
        """Take over a changed configuration, tell what is to be told, look if it is time. Whether it looked."""
        self._reload()
        self._outcome()
        self._retry()
        with self._lock:
            due = self._due()
            if self._waiting is None and (due is None or due > self._clock()):
                return False
            run = self._running = self._next_id()
            self._waiting = None
        self._run(run)
        return True

    def request(self) -> int:
        """Ask for a look that begins after this; gives the number of its run."""
        with self._lock:
            if self._waiting is None:
                self._waiting = self._archive.state.next_id + (self._running is not None)
                self._lock.notify_all()
            return self._waiting

    def wait(self, seconds: float) -> None:
        """Wait until somebody asks for a look, at most ``seconds``."""
        with self._lock:
            if self._waiting is None:
                self._lock.wait(seconds)

    def wait_for(self, run: int, seconds: float) -> Run | None:
        """The run once it ended, or None if that takes longer."""
        with self._lock:
            self._lock.wait_for(lambda: self._ended(run) is not None, seconds)
            return self._ended(run)

    def view(self) -> View:
        """What there is to see."""
        with self._lock:
            state = self._archive.state
            return View(
                config=self._config,
                config_problem=self._config_problem,
                runs=tuple(self._archive.runs),
                streak=state.streak.breaches,
                alarm=state.streak.alarm,
                counts=dict(state.counts),
                due=self._due(),
                running=self._running,
                waiting=self._waiting,
                then_at=state.then_at,
                then_starts=state.then_starts,
                then_outcome=state.then_outcome,
                notices=dict(state.notices),
                told=state.told,
            )

    # -- its parts ----------------------------------------------------------------------------------------------------

    def _ended(self, run: int) -> Run | None:
        return next((item for item in reversed(self._archive.runs) if item.id == run), None)

    def _next_id(self) -> int:
        return self._archive.state.next_id

    def _due(self) -> datetime | None:
        """When the schedule wants a look; now, if there is none that answers the question in force."""
        runs, state = self._archive.runs, self._archive.state
        if runs and runs[-1].question != self._config.question:
            return datetime.fromisoformat(runs[-1].began)
        last = datetime.fromisoformat(runs[-1].began) if runs else None
        if last is not None and last > self._clock():
            return self._clock()  # a clock that was set back must not keep it still until the old time comes again
        return next_look(self._config.every, self._config.cron, last, datetime.fromisoformat(state.since))

    def _reload(self) -> None:
        try:
            text = self._file.read_text("utf-8")
            if text == self._text:
                return
            config = parse(text)
        except (OSError, ValueError) as error:
            problem = str(error)
            if problem != self._config_problem:
                log.error("the configuration cannot be taken over: %s", problem)
            with self._lock:
                self._config_problem = problem
            return
        log.info("configuration %s is in force", config.digest)
        with self._lock:
            self._text, self._config, self._config_problem = text, config, ""
            if self._archive.runs:
                self._judge_again()

    def _run(self, number: int) -> None:
        with self._lock:
            config, text = self._config, self._text
        began = self._clock()
        log.info("run %d begins", number)
        try:
            folder = self._archive.begin(number)
            found = self._look(text, began, folder, config.timeout)
        except OSError as error:
            found = Found(problem=f"the look could not be made: {error}")
        with self._lock:
            ended = self._clock()
            run = Run(number, began.isoformat(), (ended - began).total_seconds(), found, config.question)
            state = self._archive.state
            state.next_id = number + 1
            state.before = state.streak
            run = self._judged(run, config)
            state.counts[run.verdict] = state.counts.get(run.verdict, 0) + 1
            try:
                self._archive.add(run)
                self._archive.tidy(ended, config.keep)
            except OSError as error:  # a full disk: what was found is told as long as this process lives
                log.error("run %d cannot be kept: %s", number, error)
            self._running = None
            self._act(run)
            self._lock.notify_all()
        log.log(
            logging.INFO if run.verdict != ERROR else logging.WARNING,
            "run %d: %s, %s",
            number,
            run.verdict,
            run.sentence,
        )

    def _judge_again(self) -> None:
        """Judge the last run by the configuration in force, if it answers its question."""
        run, config = self._archive.runs[-1], self._config
        if run.question != config.question or run.config == config.digest:
            return
        state, old, streak = self._archive.state, run.verdict, self._archive.state.streak
        run = self._judged(run, config)
        if run.verdict != old:
            state.counts[old] = max(0, state.counts.get(old, 0) - 1)
            state.counts[run.verdict] = state.counts.get(run.verdict, 0) + 1
            log.info("run %d is judged again: %s, %s", run.id, run.verdict, run.sentence)
        try:
            self._archive.rejudge(run)
        except OSError as error:
            log.error("the verdict on run %d cannot be kept: %s", run.id, error)
        if run.verdict != old or state.streak != streak:
            self._act(run)

    def _judged(self, run: Run, config: Config) -> Run:
        """The run with its verdict, which the streak takes in."""
        judgement = judge(run.found, config)
        state = self._archive.state
        state.streak = follow(state.before, judgement.verdict, config.breaches)
        return replace(
            run,
            verdict=judgement.verdict,
            sentence=judgement.sentence,
            threshold=config.threshold,
            config=config.digest,
            judged=self._clock().isoformat(),
        )

    def _act(self, run: Run) -> None:
        """Do what the verdict asks for, and remember it."""
        state, moment = self._archive.state, self._clock()
        if run.verdict in (OK, BREACH) and state.streak.alarm != state.told:
            state.told = state.streak.alarm
            if self._tell is not None:
                event = "breach" if state.told else "recovered"
                state.notice = {"body": self._notice(event, run), "tries": 0, "at": moment.isoformat()}
        if run.verdict == BREACH and state.streak.alarm and self._then is not None and not self._then.running:
            passed = (moment - datetime.fromisoformat(state.then_at)).total_seconds() if state.then_at else -1.0
            cooling = 0 <= passed < self._config.cooldown
            if not cooling:
                problem = self._then.start()
                state.then_at, state.then_starts = moment.isoformat(), state.then_starts + 1
                state.then_outcome = problem or "started"
                log.info("then: %s", state.then_outcome)
        self._save()

    def _outcome(self) -> None:
        ended = self._then.ended() if self._then is not None else None
        if ended is not None:
            log.info("then: %s", ended)
            with self._lock:
                self._archive.state.then_outcome = ended
                self._save()

    def _retry(self) -> None:
        """Tell what is to be told, if it is time. A newer notice takes the place of one that was not heard."""
        with self._lock:
            state, notice = self._archive.state, self._archive.state.notice
            if notice is None or self._tell is None or datetime.fromisoformat(notice["at"]) > self._clock():
                return
        outcome = "sent"
        try:
            self._tell(notice["body"])
        except OSError as error:
            outcome = "failed"
            log.warning("the webhook was not told: %s", error)
        with self._lock:
            state.notices[outcome] = state.notices.get(outcome, 0) + 1
            if state.notice is notice:
                tries = notice["tries"]
                if outcome == "sent" or tries >= len(RETRIES):
                    state.notice = None
                else:
                    again = self._clock() + timedelta(seconds=RETRIES[tries])
                    state.notice = {**notice, "tries": tries + 1, "at": again.isoformat()}
            self._save()

    def _notice(self, event: str, run: Run) -> dict[str, Any]:
        config = self._config
        return {
            "event": event,
            "monitor": config.monitor,
            "of": config.of or config.current,
            "type": config.type,
            "verdict": run.verdict,
            "text": f"{config.monitor}: {'breach' if event == 'breach' else 'recovered'}, {run.sentence}",
            "score": run.found.score,
            "threshold": run.threshold,
            "rows": run.found.rows,
            "breaches_in_a_row": self._archive.state.streak.breaches,
            "when": run.began,
            "run": run.id,
            "report": f"{self._url}/runs/{run.id}/report" if run.found.report else None,
        }

    def _save(self) -> None:
        try:
            self._archive.save()
        except OSError as error:
            log.error("the state cannot be kept: %s", error)
