"""Progress as plain lines, for pipes and logs: what began and takes long, what ended, what failed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, TextIO

from mlinfra.engine.events import (
    ApplyFinished,
    Event,
    LockWaiting,
    NodeDone,
    NodeFailed,
    NodeProgress,
    NodesSkipped,
    NodeStarted,
)
from mlinfra.views.lines import seconds

DOING = {
    "create": "creating",
    "update": "changing",
    "replace": "replacing",
    "delete": "destroying",
    "run": "running",
    "wait": "waiting",
    "adopt": "taking up",
    "forget": "forgetting",
}
DID = {
    "create": "created",
    "update": "changed",
    "replace": "replaced",
    "delete": "destroyed",
    "run": "ran",
    "wait": "there",
    "adopt": "there",
    "forget": "forgotten",
}


class Progress(Protocol):
    """Shows events as they come; may be called from several threads."""

    def emit(self, event: Event) -> None:
        """Something happened."""

    def close(self) -> None:
        """No more events for now: what moves on the screen stops."""


@dataclass(slots=True)
class _Step:
    doing: str
    started: float
    told: float
    said: str = ""


class PlainProgress:
    """A line for each step that ends; of those that take long also what they are doing, every few seconds."""

    quiet = 10.0
    """Seconds between two lines about one step that is under way."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: dict[str, _Step] = {}
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None

    def emit(self, event: Event) -> None:
        with self._lock:
            self._write(self._lines(event))
            if self._steps and self._ticker is None:
                self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
                self._ticker.start()

    def long_ones(self) -> None:
        """Tell of the steps that nothing was told of for a while."""
        with self._lock:
            now = self._clock()
            late = {address: step for address, step in self._steps.items() if now - step.told >= self.quiet}
            for step in late.values():
                step.told = now
            self._write(
                f"{address}: {step.doing}, {seconds(now - step.started)}{': ' if step.said else ''}{step.said}"
                for address, step in late.items()
            )

    def _tick(self) -> None:
        while not self._over.wait(1.0):
            self.long_ones()

    def _write(self, lines: Iterable[str]) -> None:
        # A reader that has gone, or a full disk, must not end a run half way: the run goes on unseen.
        with suppress(OSError):
            for line in lines:
                self._stream.write(line + "\n")
            self._stream.flush()

    def _lines(self, event: Event) -> list[str]:
        now = self._clock()
        match event:
            case NodeStarted():
                self._steps[event.address] = _Step(DOING.get(event.action, event.action), now, now)
            case NodeProgress():
                if event.address in self._steps:
                    self._steps[event.address].said = event.text
            case NodeDone():
                self._steps.pop(event.address, None)
                detail = f": {event.detail}" if event.detail else ""
                return [f"{event.address}: {DID.get(event.action, event.action)} in {seconds(event.seconds)}{detail}"]
            case NodeFailed():
                self._steps.pop(event.address, None)
                return [f"{event.address}: failed after {seconds(event.seconds)}"]
            case NodesSkipped():
                return [f"skipped, since {event.because} failed: {', '.join(event.addresses)}"] if event.because else []
            case LockWaiting():
                return [event.detail]
            case ApplyFinished():
                return [finished(event)]
            case _:
                pass
        return []

    def close(self) -> None:
        with self._lock:
            ticker, self._ticker = self._ticker, None
        if ticker is not None:
            self._over.set()
            ticker.join()
            self._over.clear()


def finished(event: ApplyFinished) -> str:
    """How an apply ended, in a line."""
    text = f"{event.done} done"
    if event.failed:
        text += f", {event.failed} failed"
    if event.skipped:
        text += f", {event.skipped} skipped"
    return f"{'Interrupted' if event.interrupted else 'Finished'}: {text} in {seconds(event.seconds)}."
