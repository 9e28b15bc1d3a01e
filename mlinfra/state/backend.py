"""`StateBackend`: the state of one environment as the engine uses it: load, and run under the lock."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.state import history
from mlinfra.state.entries import Intent
from mlinfra.state.history import Version
from mlinfra.state.journal import PREFIX, Journal, covered, fold, later_than, marks, replay
from mlinfra.state.lease import TTL, Lease
from mlinfra.state.run import KEY, Run
from mlinfra.state.snapshot import State
from mlinfra.state.sqlite import SQLiteStore
from mlinfra.state.store import PreconditionFailed, Store

DAMAGED = ("state-damaged", "journal-damaged")
"""Codes that say that a state is ours and cannot be read any more."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The state as snapshot and journal tell it; ``pending`` are intents without a result, by address; ``etag`` is the
    snapshot's tag (None: there is none yet); ``segments`` are those of the journal that the snapshot does not cover;
    ``damaged``: it could not be read, and ``state`` is what is left of it, which is no resource."""

    state: State
    pending: Mapping[str, Intent]
    etag: str | None
    segments: tuple[str, ...] = ()
    damaged: bool = False


class StateReader(Protocol):
    """What planning gets: it reads the state, and cannot write it."""

    def load(self) -> Loaded:
        """The state as it is now."""


class StateBackend:
    """The state of one environment in a store. ``clock`` gives Unix time; ``sleep`` waits so many seconds."""

    def __init__(
        self,
        store: Store,
        blueprint: str,
        environment: str,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        ttl: float = TTL,
    ) -> None:
        self._store = store
        self._blueprint = blueprint
        self._environment = environment
        self._clock = clock
        self._sleep = sleep
        self._ttl = ttl

    @classmethod
    def open(cls, path: Path, blueprint: str, environment: str) -> StateBackend:
        """The state in a file. Nothing is written before the first run."""
        return cls(SQLiteStore(path), blueprint, environment)

    def load(self) -> Loaded:
        """The state as it is now. Needs no lock: a run that commits meanwhile makes it read again.

        Errors: DiagnosticError if it is damaged, newer or another's.
        """
        while True:
            stored = self._store.get(KEY)
            etag = stored.etag if stored else None
            try:
                snapshot = self._snapshot(stored.data if stored else None)
                covers = marks(snapshot.covers)
                segments = tuple(key for key in self._store.list(PREFIX) if not covered(key, covers))
                state, pending = fold(snapshot, replay(self._store, segments))
            except DiagnosticError:
                if self._etag() == etag:
                    raise
                continue
            if self._etag() == etag:
                return Loaded(state, pending, etag, segments)

    def _etag(self) -> str | None:
        stored = self._store.get(KEY)
        return stored.etag if stored else None

    def _snapshot(self, data: bytes | None) -> State:
        if data is not None:
            return State.parse(data, self._blueprint, self._environment)
        if self._store.list(history.PREFIX) or self._store.list(PREFIX):
            raise fail(
                "state-damaged",
                "State is missing",
                "The state is gone, but its history or its journal is there.",
                "Put a copy of the state's file back, or make it anew from what is there: mlinfra state rebuild.",
            )
        return State.new(self._blueprint, self._environment)

    @contextmanager
    def begin(
        self,
        command: str,
        *,
        wait: float = 0.0,
        waiting: Callable[[str], None] = lambda text: None,
        anew: bool = False,
    ) -> Iterator[Run]:
        """A run under the lock. One that makes the state ``anew`` may begin with a state that is damaged.

        Errors: LockHeld if another run has it for longer than ``wait`` seconds; DiagnosticError as of `load`.
        """
        lease = Lease(self._store, command, ttl=self._ttl, clock=self._clock, sleep=self._sleep)
        lease.acquire(wait, waiting)
        try:
            loaded = self._remains() if anew else self.load()
            if loaded.etag is None and not loaded.damaged:
                loaded = self._founded(loaded.state)
            now = dt.datetime.fromtimestamp(self._clock(), dt.UTC)
            stamp = f"{now:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}"
            name = later_than((*loaded.state.covers, *loaded.segments), stamp)
            yield Run(self._store, lease, Journal(self._store, name), loaded)
        finally:
            lease.release()

    def _remains(self) -> Loaded:
        """The state; or what is left of one that is damaged: its name, its salt and its number, if its history tells them.

        Errors: DiagnosticError if it is newer or another's.
        """
        try:
            return self.load()
        except DiagnosticError as error:
            if any(diagnostic.code not in DAMAGED for diagnostic in error.diagnostics):
                raise
        kept = [version.serial for version in self.versions()]
        state = State.new(self._blueprint, self._environment)
        for serial in reversed(kept):
            with suppress(DiagnosticError):  # damaged as well, so an older one is asked
                older = self.version(serial)
                if older is not None:
                    state = replace(older, resources={}, pending={}, covers=())
                    break
        return Loaded(
            replace(state, serial=max(kept, default=0)), {}, self._etag(), tuple(self._store.list(PREFIX)), damaged=True
        )

    def unusable(self) -> bool:
        """Whether the store itself cannot be read, so that it has not even a lock.

        Errors: DiagnosticError if that has another reason than damage.
        """
        try:
            self._store.list("")
            self._store.get(KEY)
        except DiagnosticError as error:
            if any(diagnostic.code not in DAMAGED for diagnostic in error.diagnostics):
                raise
            return True
        return False

    def set_aside(self) -> None:
        """Keep a store that cannot be read under another name, so that a new one can take its place."""
        self._store.set_aside()

    def _founded(self, state: State) -> Loaded:
        """Write a state of nothing before the first intent: lineage and salt have to outlive a crash of the first run."""
        with suppress(PreconditionFailed):  # somebody did so meanwhile, so it is theirs that counts
            self._store.put(KEY, state.dump(), if_absent=True)
        return self.load()

    def versions(self) -> list[Version]:
        """What older versions are kept, and who made them; the oldest first."""
        return history.versions(self._store)

    def version(self, serial: int) -> State | None:
        """An older version, None if it is not kept.

        Errors: DiagnosticError if it is damaged.
        """
        return history.read(self._store, serial, self._blueprint, self._environment)

    def close(self) -> None:
        """End the use of the store."""
        self._store.close()
