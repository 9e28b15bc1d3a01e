"""Colours and moving progress on a terminal. The only module that imports rich."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from mlinfra.engine.events import (
    ApplyFinished,
    Event,
    LockWaiting,
    NodeDone,
    NodeFailed,
    NodeProgress,
    NodesSkipped,
    NodeStarted,
    Refreshed,
    Refreshing,
)
from mlinfra.views.lines import Line, Style, seconds
from mlinfra.views.progress import DID, DOING, finished

_COLOURS: dict[Style, str] = {
    "": "",
    "bold": "bold",
    "dim": "dim",
    "add": "green",
    "change": "yellow",
    "destroy": "red",
    "run": "cyan",
    "error": "bold red",
    "warning": "bold yellow",
    "good": "green",
}

_ROWS = 8
"""Steps under way that are shown; more are counted."""


def write_styled(stream: TextIO, lines: Iterable[Line]) -> None:
    """Write lines in colour. Long lines wrap with the terminal, nothing is cut."""
    console = Console(file=stream, highlight=False, soft_wrap=True, force_terminal=True)
    for line in lines:
        console.print(_text(line))


def _text(line: Line) -> Text:
    text = Text()
    for piece, style in line:
        text.append(piece, _COLOURS[style])
    text.rstrip()
    return text


class LiveProgress:
    """The steps under way, with what each does and for how long; finished ones scroll up."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._lock = threading.RLock()
        self._live: Live | None = None
        self._running: dict[str, tuple[float, str, str]] = {}
        self._reading = ""
        self._spinner = Spinner("dots")

    def emit(self, event: Event) -> None:
        with self._lock:
            match event:
                case Refreshing():
                    self._reading = f"reading {event.objects} live objects" if event.objects else ""
                    if self._reading:
                        self._show()
                case Refreshed():
                    self._reading = ""
                    self.close()
                case NodeStarted():
                    self._running[event.address] = (time.monotonic(), DOING.get(event.action, event.action), "")
                    self._show()
                case NodeProgress():
                    if event.address in self._running:
                        started, doing, _ = self._running[event.address]
                        self._running[event.address] = (started, doing, event.text)
                case NodeDone():
                    self._running.pop(event.address, None)
                    detail = f"  {event.detail}" if event.detail else ""
                    done = f"{DID.get(event.action, event.action)} in {seconds(event.seconds)}"
                    self._say([("  ✓ ", "good"), (event.address, ""), (f"  {done}{detail}", "dim")])
                case NodeFailed():
                    self._running.pop(event.address, None)
                    failed = f"  failed after {seconds(event.seconds)}"
                    self._say([("  ✗ ", "error"), (event.address, ""), (failed, "error")])
                case NodesSkipped():
                    if event.because:
                        self._say(
                            [(f"  skipped, since {event.because} failed: {', '.join(event.addresses)}", "warning")]
                        )
                case LockWaiting():
                    self._say([(event.detail, "warning")])
                case ApplyFinished():
                    self.close()
                    self._say([(finished(event), "bold")])
                case _:
                    pass

    def _say(self, line: Line) -> None:
        self._console.print(_text(line), soft_wrap=True)

    def _show(self) -> None:
        if self._live is None:
            self._live = Live(console=self._console, refresh_per_second=8, transient=True, get_renderable=self._rows)
            self._live.start()

    def _rows(self) -> Group:
        now = time.monotonic()
        rows: list[Text] = []
        frame = self._spinner.render(now)
        mark = frame.plain if isinstance(frame, Text) else "·"
        if self._reading:
            rows.append(Text(f"  {mark} {self._reading}", "dim", overflow="ellipsis", no_wrap=True))
        for address, (started, doing, text) in list(self._running.items())[:_ROWS]:
            row = Text(f"  {mark} ", "cyan", overflow="ellipsis", no_wrap=True)
            row.append(address, "")
            row.append(f"  {doing} {seconds(now - started)}", "dim")
            if text:
                row.append(f"  {text}", "dim")
            rows.append(row)
        if len(self._running) > _ROWS:
            rows.append(Text(f"    and {len(self._running) - _ROWS} more", "dim"))
        return Group(*rows)

    def close(self) -> None:
        with self._lock:
            if self._live is not None:
                self._live.stop()
                self._live = None
