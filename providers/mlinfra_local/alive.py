"""Which processes are ours, whether they live, and how they end. Knows psutil, and nothing of what a process is for.

A process is known by its id *and* when it started: ids come round again, after a reboot at the latest. Besides, each carries
a marker in its environment, so that one whose id was never recorded (the CLI was killed right after the start) is found.
A zombie has ended: only its parent can collect it, and where nobody does (process 1 of many containers) it stays listed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from mlinfra_local.client import LocalClient

MARKER: Final = "MLINFRA_PROCESS"
"""The environment variable with the marker: ``<folder of the process>#<nonce>``."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process as it was recorded. ``at`` is when it started, in a measure that only compares within one ``boot``: a start
    of the machine and, on Linux, a space of process ids (a container has its own)."""

    pid: int
    at: float
    boot: str

    @staticmethod
    def of(process: psutil.Process) -> Started:
        """The identity of a living process.

        Errors: psutil.Error if it is gone.
        """
        return Started(process.pid, _start(process), boot())


def boot() -> str:
    """The start of this machine in whose measure processes are told apart; empty where start times are of the clock."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{started} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start(process: psutil.Process) -> float:
    """When a process started. Linux counts ticks from the boot, which a clock that is set meanwhile does not move, as it
    moves psutil's time of day (proc(5), field 22 of stat)."""
    try:
        text = Path(f"/proc/{process.pid}/stat").read_text("utf-8", errors="replace")
        return float(text.rpartition(")")[2].split()[19])  # what follows the name, which may hold anything
    except (FileNotFoundError, ProcessLookupError):
        return float(process.create_time())


def find(client: LocalClient, known: Started) -> psutil.Process | None:
    """The process that was recorded, if it still lives."""
    if known.boot != boot():
        return None
    _reap(client, known.pid)
    try:
        process = psutil.Process(known.pid)
        return process if lives(process) and _start(process) == known.at else None
    except psutil.Error:
        return None


def lives(process: psutil.Process) -> bool:
    """Whether a process has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


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
            if lives(process):
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
        if lives(process):
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
