"""The lock: a lease with a heartbeat, held in the store. One that its holder lost, or left behind by dying, can be taken.

It keeps honest runs apart. What fences one that lost it unawares is the compare-and-swap of the state, not this.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from mlinfra.state.holder import Holder
from mlinfra.state.store import PreconditionFailed, Store

KEY = "lock"
TTL = 30.0
"""Seconds after which a lease that was not renewed is nobody's."""


class LockHeld(DiagnosticError):
    """Somebody else holds the lock."""


class Lease:
    """The lock of one environment. Use `acquire`, then `release`. Safe between threads."""

    def __init__(
        self,
        store: Store,
        command: str,
        *,
        ttl: float = TTL,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        holder: Holder | None = None,
    ) -> None:
        self._store = store
        self._ttl = ttl
        self._clock = clock
        self._sleep = sleep
        self._holder = holder or Holder.me(command, clock())
        self._etag = ""
        self._renewing = threading.Lock()
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None
        self.lost = threading.Event()
        """Set when somebody else took the lease, or it could not be renewed in time."""

    @property
    def holder(self) -> Holder:
        """Who this lease is for, as last renewed."""
        return self._holder

    def acquire(self, wait: float = 0.0, waiting: Callable[[str], None] = lambda text: None) -> None:
        """Take the lock, waiting at most so many seconds for another holder; ``waiting`` is told once who that is.

        Errors: LockHeld.
        """
        until = self._clock() + wait
        told = False
        while (other := self._try()) is not None:
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
        while True:
            mine = replace(self._holder, renewed=self._clock())
            stored = self._store.get(KEY)
            try:
                if stored is None:
                    self._etag = self._store.put(KEY, mine.dump(), if_absent=True)
                else:
                    other = Holder.parse(stored.data)
                    if other is not None and not other.gone() and self._clock() - other.renewed < self._ttl:
                        return other
                    self._etag = self._store.put(KEY, mine.dump(), if_match=stored.etag)
            except PreconditionFailed:
                continue  # somebody was faster: look again who holds it now
            self._holder = mine
            return None

    def renew(self) -> None:
        """Give a sign of life. Sets ``lost`` if the lease is somebody else's, or has run out and cannot be renewed."""
        with self._renewing:
            if self.lost.is_set():
                return
            mine = replace(self._holder, renewed=self._clock())
            try:
                self._etag = self._store.put(KEY, mine.dump(), if_match=self._etag)
                self._holder = mine
            except PreconditionFailed:
                self.lost.set()
            except DiagnosticError:
                # A store that is busy or full for a moment does not end a run; one that stays so does.
                if self._expired():
                    self.lost.set()

    def held(self) -> bool:
        """Whether the lock is still ours. After a pause longer than it lives (a laptop that slept) the store is asked."""
        if self._expired():
            self.renew()
        return not self.lost.is_set()

    def _expired(self) -> bool:
        return self._clock() - self._holder.renewed >= self._ttl

    def _renew_on(self) -> None:
        while not self.lost.is_set() and not self._stop.wait(self._ttl / 3):
            self.renew()

    def release(self) -> None:
        """Give the lock back, if it is still ours."""
        self._stop.set()
        if self._beat is not None:
            self._beat.join()
        if self.lost.is_set():
            return
        try:
            self._store.delete(KEY, if_match=self._etag)
        except PreconditionFailed:
            self.lost.set()
        except DiagnosticError:
            # The lease of a process that ended is taken over at once; an error here would hide the one that ended the run.
            self.lost.set()
