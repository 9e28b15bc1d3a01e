"""What the monitor remembers, in a folder of its own: its state, and a folder for each run. Must not judge.

::

    state.json                 what must survive a restart (`State`)
    runs/17/run.json           what run 17 found and how it was judged (`Run`)
    runs/17/report.html, log   Evidently's report, and what the process of the look printed
    shared/                    what the reports have in common
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from . import report_file
from .answer import Found, read
from .evaluation import REPORT
from .judging import Streak

log = logging.getLogger("driftmonitor")
MOST: Final = 5_000
"""Runs that are kept at most, however young."""
T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """One look and its verdict. Times are ISO texts in UTC."""

    id: int
    began: str
    seconds: float
    found: Found
    question: str
    """The question that the score answers (`Config.question`)."""
    verdict: str = ""
    sentence: str = ""
    threshold: float = 0.0
    config: str = ""
    """The digest of the configuration that it was judged by."""
    judged: str = ""


@dataclass
class State:
    """What survives a restart besides the runs."""

    since: str = ""
    """When the monitor first ran."""
    next_id: int = 1
    before: Streak = field(default_factory=Streak)
    """The streak before the last run, so that the last run can be judged again."""
    streak: Streak = field(default_factory=Streak)
    told: bool = False
    """Whether the last that was told to the outside is a breach."""
    counts: dict[str, int] = field(default_factory=dict)
    """Runs by verdict."""
    then_at: str = ""
    """When `then` was last started."""
    then_starts: int = 0
    then_outcome: str = ""
    notice: dict[str, Any] | None = None
    """What is still to be told, how often that was tried, and when to try again."""
    notices: dict[str, int] = field(default_factory=dict)
    """Notices by outcome: sent, failed."""


class Archive:
    """The folder. `runs` is sorted, the last run is the youngest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shared = folder / "shared"
        self._runs = folder / "runs"
        self._runs.mkdir(parents=True, exist_ok=True)
        self.state = self._state()
        self.runs = self._known()
        self.state.next_id = max([self.state.next_id, *(run.id + 1 for run in self.runs)])

    def run_folder(self, run: int) -> Path:
        """The folder of a run."""
        return self._runs / str(run)

    def begin(self, run: int) -> Path:
        """An empty folder for a run."""
        folder = self.run_folder(run)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def add(self, run: Run) -> None:
        """Remember a run that ended, in memory at least.

        Errors: OSError.
        """
        self.runs.append(run)
        self._write(run)

    def rejudge(self, run: Run) -> None:
        """Remember a new verdict on the last run."""
        self.runs[-1] = run
        self._write(run)

    def _write(self, run: Run) -> None:
        write_json(self.run_folder(run.id) / "run.json", asdict(run))

    def save(self) -> None:
        """Remember the state."""
        write_json(self.folder / "state.json", asdict(self.state))

    def report(self, run: int) -> str | None:
        """The report of a run, or None."""
        try:
            return report_file.read(self.run_folder(run) / REPORT, self.shared)
        except OSError:
            return None

    def tidy(self, moment: datetime, keep: float) -> None:
        """Forget runs that are older than ``keep`` seconds, and those above `MOST`. The last run stays."""
        oldest = moment - timedelta(seconds=min(keep, 100 * 365 * 86_400.0))
        gone = [
            run
            for at, run in enumerate(self.runs[:-1])
            if datetime.fromisoformat(run.began) < oldest or len(self.runs) - at > MOST
        ]
        if not gone:
            return
        for run in gone:
            shutil.rmtree(self.run_folder(run.id), ignore_errors=True)
        self.runs = [run for run in self.runs if run not in gone]
        kept = [self.run_folder(run.id) / REPORT for run in self.runs]
        report_file.tidy([path for path in kept if path.exists()], self.shared)

    def _state(self) -> State:
        raw = read_json(self.folder / "state.json")
        state = _of(State, raw) if isinstance(raw, Mapping) else None
        if state is None:
            if raw is not None:
                log.warning("the state cannot be read; it starts anew")
            return State()
        for name in ("before", "streak"):
            setattr(state, name, Streak(**getattr(state, name)))
        return state

    def _known(self) -> list[Run]:
        """The runs that ended. What a run that was cut off left is removed."""
        found = []
        for folder in self._runs.iterdir():
            raw = read_json(folder / "run.json")
            told = raw.get("found") if isinstance(raw, Mapping) else None
            run = _of(Run, {**raw, "found": read(told)}) if isinstance(told, Mapping) else None
            if run is None:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            found.append(run)
        return sorted(found, key=lambda run: run.id)


def _of(type_: type[T], raw: Mapping[str, Any]) -> T | None:
    known = {item.name for item in fields(type_)}  # type: ignore[arg-type]  # only dataclasses are given
    try:
        return type_(**{key: value for key, value in raw.items() if key in known})
    except TypeError:
        return None


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, value: Any) -> None:
    """A JSON file, replaced atomically."""
    part = path.with_name(f".{path.name}.new")
    with part.open("w", encoding="utf-8") as stream:
        json.dump(value, stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)
