"""The lock: a lease with a heartbeat, held in the store. One that its holder lost, or left behind by dying, can be taken."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from mlinfra.state.store import PreconditionFailed, Store

KEY = "lock"
TTL = 30.0
"""Seconds after which a lease that was not renewed is nobody's."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease. ``started`` is the process's start time, so that a reused pid is told apart."""

    token: str
    command: str
    user: str
    host: str
    boot: str
    pid: int
    started: float
    since: str
    renewed: float

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
            started=psutil.Process().create_time(),
            since=dt.datetime.fromtimestamp(now, dt.UTC).isoformat(timespec="seconds"),
            renewed=now,
        )

    def gone(self) -> bool:
        """Whether this process can be told to have ended: it ran here, and runs no more."""
        if (self.host, self.boot) != (socket.gethostname(), _boot()):
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) > 1.0
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False

    def described(self, now: float) -> str:
        """Who, where, doing what, since when."""
        ago = max(0.0, now - self.renewed)
        return (
            f"{self.user} on {self.host} (process {self.pid}) runs `mlinfra {self.command}` since {self.since}; "
            f"it last gave a sign of life {ago:.0f} s ago"
        )


class LockHeld(DiagnosticError):
    """Somebody else holds the lock."""


class Lease:
    """The lock of one environment. Use `acquire`, then `release`."""

    def __init__(
        self,
        store: Store,
        command: str,
        *,
        ttl: float = TTL,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._sleep = sleep
        self._holder = Holder.me(command, clock())
        self._etag = ""
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None
        self.lost = threading.Event()
        """Set when somebody else took the lease, or it could not be renewed in time."""

    def acquire(self, wait: float = 0.0, waiting: Callable[[str], None] = lambda text: None) -> None:
        """Take the lock, waiting at most so many seconds for another holder; ``waiting`` is told once who that is.

        Errors: LockHeld.
        """
        until = self._clock() + wait
        told = False
        while True:
            other = self._try()
            if other is None:
                break
            now = self._clock()
            if now >= until:
                raise LockHeld(
                    [
                        Diagnostic(
                            "locked",
                            "Another run holds the lock",
                            f"{other.described(now)}.",
                            "Wait for its end, or give --lock-timeout 5m to wait here.",
                        )
                    ]
                )
            if not told:
                waiting(f"waiting for the lock: {other.described(now)}")
                told = True
            self._sleep(min(0.5, max(0.05, until - now)))
        self._beat = threading.Thread(target=self._renew_on, name="lease", daemon=True)
        self._beat.start()

    def _try(self) -> Holder | None:
        """One attempt; returns who holds it if that is somebody else."""
        mine = replace(self._holder, renewed=self._clock())
        stored = self._store.get(KEY)
        try:
            if stored is None:
                self._etag = self._store.put(KEY, _dump(mine), if_absent=True)
                return None
            other = _parse(stored.data)
            if other is not None and not other.gone() and self._clock() - other.renewed < self._ttl:
                return other
            self._etag = self._store.put(KEY, _dump(mine), if_match=stored.etag)
            return None
        except PreconditionFailed:
            found = self._store.get(KEY)
            return (_parse(found.data) if found else None) or mine

    def _renew_on(self) -> None:
        while not self._stop.wait(self._ttl / 3):
            try:
                self._etag = self._store.put(
                    KEY, _dump(replace(self._holder, renewed=self._clock())), if_match=self._etag
                )
            except (PreconditionFailed, DiagnosticError):
                self.lost.set()
                return

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        self._stop.set()
        if self._beat is not None:
            self._beat.join()
        try:
            if not self.lost.is_set():
                self._store.delete(KEY, if_match=self._etag)
        except PreconditionFailed:
            self.lost.set()


def _dump(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()


def _parse(data: bytes) -> Holder | None:
    try:
        return Holder(**json.loads(data))
    except (ValueError, TypeError):
        return None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return str(int(psutil.boot_time()))
