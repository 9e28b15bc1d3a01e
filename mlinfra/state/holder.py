"""Who holds a lock: a process told apart from every other one, also from a later one with its number."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Holder:
    """``boot`` names a start of the machine and, on Linux, the space of process numbers (a container has its own);
    ``started`` is when the process did, in a measure that only compares within one boot; ``renewed`` is Unix time."""

    token: str
    command: str = "?"
    user: str = "?"
    host: str = "?"
    boot: str = ""
    pid: int = 0
    started: float = 0.0
    since: str = "?"
    renewed: float = 0.0

    @staticmethod
    def me(command: str, now: float) -> Holder:
        """This process."""
        return Holder(
            token=uuid.uuid4().hex,
            command=command,
            user=_user(),
            host=socket.gethostname(),
            boot=_boot(),
            pid=os.getpid(),
            started=_started(os.getpid()) or 0.0,
            since=dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="seconds"),
            renewed=now,
        )

    def gone(self) -> bool:
        """Whether this process can be told to have ended: it ran here, and runs no more."""
        if (self.host, self.boot) != (socket.gethostname(), _boot()):
            return False
        try:
            return _started(self.pid) != self.started
        except PermissionError:
            return False

    def described(self, now: float) -> str:
        """Who, where, doing what, since when."""
        ago = max(0.0, now - self.renewed)
        return (
            f"{self.user} on {self.host} (process {self.pid}) runs `mlinfra {self.command}` since {self.since}; "
            f"it last gave a sign of life {ago:.0f} s ago"
        )

    def dump(self) -> bytes:
        """As written in the store."""
        return json.dumps(asdict(self)).encode()

    @staticmethod
    def parse(data: bytes) -> Holder | None:
        """Who wrote this; None if nobody of ours did. What a later version adds is passed over: its lock is a lock."""
        try:
            record = json.loads(data)
            found = Holder(**{part.name: record[part.name] for part in fields(Holder) if part.name in record})
            return found if isinstance(found.renewed, int | float) and isinstance(found.pid, int) else None
        except (ValueError, TypeError):
            return None


def _started(pid: int) -> float | None:
    """When a process started; None if it runs no more. A dead one that nobody has collected yet runs no more.

    Linux counts from the boot: a clock that is set meanwhile does not move it, as it would psutil's time of day.
    """
    try:
        if Path("/proc/self/stat").exists():
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            told = text.rpartition(")")[2].split()  # what follows the name, which may hold anything
            return None if told[0] in "ZX" else float(told[19])  # proc(5): fields 3 and 22
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
        return None
    except psutil.AccessDenied as error:
        raise PermissionError from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return str(int(psutil.boot_time()))
