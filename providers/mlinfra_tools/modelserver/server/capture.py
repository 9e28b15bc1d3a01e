"""Keeps what was asked and answered, as JSON lines: ``<folder>/<variant>/<YYYY-MM-DD>.jsonl``, one line a row, UTC days.

Answers never wait for it: requests are queued, and a thread makes their rows and writes them within half a second. Lines
are appended whole, so that a process that is killed loses at most what is queued, and a reader meets at most one cut
line. Replicas of a variant write the same file, one at a time: each holds a lock on it while it writes. Must not decide
what is in a row.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

log = logging.getLogger("modelserver.capture")

Row = Mapping[str, Any]
Rows = Callable[[], Sequence[Row]]
FLUSH_SECONDS = 0.5
QUEUE_ROWS = 100_000
TIDY_SECONDS = 600.0
DAYS = "????-??-??.jsonl"


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class CaptureFiles:
    """Writes captured rows below ``folder``. `offer` may be called from any thread; `close` writes what is queued.

    Files go ``keep`` seconds after their day, those of variants beside it too, which may have nobody else left to do it.

    ``dropped`` counts rows that were lost because the disk was slower than the requests, or full.
    """

    def __init__(self, folder: Path, *, keep: float, max_bytes: int, clock: Callable[[], datetime] = now) -> None:
        self.folder = folder
        self.dropped = 0
        self.written = 0
        self._keep = keep
        self._max_bytes = max_bytes
        self._clock = clock
        self._queue: deque[tuple[int, Rows]] = deque()
        self._waiting = 0
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._file: int | None = None
        self._day = ""
        self._full = False
        self._complained = False
        self._tidied: datetime | None = None
        self._thread = threading.Thread(target=self._loop, name="capture", daemon=True)
        self._thread.start()

    def limits(self, *, keep: float, max_bytes: int) -> None:
        """New retention, in force from the next clean-up on."""
        self._keep, self._max_bytes, self._tidied = keep, max_bytes, None

    def offer(self, count: int, rows: Rows) -> None:
        """Queue ``count`` rows, which ``rows`` makes later, in the writing thread; drops them if too many wait."""
        with self._lock:
            if self._waiting + count > QUEUE_ROWS:
                self.dropped += count
                return
            self._waiting += count
            self._queue.append((count, rows))

    def close(self) -> None:
        """Write what is queued and stop."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout=10)

    def _loop(self) -> None:
        while not self._closing:
            self._wake.wait(FLUSH_SECONDS)
            self._safely()
        self._safely()
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _safely(self) -> None:
        try:
            self._flush()
            self._complained = False
        except OSError as error:
            # A full disk must not stop the answers: say it once, count what is lost, try again with the next rows.
            if not self._complained:
                log.error("captured rows cannot be written: %s", error)
            self._complained = True

    def _flush(self) -> None:
        moment = self._clock()
        if self._tidied is None or (moment - self._tidied).total_seconds() >= TIDY_SECONDS:
            self._tidy(moment)
        with self._lock:
            taken = list(self._queue)
            self._queue.clear()
            self._waiting = 0
        if not taken:
            return
        count = sum(item[0] for item in taken)
        if self._full:
            self.dropped += count
            return
        data = "".join(map(_lines, taken)).encode("utf-8", "replace")
        try:
            file = self._open(f"{moment:%Y-%m-%d}")
            with _held(file):
                _end_line(file)
                done = 0
                while done < len(data):
                    done += os.write(file, data[done:])
        except OSError:
            self.dropped += count
            self._shut()
            raise
        self.written += count

    def _open(self, day: str) -> int:
        if self._file is not None and self._day == day and self._path(day).exists():
            return self._file
        self._shut()
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self._path(day)
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        self._day = day
        return self._file

    def _shut(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _path(self, day: str) -> Path:
        return self.folder / f"{day}.jsonl"

    def _tidy(self, moment: datetime) -> None:
        """Delete days that are too old, then the oldest ones until the rest fits. Today's file stays: if it alone is too
        large, capture pauses until tomorrow."""
        self._tidied = moment
        if not self.folder.is_dir():
            return
        oldest = f"{moment - timedelta(seconds=self._keep):%Y-%m-%d}"
        today = f"{moment:%Y-%m-%d}"
        for path in self.folder.parent.glob(f"*/{DAYS}"):
            if path.stem < oldest:
                path.unlink(missing_ok=True)
        total = kept = 0
        for path in sorted(self.folder.glob(DAYS), reverse=True):
            with contextlib.suppress(FileNotFoundError):  # another replica tidies too
                size = path.stat().st_size
                total += size
                if path.stem != today and total > self._max_bytes:
                    path.unlink()
                else:
                    kept += size
        full = kept > self._max_bytes
        if full and not self._full:
            log.warning("capture pauses: today's file has more than %d bytes", self._max_bytes)
        self._full = full


@contextlib.contextmanager
def _held(file: int) -> Iterator[None]:
    """The only one to write to a file; where the file system knows no locks, one of perhaps several."""
    with contextlib.suppress(OSError):
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def _end_line(file: int) -> None:
    """End half a line that a killed process or a full disk has left, so that it spoils no other."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")


def _lines(item: tuple[int, Rows]) -> str:
    try:
        rows = item[1]()
        return "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":"), default=str) + "\n" for row in rows)
    except Exception:  # one odd request (values of a type nobody foresaw) must not end the capture of all others
        log.exception("a request could not be captured")
        return ""
