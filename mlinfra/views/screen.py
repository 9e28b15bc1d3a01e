"""`Screen`: where a command's words go. Text for people (styled on a terminal, plain in a pipe) or JSON lines for machines.

Results go to stdout, diagnostics and progress of a text screen to stderr, so that a pipe gets results only.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol, TextIO

from mlinfra.engine.events import Event, event_fields
from mlinfra.engine.values import encode
from mlinfra.sdk.diagnostics import Diagnostic
from mlinfra.sdk.refs import Sensitive
from mlinfra.views.diagnostic_text import diagnostic_lines, diagnostic_record
from mlinfra.views.lines import Line, plain
from mlinfra.views.progress import Progress

READABLE = 100
"""Columns of a line of prose that is easily read."""


class Screen(Protocol):
    """What commands write to."""

    machine: bool
    width: int | None
    """Where prose is folded; None: not at all."""

    def lines(self, lines: Iterable[Line]) -> None:
        """Text for people; a JSON screen leaves it out."""

    def record(self, record: Mapping[str, Any]) -> None:
        """A result for machines; a text screen leaves it out."""

    def emit(self, event: Event) -> None:
        """Something happened."""

    def diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Mistakes."""

    def close(self) -> None:
        """Nothing more will be written."""


class TextScreen:
    """Text; colours and live progress only where it is a terminal."""

    machine = False

    def __init__(self, colour: bool | None = None, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self.width = _width(self._out)
        self._colour_out = self._out.isatty() if colour is None else colour
        self._colour_err = self._err.isatty() if colour is None else colour
        self._progress = _progress(self._err, colour)

    def lines(self, lines: Iterable[Line]) -> None:
        self._progress.close()
        _write(self._out, lines, self._colour_out)

    def record(self, record: Mapping[str, Any]) -> None:
        pass

    def emit(self, event: Event) -> None:
        self._progress.emit(event)

    def diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        self._progress.close()
        self._out.flush()
        _write(self._err, diagnostic_lines(diagnostics, _width(self._err)), self._colour_err)

    def close(self) -> None:
        self._progress.close()


class JsonScreen:
    """One JSON object a line: events, results, diagnostics (``{"event": "diagnostic", …}``)."""

    machine = True
    width: int | None = None

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lock = threading.Lock()

    def lines(self, lines: Iterable[Line]) -> None:
        pass

    def record(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(jsonable(record)) + "\n"
        with self._lock:
            self._out.write(line)
            self._out.flush()

    def emit(self, event: Event) -> None:
        # A reader that has gone, or a full disk, must not end a run half way: the run goes on unseen.
        with suppress(OSError):
            self.record(event_fields(event))

    def diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        for diagnostic in diagnostics:
            self.record({"event": "diagnostic", **diagnostic_record(diagnostic)})

    def close(self) -> None:
        with suppress(OSError):
            self._out.flush()


class BothScreens:
    """A text screen, and the same as JSON lines in a file (``--json-into``)."""

    machine = False

    def __init__(self, text: Screen, file: TextIO) -> None:
        self._text = text
        self.width = text.width
        self._file = file
        self._json = JsonScreen(file)

    def lines(self, lines: Iterable[Line]) -> None:
        self._text.lines(lines)

    def record(self, record: Mapping[str, Any]) -> None:
        self._json.record(record)

    def emit(self, event: Event) -> None:
        self._text.emit(event)
        self._json.emit(event)

    def diagnostics(self, diagnostics: Iterable[Diagnostic]) -> None:
        found = list(diagnostics)
        self._text.diagnostics(found)
        self._json.diagnostics(found)

    def close(self) -> None:
        self._text.close()
        with suppress(OSError):
            self._file.close()


def jsonable(value: Any) -> Any:
    """JSON values; a secret is ``"(sensitive)"``."""
    if isinstance(value, Sensitive):
        return "(sensitive)"
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return encode(value, "")


def _progress(err: TextIO, colour: bool | None) -> Progress:
    # A CI job may be given a terminal; its log is read as lines all the same.
    if err.isatty() and colour is not False and not os.environ.get("CI"):
        from mlinfra.views.live import LiveProgress

        return LiveProgress(err)
    from mlinfra.views.progress import PlainProgress

    return PlainProgress(err)


def _width(stream: TextIO) -> int | None:
    """Where sentences are folded: the terminal's width, and never so wide that lines are hard to follow."""
    return min(shutil.get_terminal_size().columns, READABLE) if stream.isatty() else None


def _write(stream: TextIO, lines: Iterable[Line], colour: bool) -> None:
    if not colour:
        stream.write(plain(list(lines)))
        stream.flush()
        return
    from mlinfra.views.live import write_styled

    write_styled(stream, lines)
