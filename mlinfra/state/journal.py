"""The journal: entries appended durably, and the truth that snapshot and journal make together.

Entries of many threads that come while a write is under way are written together by the next one, so that the cost of
making them durable is shared. A segment is one put under ``journal/<run>/<number>``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator

from mlinfra.sdk.diagnostics import fail
from mlinfra.state.entries import Created, Deleted, Done, Entry, Failed, Intent, from_json, to_json
from mlinfra.state.snapshot import ResourceState, State
from mlinfra.state.store import Store

PREFIX = "journal/"


class Journal:
    """The journal of one run. Safe between threads."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._condition = threading.Condition()
        self._waiting: list[str] = []
        self._taken = 0
        """How many entries were given so far; an entry is durable when ``_written`` has reached its number."""
        self._written = 0
        self._writing = False
        self._segments = 0
        self._broken: BaseException | None = None

    @property
    def last(self) -> str:
        """The key of the last segment, or an empty text."""
        return _key(self._run, self._segments) if self._segments else ""

    def append(self, entry: Entry) -> None:
        """Write an entry; it is durable when this returns.

        Errors: DiagnosticError if the store fails; from then on every append fails.
        """
        text = json.dumps(to_json(entry), separators=(",", ":"))
        with self._condition:
            self._waiting.append(text)
            self._taken += 1
            mine = self._taken
            while self._written < mine:
                if self._broken is not None:
                    raise self._broken
                if self._writing:
                    self._condition.wait()
                else:
                    self._write()

    def _write(self) -> None:
        """Write all that waits. Called with the lock held, which is released while the store works."""
        batch, self._waiting = self._waiting, []
        self._writing = True
        self._segments += 1
        key = _key(self._run, self._segments)
        self._condition.release()
        error: BaseException | None = None
        try:
            self._store.put(key, "\n".join(batch).encode(), if_absent=True)
        except BaseException as problem:
            error = problem
        self._condition.acquire()
        self._writing = False
        if error is None:
            self._written += len(batch)
        else:
            self._broken = error
        self._condition.notify_all()


def _key(run: str, number: int) -> str:
    return f"{PREFIX}{run}/{number:08d}"


def replay(store: Store, after: str) -> Iterator[Entry]:
    """The entries of all segments later than the one named ``after``, in order.

    Errors: DiagnosticError for a segment that cannot be read.
    """
    for key in store.list(PREFIX):
        if key <= after:
            continue
        stored = store.get(key)
        if stored is None:
            continue
        try:
            for line in stored.data.decode().splitlines():
                yield from_json(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            raise fail(
                "journal-damaged",
                "Journal is damaged",
                f"The journal's segment {key} cannot be read ({error}).",
                "Put a copy of the state's file back.",
            ) from error


def fold(state: State, entries: Iterable[Entry]) -> tuple[State, dict[str, Intent]]:
    """The state after these entries, and the intents of which nothing more is known. Pure.

    An object whose create returned an id is in the state, tainted until its action is done.
    """
    resources = dict(state.resources)
    pending: dict[str, Intent] = {}
    for entry in entries:
        match entry:
            case Intent():
                pending[entry.address] = entry
            case Created():
                intent = pending.get(entry.address)
                if intent is not None:
                    resources[entry.address] = ResourceState(
                        address=entry.address,
                        type=intent.type,
                        provider="",
                        id=entry.id,
                        fields=intent.fields,
                        desired=intent.fields,
                        tainted=True,
                        component=entry.address.partition("/")[0],
                    )
            case Done():
                pending.pop(entry.address, None)
                resources[entry.address] = entry.entry
            case Deleted():
                pending.pop(entry.address, None)
                resources.pop(entry.address, None)
            case Failed():
                pass
    return state.with_resources(resources), pending
