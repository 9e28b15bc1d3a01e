"""`StateBackend`: the state of one environment as the engine uses it: load, and run under the lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from mlinfra.sdk.diagnostics import fail
from mlinfra.state.entries import Entry, Intent
from mlinfra.state.journal import PREFIX, Journal, fold, replay
from mlinfra.state.lease import Lease
from mlinfra.state.snapshot import State
from mlinfra.state.sqlite import SQLiteStore
from mlinfra.state.store import PreconditionFailed, Store

KEY = "state"
HISTORY = "history/"
KEPT = 100
"""Older versions that are kept."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The state as snapshot and journal tell it; ``pending`` are intents without a result, by address; ``etag`` is the
    snapshot's tag (None: there is none yet)."""

    state: State
    pending: Mapping[str, Intent]
    etag: str | None


class Run:
    """One run that changes things, under the lock."""

    def __init__(self, store: Store, lease: Lease, journal: Journal, loaded: Loaded) -> None:
        self._store = store
        self._lease = lease
        self._journal = journal
        self._loaded = loaded

    @property
    def lost(self) -> bool:
        """Whether the lock was lost, so that nothing new may be started."""
        return self._lease.lost.is_set()

    def append(self, entry: Entry) -> None:
        """Write an entry to the journal; durable when this returns.

        Errors: DiagnosticError if the lock was lost or the store fails.
        """
        if self.lost:
            raise fail(
                "lock-lost",
                "Lock was lost",
                "Another run has taken the lock over, so this one stops.",
                "See what the other run does, then run `mlinfra apply` again.",
            )
        self._journal.append(entry)

    def commit(self, state: State) -> State:
        """Swap the snapshot, keep the older one in the history, and drop the journal that it covers.

        Errors: DiagnosticError if somebody else has committed meanwhile; the journal stays.
        """
        covers = max(self._journal.last, self._loaded.state.covers, *self._store.list(PREFIX), "")
        new = replace(state, serial=self._loaded.state.serial + 1, covers=covers)
        data = new.dump()
        try:
            if self._loaded.etag is None:
                self._store.put(KEY, data, if_absent=True)
            else:
                self._store.put(KEY, data, if_match=self._loaded.etag)
        except PreconditionFailed as error:
            raise fail(
                "state-conflict",
                "State was changed by another run",
                "Another run has recorded a newer state. What this one did is in the journal.",
                "Run `mlinfra plan` to see how things stand.",
            ) from error
        self._store.put(f"{HISTORY}{new.serial:010d}", data)
        for key in self._store.list(PREFIX):
            if key <= covers:
                self._store.delete(key)
        for key in self._store.list(HISTORY)[:-KEPT]:
            self._store.delete(key)
        return new


class StateBackend:
    """The state of one environment in a store."""

    def __init__(self, store: Store, blueprint: str, environment: str) -> None:
        self._store = store
        self._blueprint = blueprint
        self._environment = environment

    @classmethod
    def open(cls, path: Path, blueprint: str, environment: str) -> StateBackend:
        """The state in a file. Nothing is written before the first run."""
        return cls(SQLiteStore(path), blueprint, environment)

    def load(self) -> Loaded:
        """The state as it is now.

        Errors: DiagnosticError if it is damaged, newer or another's.
        """
        stored = self._store.get(KEY)
        if stored is None:
            snapshot = State.new(self._blueprint, self._environment)
            if self._store.list(HISTORY):
                raise fail(
                    "state-damaged",
                    "State is missing",
                    "The state is gone, but its history is there.",
                    "Put a copy of the state's file back.",
                )
        else:
            snapshot = State.parse(stored.data, self._blueprint, self._environment)
        state, pending = fold(snapshot, replay(self._store, snapshot.covers))
        return Loaded(state, pending, stored.etag if stored else None)

    @contextmanager
    def begin(
        self, command: str, *, wait: float = 0.0, waiting: Callable[[str], None] = lambda text: None
    ) -> Iterator[Run]:
        """A run under the lock.

        Errors: LockHeld if another run has it for longer than ``wait`` seconds.
        """
        lease = Lease(self._store, command)
        lease.acquire(wait, waiting)
        try:
            loaded = self.load()
            stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S%f")
            yield Run(self._store, lease, Journal(self._store, f"{stamp}-{uuid.uuid4().hex[:8]}"), loaded)
        finally:
            lease.release()

    def history(self) -> list[State]:
        """Older versions of the state, the oldest first.

        Errors: DiagnosticError if one is damaged.
        """
        found = []
        for key in self._store.list(HISTORY):
            stored = self._store.get(key)
            if stored is not None:
                found.append(State.parse(stored.data, self._blueprint, self._environment))
        return found

    def close(self) -> None:
        """End the use of the store."""
        self._store.close()
