"""What the monitor answers over HTTP.

=============================  ==========================================================================================
``GET /``                      a page for people
``GET /health``                200 as soon as it runs
``GET /verdict``               the last verdict and how things stand
``GET /runs``, ``/runs/17``    the runs that are kept, one run
``GET /runs/17/report``        its Evidently report
``GET /metrics``               for Prometheus
``POST /run[?wait=SECONDS]``   look now: 202 and where the run will be, or 200 and the run, if it ends within that time
=============================  ==========================================================================================

Must not decide anything.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from . import pages, telling
from .watch import Watch

log = logging.getLogger("driftmonitor")
_RUN: Final = re.compile(r"/runs/(\d{1,12})(/report)?")
WAIT_MOST: Final = 900.0


@dataclass(frozen=True)
class Answer:
    """What is answered."""

    status: int
    body: bytes
    content_type: str = "application/json"
    location: str = ""


def answer(watch: Watch, report: Callable[[int], str | None], method: str, target: str) -> Answer:
    """The answer to one request."""
    parts = urlsplit(target)
    path = parts.path.rstrip("/") or "/"
    if path == "/run":
        if method != "POST":
            return _refusal(405, "POST /run looks now")
        return _run_now(watch, parse_qs(parts.query).get("wait", ["0"])[0])
    if method != "GET":
        return _refusal(405, f"{path} is read with GET")
    view = watch.view()
    if path == "/":
        return Answer(200, pages.index(view).encode(), "text/html; charset=utf-8")
    if path == "/health":
        return _json({"status": "ok"})
    if path == "/verdict":
        return _json(telling.verdict(view))
    if path == "/metrics":
        return Answer(200, telling.metrics(view).encode(), "text/plain; version=0.0.4; charset=utf-8")
    if path == "/runs":
        return _json({"runs": [telling.brief(run) for run in reversed(view.runs)]})
    match = _RUN.fullmatch(path)
    if match is None:
        return _refusal(404, f"there is no {path}")
    number = int(match[1])
    run = next((item for item in view.runs if item.id == number), None)
    if run is None and number in (view.running, view.waiting):
        return _json({"run": number, "state": "running" if number == view.running else "waiting"}, 202)
    if run is None:
        return _refusal(404, f"run {number} is not kept")
    if not match[2]:
        return _json(telling.run(run))
    html = report(number)
    if html is None:
        return _refusal(404, f"run {number} has no report: {run.sentence}")
    return Answer(200, html.encode(), "text/html; charset=utf-8")


def _run_now(watch: Watch, wait: str) -> Answer:
    try:
        seconds = min(max(0.0, float(wait)), WAIT_MOST)
    except ValueError:
        return _refusal(400, '"wait" is a number of seconds')
    number = watch.request()
    run = watch.wait_for(number, seconds) if seconds else None
    if run is not None:
        return _json(telling.run(run))
    told = _json({"run": number, "state": "waiting", "url": f"/runs/{number}"}, 202)
    return Answer(told.status, told.body, location=f"/runs/{number}")


def _json(value: Any, status: int = 200) -> Answer:
    return Answer(status, json.dumps(value, indent=1).encode() + b"\n")


def _refusal(status: int, message: str) -> Answer:
    return _json({"error": message}, status)


class Server(ThreadingHTTPServer):
    """Serves one monitor."""

    daemon_threads = True

    def __init__(self, host: str, port: int, watch: Watch, report: Callable[[int], str | None]) -> None:
        self.watch = watch
        self.report = report
        super().__init__((host, port), Handler)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "mlinfra-monitor"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("GET", head=True)

    def do_POST(self) -> None:
        # Bodies mean nothing here; they are read so that the connection can go on.
        length = self.headers.get("content-length", "0")
        if not length.isdigit() or int(length) > 65_536:
            self.close_connection = True
            self._send(_refusal(413, "no body is needed"))
            return
        self.rfile.read(int(length))
        # A page of somebody else's site in this machine's browser must not set anything off.
        origin = self.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != self.headers.get("host"):
            self._send(_refusal(403, "requests from other sites are refused"))
            return
        self._answer("POST")

    def _answer(self, method: str, *, head: bool = False) -> None:
        try:
            found = answer(self.server.watch, self.server.report, method, self.path)
        except Exception:  # a mistake of the monitor itself: the caller gets an answer, the log the trace
            log.exception("a request failed")
            found = _refusal(500, "the monitor failed; its log says why")
        self._send(found, head=head)

    def _send(self, found: Answer, *, head: bool = False) -> None:
        self.send_response(found.status)
        self.send_header("content-type", found.content_type)
        self.send_header("content-length", str(len(found.body)))
        self.send_header("cache-control", "no-store")
        self.send_header("x-content-type-options", "nosniff")
        if found.location:
            self.send_header("location", found.location)
        self.end_headers()
        if not head:
            self.wfile.write(found.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Requests are not logged: probes and Prometheus would fill the disk."""
