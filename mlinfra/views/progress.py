"""Progress as plain lines, for pipes and logs: what began and takes long, what ended, what failed."""

from __future__ import annotations

import threading
import time
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


class PlainProgress:
    """A line for each step that ends; for those that take long also what they are doing, at most every few seconds."""

    quiet = 5.0
    """Seconds between two lines about what one step is doing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()
        self._started: dict[str, float] = {}
        self._doing: dict[str, str] = {}
        self._told: dict[str, float] = {}

    def emit(self, event: Event) -> None:
        with self._lock:
            for line in self._lines(event):
                self._stream.write(line + "\n")
            self._stream.flush()

    def _lines(self, event: Event) -> list[str]:
        now = time.monotonic()
        match event:
            case NodeStarted():
                self._started[event.address] = now
                self._told[event.address] = now
                self._doing[event.address] = DOING.get(event.action, event.action)
            case NodeProgress():
                if now - self._told.get(event.address, 0.0) >= self.quiet:
                    self._told[event.address] = now
                    so_far = seconds(now - self._started.get(event.address, now))
                    return [f"{event.address}: {self._doing.get(event.address, '')}, {so_far}: {event.text}"]
            case NodeDone():
                detail = f": {event.detail}" if event.detail else ""
                return [f"{event.address}: {DID.get(event.action, event.action)} in {seconds(event.seconds)}{detail}"]
            case NodeFailed():
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
        pass


def finished(event: ApplyFinished) -> str:
    """How an apply ended, in a line."""
    text = f"{event.done} done"
    if event.failed:
        text += f", {event.failed} failed"
    if event.skipped:
        text += f", {event.skipped} skipped"
    return f"{'Interrupted' if event.interrupted else 'Finished'}: {text} in {seconds(event.seconds)}."
