"""What the monitor does to the world: runs a look in a process of its own, starts a training, tells a webhook.

Must not decide when.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from .answer import Found, read
from .archive import read_json
from .evaluation import FOUND

log = logging.getLogger("driftmonitor")
ANSWER_SECONDS: Final = 10.0


class Ended(Exception):
    """The monitor ends: there is no look any more."""


class Looks:
    """Runs looks: a process each, which is ended if it takes too long or the monitor ends."""

    def __init__(self, program: Sequence[str], captures: Path | None, shared: Path) -> None:
        self._program = program
        self._captures = captures
        self._shared = shared
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def __call__(self, text: str, moment: datetime, folder: Path, timeout: float) -> Found:
        """Look once by the configuration ``text``. Whatever goes wrong is a problem in what is found.

        Errors: Ended after `close`; OSError if the folder cannot be written.
        """
        config = folder / "config.json"
        config.write_text(text, "utf-8")
        command = [
            *self._program, "evaluate", "--config", str(config), "--moment", moment.isoformat(), "--folder", str(folder),
            "--shared", str(self._shared),
        ]  # fmt: skip
        if self._captures is not None:
            command += ["--captures", str(self._captures)]
        with (folder / "log").open("wb") as output:
            with self._lock:
                if self._closed:
                    raise Ended
                self._child = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
                )
            try:
                code = self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                return Found(problem=f"the look took longer than {timeout:g} s and was stopped")
            finally:
                self._end()
        if self._closed:
            raise Ended
        told = read_json(folder / FOUND)
        if code == 0 and isinstance(told, Mapping):
            return read(told)
        return Found(problem=f"the process of the look {_ending(code)}{_last_line(folder / 'log')}")

    def close(self) -> None:
        """End the look under way; no other begins."""
        with self._lock:
            self._closed = True
        self._end()

    def _end(self) -> None:
        child = self._child
        if child is not None and child.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


class Training:
    """Starts `then`: a command that starts a run, or joins the one under way, and ends with its exit code."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = tuple(command)
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start it, unless it still runs. Gives what went wrong, or nothing."""
        if self._child is not None and self._child.poll() is None:
            return ""
        try:
            # What it prints is kept by the training itself.
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return f"{self.command[0]} cannot be started: {error.strerror or error}"
        return ""

    @property
    def running(self) -> bool:
        """Whether the last start still runs."""
        return self._child is not None and self._child.poll() is None

    def ended(self) -> str | None:
        """How the last start ended, told once; None while it runs or if there was none."""
        if self._child is None or self._child.poll() is None:
            return None
        code, self._child = self._child.returncode, None
        return "ended well" if code == 0 else _ending(code)


class _NoRedirects(HTTPRedirectHandler):
    """A notice goes where the blueprint says, and nowhere else."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


class Webhook:
    """A URL that is told by POST. The URL may be a secret: it stands in no message."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, body: Mapping[str, Any]) -> None:
        """Tell it.

        Errors: OSError if it does not answer or does not take it.
        """
        headers = {"content-type": "application/json", "user-agent": "mlinfra-monitor"}
        proxies = [ProxyHandler({})] if _is_loopback(urlsplit(self._url).hostname) else []
        try:
            request = Request(self._url, json.dumps(body).encode(), headers)
            with build_opener(*proxies, _NoRedirects).open(request, timeout=ANSWER_SECONDS) as answer:
                answer.read(1)
        except (ValueError, HTTPException) as error:  # not even a URL, or an answer that is not HTTP
            raise OSError(f"it cannot be told: {type(error).__name__}") from error


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def _ending(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


def _last_line(path: Path) -> str:
    lines = [line for line in path.read_bytes().decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {lines[-1][:300]}" if lines else ""
