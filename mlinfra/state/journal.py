"""The journal: entries appended durably, and the truth that snapshot and journal make together.

Entries of many threads that come while a write is under way are written together by the next one, so that the cost of
making them durable is shared. A segment is one put under ``journal/<run>/<number>``: a line that says how many entries
follow and their checksum, then an entry a line.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.state.aside import taken_back
from mlinfra.state.entries import Created, Deleted, Done, Entry, Failed, Intent, SetAside, from_json, to_json
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
            self._store.put(key, _pack(batch), if_absent=True)
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


def run_of(key: str) -> str:
    """The run that wrote a segment."""
    return key.removeprefix(PREFIX).rpartition("/")[0]


def later_than(keys: Iterable[str], stamp: str) -> str:
    """A name for a new run that sorts after the runs of these segments, whatever the clock says."""
    numbers = (run_of(key).partition("-")[0] for key in keys)
    return f"{max((int(n) for n in numbers if n.isdigit()), default=0) + 1:010d}-{stamp}"


def marks(keys: Iterable[str]) -> dict[str, str]:
    """The last segment of each run among these."""
    return {run_of(key): key for key in sorted(keys)}


def covered(key: str, covers: Mapping[str, str]) -> bool:
    """Whether a segment is in a snapshot that covers each of these runs as far as its segment given here."""
    return key <= covers.get(run_of(key), "")


def replay(store: Store, keys: Iterable[str]) -> Iterator[Entry]:
    """The entries of these segments, in order.

    Errors: DiagnosticError for one that is missing or cannot be read.
    """
    before: dict[str, int] = {}
    for key in sorted(keys):
        number = int(key.rpartition("/")[2])
        if number != before.get(run_of(key), number - 1) + 1:
            raise _damaged(f"the segment before {key} is missing")
        before[run_of(key)] = number
        stored = store.get(key)
        if stored is None:
            raise _damaged(f"the segment {key} is missing")
        try:
            yield from _unpack(stored.data)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged(f"the segment {key} cannot be read ({error})") from error


def _pack(lines: Iterable[str]) -> bytes:
    found = list(lines)
    body = "\n".join(found).encode()
    head = {"entries": len(found), "checksum": hashlib.sha256(body).hexdigest()}
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + body


def _unpack(data: bytes) -> list[Entry]:
    head, _, body = data.partition(b"\n")
    if json.loads(head)["checksum"] != hashlib.sha256(body).hexdigest():
        raise ValueError("its checksum does not fit its content")
    return [from_json(json.loads(line)) for line in body.decode().split("\n")]


def _damaged(why: str) -> DiagnosticError:
    return fail(
        "journal-damaged",
        "Journal is damaged",
        f"The journal of an earlier run cannot be used: {why}.",
        "Put a copy of the state's file back.",
    )


def fold(state: State, entries: Iterable[Entry]) -> tuple[State, dict[str, Intent]]:
    """The state after these entries, and the intents of which nothing more is known. Pure.

    An object whose create returned an id is in the state, tainted until its action is done.
    """
    resources = dict(state.resources)
    pending = {address: Intent(**record) for address, record in state.pending.items()}
    for entry in entries:
        match entry:
            case Intent():
                pending[entry.address] = entry
            case Created():
                intent = pending.get(entry.address)
                if intent is not None:
                    made = ResourceState(
                        address=entry.address,
                        type=intent.type,
                        provider="",
                        id=entry.id,
                        fields=intent.fields,
                        desired=intent.fields,
                        dependencies=list(intent.dependencies),
                        tainted=True,
                        component=entry.address.partition("/")[0],
                    )
                    _put(resources, made)
            case Done():
                pending.pop(entry.address, None)
                _put(resources, entry.entry)
            case SetAside():
                replaced = resources.pop(entry.address, None)
                if replaced is not None:
                    resources[entry.to] = replace(replaced, address=entry.to)
            case Deleted():
                pending.pop(entry.address, None)
                resources.pop(entry.address, None)
            case Failed():
                pass
    return state.with_resources(resources), pending


def _put(resources: dict[str, ResourceState], entry: ResourceState) -> None:
    """Hold a resource at its address. An object has one: it is set aside no more."""
    for spare in taken_back(resources, entry):
        del resources[spare]
    resources[entry.address] = entry
