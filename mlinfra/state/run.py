"""`Run`: one run that changes things, under the lock: what it journals, and how it replaces the state.

The order of the steps of a commit is what makes a crash between any two of them harmless.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.state import history
from mlinfra.state.entries import Deleted, Done, Entry
from mlinfra.state.history import Version
from mlinfra.state.journal import PREFIX, Journal, covered, marks
from mlinfra.state.lease import Lease
from mlinfra.state.snapshot import State
from mlinfra.state.store import PreconditionFailed, Store

if TYPE_CHECKING:
    from mlinfra.state.backend import Loaded

KEY = "state"
ASIDE = "damaged/"
"""Where a state and a journal are kept that could not be read."""


class StateConflict(DiagnosticError):
    """The state is no longer what this run began with, or the lock was lost. What the run did is in the journal."""


class Run:
    """``began`` is the state as it was loaded: its snapshot, and the segments of the journal that the snapshot has not."""

    def __init__(self, store: Store, lease: Lease, journal: Journal, began: Loaded) -> None:
        self.began = began
        self._store = store
        self._lease = lease
        self._journal = journal
        self._base = began.state
        self._etag = began.etag
        self._segments = began.segments
        self._damaged = began.damaged
        self._counting = threading.Lock()
        self._counts: Counter[str] = Counter()

    @property
    def lost(self) -> bool:
        """Whether the lock was lost, so that nothing new may be started."""
        return self._lease.lost.is_set()

    def append(self, entry: Entry) -> None:
        """Write an entry to the journal; durable when this returns.

        Errors: DiagnosticError if the lock was lost or the store fails.
        """
        if not self._lease.held():
            raise fail(
                "lock-lost",
                "Lock was lost",
                "Another run has taken the lock over, or it could not be renewed, so this run stops.",
                "See what the other run does, then run `mlinfra apply` again.",
            )
        self._journal.append(entry)
        if isinstance(entry, Done | Deleted):
            with self._counting:
                self._counts[entry.action if isinstance(entry, Done) else "delete"] += 1

    def commit(self, state: State) -> State:
        """Swap the snapshot, keep the older one in the history, and drop the journal that it covers.

        Errors: StateConflict if somebody else has committed meanwhile or the lock was lost; the journal stays.
        """
        if not self._lease.held():
            raise _conflict("Another run has taken the lock over, or it could not be renewed.")
        keys = self._store.list(PREFIX)
        known = (*self._segments, self._journal.last) if self._journal.last else self._segments
        # Marks of runs whose segments are all gone say nothing more. A run that lost its lock may still add segments that
        # nobody has read: they are not covered, so the next load reads them.
        lingering = [mark for mark in self._base.covers if any(covered(key, marks([mark])) for key in keys)]
        covers = marks((*lingering, *known))
        new = replace(state, serial=self._base.serial + 1, covers=tuple(covers.values()))
        data = new.dump()
        if self._damaged:
            self._keep_damaged(new.serial, keys)
        elif self._base.serial:
            self._keep_base()
        try:
            self._etag = self._store.put(KEY, data, if_absent=self._etag is None, if_match=self._etag)
        except PreconditionFailed as error:
            raise _conflict("Another run has recorded a newer state.") from error
        holder = self._lease.holder
        told = Version(new.serial, holder.command, holder.user, holder.host, holder.since, dict(self._counts))
        self._base, self._segments, self._damaged = new, (), False
        self._counts.clear()
        history.keep(self._store, new.serial, data, told)
        self._store.delete([key for key in keys if covered(key, covers)])
        history.prune(self._store)
        return new

    def _keep_base(self) -> None:
        """The version that is about to go may not be in the history, if the run that made it died just then."""
        stored = self._store.get(KEY)
        if stored is not None and stored.etag == self._etag:
            history.keep(self._store, self._base.serial, stored.data)

    def _keep_damaged(self, serial: int, keys: Sequence[str]) -> None:
        """What cannot be read stays for people to look at, under the number of the state that takes its place."""
        for key in (KEY, *keys):
            stored = self._store.get(key)
            if stored is not None:
                self._store.put(f"{ASIDE}{serial:010d}/{key}", stored.data)


def _conflict(why: str) -> StateConflict:
    error = fail(
        "state-conflict",
        "State was changed by another run",
        f"{why} What this run did is in the journal.",
        "Run `mlinfra plan` to see how things stand.",
    )
    return StateConflict(error.diagnostics)
