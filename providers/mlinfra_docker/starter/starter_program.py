"""Runs a job when it is asked to: the one program of a starter's container, which has all that a run of the job has.

``starter_program.py --port N --token FILE --work FOLDER [--source FOLDER] [--timeout SECONDS] [--retries N] -- COMMAND…``

* ``POST /run``: begin a run, or join the one under way; 202 with its number;
* ``GET /runs/N?from=OFFSET``: what it printed from there on, and its exit code once it has ended; waits for either;
* ``GET /health``.

All but the last want the token. Standard library only, nothing of mlinfra. Exit codes: the command's own, 128 + n for
signal n; 124 after the time limit; 127: no such program.
"""

from __future__ import annotations

import argparse
import contextlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEPT = 10
"""How many runs are kept with what they printed; the container's log has all of it."""
LINES = 4 * 2**20
"""Bytes that are kept of what a run printed: the last ones."""
GRACE = 10.0
"""Seconds to end by itself before a command is killed."""
WAIT = 20.0
"""Seconds that an answer waits for something to tell."""
TIMED_OUT, NO_PROGRAM = 124, 127


@dataclass
class Run:
    """One run: what it printed, without the ``dropped`` first bytes, and its exit code once it has ended."""

    number: int
    printed: bytearray = field(default_factory=bytearray)
    dropped: int = 0
    code: int | None = None


class Runs:
    """The runs of one job, one at a time. Safe to use from several threads."""

    def __init__(
        self, command: Sequence[str], work: Path, source: Path | None, timeout: float | None, retries: int
    ) -> None:
        self._command = tuple(command)
        self._work = work
        self._source = source
        self._timeout = timeout
        self._retries = retries
        self._news = threading.Condition()
        self._runs: dict[int, Run] = {}
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def begin(self) -> int:
        """The number of the run under way, which is a new one if there was none."""
        with self._news:
            last = max(self._runs, default=0)
            if last and self._runs[last].code is None:
                return last
            run = self._runs[last + 1] = Run(last + 1)
            for old in sorted(self._runs)[:-KEPT]:
                del self._runs[old]
        threading.Thread(target=self._whole, args=(run,), daemon=True).start()
        return run.number

    def told(self, number: int, start: int) -> dict[str, Any] | None:
        """What a run printed from ``start`` on, after waiting for it to go on; None for one that is not kept."""
        with self._news:
            run = self._runs.get(number)
            if run is None:
                return None
            self._news.wait_for(lambda: run.code is not None or run.dropped + len(run.printed) > start, WAIT)
            text = bytes(run.printed[max(0, start - run.dropped) :])
            return {"text": text.decode(errors="replace"), "next": run.dropped + len(run.printed), "code": run.code}

    def close(self) -> None:
        """End the run under way; no other begins."""
        with self._news:
            self._closed = True
            child = self._child
        if child is not None:
            _end(child)

    # -- a run, in a thread of its own ---------------------------------------------------------------------------------

    def _whole(self, run: Run) -> None:
        code = NO_PROGRAM
        try:
            for attempt in range(self._retries + 1):
                if attempt:
                    self._say(run, f"mlinfra: it ended with {code}; attempt {attempt + 1} of {self._retries + 1}\n")
                code = self._once(run)
                if code == 0 or self._closed:
                    break
        except OSError as error:
            self._say(run, f"mlinfra: the run cannot be started: {error}\n")
        finally:
            with self._news:
                run.code = code
                self._news.notify_all()

    def _once(self, run: Run) -> int:
        shutil.rmtree(self._work, ignore_errors=True)
        if self._source is None:
            self._work.mkdir(parents=True)
        else:
            shutil.copytree(self._source, self._work)
        with self._news:
            if self._closed:
                return 128 + signal.SIGTERM
            child = self._child = subprocess.Popen(
                self._command,
                cwd=self._work,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        late = threading.Event()

        def stop() -> None:
            late.set()
            _end(child)

        limit = threading.Timer(self._timeout or 0, stop)
        if self._timeout is not None:
            limit.start()
        # Read until the command itself has ended: what it left running may hold its output open.
        reader = threading.Thread(target=self._read, args=(run, child), daemon=True)
        reader.start()
        code = child.wait()
        limit.cancel()
        _signal(child, signal.SIGKILL)
        reader.join(GRACE)
        if late.is_set():
            self._say(run, f"mlinfra: stopped: it took longer than {self._timeout:g} s\n")
            return TIMED_OUT
        return 128 - code if code < 0 else code

    def _read(self, run: Run, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        while chunk := os.read(child.stdout.fileno(), 65536):
            self._print(run, chunk)

    def _say(self, run: Run, text: str) -> None:
        self._print(run, text.encode())

    def _print(self, run: Run, chunk: bytes) -> None:
        os.write(1, chunk)
        with self._news:
            run.printed += chunk
            more = len(run.printed) - LINES
            if more > 0:
                del run.printed[:more]
                run.dropped += more
            self._news.notify_all()


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask a command and all in its process group to end, and end it."""
    _signal(child, signal.SIGTERM)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        _signal(child, signal.SIGKILL)


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


def handler(runs: Runs, token: str) -> type[BaseHTTPRequestHandler]:
    """What answers requests about the runs to who has the token."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            place = urlsplit(self.path)
            if place.path == "/health":
                self._answer(200, {"status": "ok"})
            elif self._may():
                number = place.path.removeprefix("/runs/")
                start = parse_qs(place.query).get("from", ["0"])[0]
                told = runs.told(int(number), int(start)) if number.isdigit() and start.isdigit() else None
                self._answer(200 if told else 404, told or {"detail": "no such run"})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            if self._may():
                if self.path == "/run":
                    self._answer(202, {"run": runs.begin()})
                else:
                    self._answer(404, {"detail": "there is POST /run"})

        def _may(self) -> bool:
            given = self.headers.get("authorization", "")
            if hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return True
            self._answer(401, {"detail": "the token is missing or wrong"})
            return False

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            """The log is the job's."""

    return Handler


def main() -> int:
    """Answer until told to end."""
    parser = argparse.ArgumentParser(description="Runs a job when it is asked to.")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--timeout", type=float)
    parser.add_argument("--retries", type=int, default=0)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    runs = Runs(options.command, options.work, options.source, options.timeout, options.retries)
    server = ThreadingHTTPServer((options.host, options.port), handler(runs, options.token.read_text("utf-8")))
    server.daemon_threads = True
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write(f"listening on {server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
    runs.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
