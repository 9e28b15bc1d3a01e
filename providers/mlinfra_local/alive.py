"""Which processes are ours, whether they live, and how they end. Knows psutil, and nothing of what a process is for.

A process is known by its id *and* its start time: ids come round again, after a reboot at the latest. Besides, each carries
a marker in its environment, so that one whose id was never recorded (the CLI was killed right after the start) is found.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from mlinfra_local.client import LocalClient

MARKER = "MLINFRA_PROCESS"
"""The environment variable with the marker: ``<folder of the process>#<nonce>``."""
CLOCK = 1.0
"""Seconds that a start time may differ: it is counted from the boot, whose time moves when the clock is set."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process as it was recorded: its id and when it started (seconds since 1970)."""

    pid: int
    at: float


def find(client: LocalClient, known: Started, marker: str) -> psutil.Process | None:
    """The process that was recorded, if it still lives."""
    _reap(client, known.pid)
    try:
        process = psutil.Process(known.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if abs(process.create_time() - known.at) <= CLOCK:
            return process
        return process if marker_of(process) == marker else None
    except psutil.Error:
        return None


def marker_of(process: psutil.Process) -> str:
    """The marker in a process's environment, or nothing."""
    try:
        return process.environ().get(MARKER, "")
    except (psutil.Error, OSError):
        return ""


def scan(client: LocalClient, prefix: str) -> list[psutil.Process]:
    """All living processes of this user whose marker starts with ``prefix``, oldest first. Looks at every process."""
    user = os.getuid()
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != user or not marker_of(process).startswith(prefix):
                continue
            _reap(client, process.pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append((process.create_time(), process))
        except psutil.Error:
            continue
    return [process for _, process in sorted(found, key=lambda item: (item[0], item[1].pid))]


def leader(processes: Iterable[psutil.Process]) -> psutil.Process | None:
    """The one that was started by us, among it and its children: it leads a session of its own."""
    for process in processes:
        with contextlib.suppress(OSError):
            if os.getsid(process.pid) == process.pid:
                return process
    return None


def stop(client: LocalClient, processes: Sequence[psutil.Process], grace: float, wait: Callable[[float], None]) -> None:
    """End processes, their process groups and their children: asked first, killed after ``grace`` seconds.

    ``wait`` sleeps between looks and may raise; nothing is killed then.
    """
    doomed = _family(processes)
    for process in processes:
        _signal(process, signal.SIGTERM)
    waited = 0.0
    while (living := _living(client, doomed)) and waited < grace:
        leaders_live = any(process in living for process in processes)
        if not leaders_live:
            for process in living:
                _signal(process, signal.SIGTERM)
        step = 0.02 if waited < 0.2 else 0.1
        wait(step)
        waited += step
        doomed = {**doomed, **_family([process for process in processes if process in living])}
    for process in living:
        _signal(process, signal.SIGKILL)
    waited = 0.0
    while living and waited < 5.0:
        wait(0.02)
        waited += 0.02
        living = _living(client, doomed)


def _family(processes: Iterable[psutil.Process]) -> dict[int, psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for process in processes:
        found[process.pid] = process
        with contextlib.suppress(psutil.Error):
            found.update({child.pid: child for child in process.children(recursive=True)})
    return found


def _living(client: LocalClient, processes: Mapping[int, psutil.Process]) -> list[psutil.Process]:
    living = []
    for process in processes.values():
        _reap(client, process.pid)
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                living.append(process)
    return living


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    """A signal to a process, and to its whole group if it leads one."""
    with contextlib.suppress(psutil.Error, OSError):
        if not process.is_running():
            return
        if os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)


def _reap(client: LocalClient, pid: int) -> None:
    child = client.children.get(pid)
    if child is not None and child.poll() is not None:
        client.children.pop(pid, None)
