"""Starts the monitor: ``--host --port --config FILE --state FOLDER [--captures FOLDER] [--webhook FILE] [--then COMMAND…]``.

``evaluate …`` instead of these is the short-lived process of one look. SIGTERM: the look under way is thrown away, what is
remembered stays. A training that was started goes on. Must not import what is slow.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .watch import Watch

log = logging.getLogger("driftmonitor")
STEP: Final = 0.5
"""Seconds between two steps: how late a changed configuration may be in force."""


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal ends it. Returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["evaluate"]:
        return evaluate(given[1:])
    parser = argparse.ArgumentParser(prog="driftmonitor", description="Watches data and models for drift and decay.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--state", type=Path, required=True, help="folder for what it remembers")
    parser.add_argument("--captures", type=Path, help="folder of the endpoint's captured requests")
    parser.add_argument("--webhook", type=Path, help="file that holds the URL that is told of a breach")
    parser.add_argument("--then", nargs="+", help="command that starts what mends a breach")
    options = parser.parse_args(given)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)

    from .archive import Archive
    from .outside import Looks, Training, Webhook
    from .serving import Server
    from .watch import Watch

    try:
        archive = Archive(options.state)
        looks = Looks([sys.executable, sys.argv[0]], options.captures, archive.shared)
        watch = Watch(
            options.config,
            archive,
            clock=lambda: datetime.now(UTC),
            look=looks,
            then=Training(options.then) if options.then else None,
            tell=Webhook(options.webhook.read_text("utf-8").strip()) if options.webhook else None,
            url=f"http://{options.host}:{options.port}" if ip_address(options.host).is_loopback else "",
        )
        server = Server(options.host, options.port, watch, archive.report)
    except (OSError, ValueError) as error:
        log.error("%s", error)
        return 1
    stop = threading.Event()
    failed = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(target=server.serve_forever, name="http", daemon=True),
        threading.Thread(target=course, args=(watch, stop, failed), name="course", daemon=True),
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(3600.0):  # a wait without end would not let signals through everywhere
        pass
    looks.close()
    server.shutdown()
    threads[1].join(timeout=10)
    return 1 if failed.is_set() else 0


def course(watch: Watch, stop: threading.Event, failed: threading.Event) -> None:
    """Step after step, until it is told to stop. A mistake of the monitor itself ends it, so that whoever runs it sees it."""
    from .outside import Ended

    try:
        while not stop.is_set():
            watch.tick()
            watch.wait(STEP)
    except Ended:
        pass
    except Exception:
        log.exception("the monitor failed")
        failed.set()
    finally:
        stop.set()


def evaluate(arguments: list[str]) -> int:
    """The process of one look."""
    parser = argparse.ArgumentParser(prog="driftmonitor evaluate")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--moment", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--captures", type=Path)
    options = parser.parse_args(arguments)

    from .evaluation import main as look

    return look(options.config, options.captures, options.moment, options.folder, options.shared)
