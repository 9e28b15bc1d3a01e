"""`Run`: one run that changes things, under the lock: what it journals, and how it replaces the state.

The order of the steps of a commit is what makes a crash between any two of them harmless.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.state import history
from mlinfra.state.entries import Deleted, Done, Entry
from mlinfra.state.history import Version
from mlinfra.state.journal import PREFIX, Journal, covered, marks
from mlinfra.state.lease import Lease
from mlinfra.state.snapshot import State
from mlinfra.state.store import PreconditionFailed, Store

KEY = "state"


class StateConflict(DiagnosticError):
    """The state is no longer what this run began with, or the lock was lost. What the run did is in the journal."""


class Run:
    """``base`` is the state it began with, of tag ``etag``; ``segments`` are those of the journal that ``base`` has in it
    and its snapshot has not."""

    def __init__(
        self, store: Store, lease: Lease, journal: Journal, base: State, etag: str, segments: Sequence[str]
    ) -> None:
        self._store = store
        self._lease = lease
        self._journal = journal
        self._base = base
        self._etag = etag
        self._segments = tuple(segments)
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
        if self._base.serial:
            self._keep_base()
        try:
            self._etag = self._store.put(KEY, data, if_match=self._etag)
        except PreconditionFailed as error:
            raise _conflict("Another run has recorded a newer state.") from error
        holder = self._lease.holder
        told = Version(new.serial, holder.command, holder.user, holder.host, holder.since, dict(self._counts))
        self._base, self._segments = new, ()
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


def _conflict(why: str) -> StateConflict:
    error = fail(
        "state-conflict",
        "State was changed by another run",
        f"{why} What this run did is in the journal.",
        "Run `mlinfra plan` to see how things stand.",
    )
    return StateConflict(error.diagnostics)
