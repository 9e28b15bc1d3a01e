"""The state survives a crash at every step, and of two writers one commits (P1, P2, P3, P5)."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.state import history
from mlinfra.state.backend import StateBackend, StateReader
from mlinfra.state.entries import Entry, intent_record
from mlinfra.state.journal import PREFIX, fold
from mlinfra.state.lease import TTL
from mlinfra.state.run import KEY, Run, StateConflict
from mlinfra.state.snapshot import State
from mlinfra.state.store import Stored

from .fakes import Clock, Crash, MemoryStore, backend, created, deleted, done, intent

ADDRESSES = st.sampled_from(["a", "b", "c"])
STEPS = st.one_of(ADDRESSES.map(intent), ADDRESSES.map(created), ADDRESSES.map(done), ADDRESSES.map(deleted))
RUNS = st.lists(st.lists(STEPS, max_size=5), min_size=1, max_size=3)


@dataclass
class Model:
    """What must be known: ``sure`` are entries whose append returned, ``flying`` the one that was under way."""

    sure: list[Entry] = field(default_factory=list)
    flying: list[Entry] = field(default_factory=list)

    def write(self, run: Run, entry: Entry) -> None:
        self.flying = [entry]
        run.append(entry)
        self.sure.append(entry)
        self.flying = []

    def fits(self, shop: StateBackend) -> bool:
        loaded = shop.load()
        empty = State.new("shop", "test")
        found = (dict(loaded.state.resources), dict(loaded.pending))
        for entries in (self.sure, self.sure + self.flying):
            state, pending = fold(empty, entries)
            if found == (state.resources, pending):
                self.sure = list(entries)
                return True
        return False


def commit(shop: StateBackend, run: Run) -> State:
    """What an apply commits: what snapshot and journal say."""
    loaded = shop.load()
    unsure = {address: intent_record(item) for address, item in loaded.pending.items()}
    return run.commit(replace(loaded.state, pending=unsure))


@settings(max_examples=300, deadline=None)
@given(RUNS, st.integers(0, 80), st.booleans())
def test_a_crash_at_any_call_loses_nothing(runs: list[list[Entry]], last: int, late: bool) -> None:
    store, clock, model = MemoryStore(), Clock(), Model()
    left = last

    def call(verb: str, key: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash

    setattr(store, "after" if late else "before", call)
    with suppress(Crash):
        for entries in runs:
            shop = backend(store, clock)
            with shop.begin("apply") as run:
                for entry in entries:
                    model.write(run, entry)
                commit(shop, run)
    store.before = store.after = lambda verb, key: None

    shop = backend(store, clock)
    assert model.fits(shop)
    clock.now += TTL
    with shop.begin("apply") as run:
        assert model.fits(shop)
        model.write(run, intent("d"))
        model.write(run, done("d"))
        before = shop.load().state.serial
        assert commit(shop, run).serial == before + 1
    assert model.fits(shop)
    assert not store.list(PREFIX)
    assert "lock" not in store.held
    serials = [version.serial for version in shop.versions()]
    assert serials == list(range(1, shop.load().state.serial + 1)), "a version is missing in the history"


def test_every_crash_of_a_commit_one_by_one() -> None:
    """The same, but sure to meet each step of a commit."""
    for late in (False, True):
        for moment in range(40):
            store, clock, model = MemoryStore(), Clock(), Model()
            with backend(store, clock).begin("apply") as run:
                model.write(run, intent("z"))
                model.write(run, done("z"))
                commit(backend(store, clock), run)
            left = moment

            def call(verb: str, key: str) -> None:
                nonlocal left
                left -= 1
                if left < 0:
                    raise Crash

            with suppress(Crash), backend(store, clock).begin("apply") as run:
                for entry in (intent("a"), created("a"), done("a")):
                    model.write(run, entry)
                setattr(store, "after" if late else "before", call)
                commit(backend(store, clock), run)
            store.before = store.after = lambda verb, key: None
            assert model.fits(backend(store, clock)), (late, moment)


def test_lineage_and_salt_outlive_a_crash_of_the_first_run() -> None:
    store, clock = MemoryStore(), Clock()
    shop = backend(store, clock)
    with suppress(Crash), shop.begin("apply") as run:
        run.append(intent("a"))
        raise Crash
    first, second = shop.load().state, shop.load().state
    assert (first.lineage, first.salt) == (second.lineage, second.salt)


def test_reading_writes_nothing() -> None:
    store = MemoryStore()
    reader: StateReader = backend(store)
    assert not reader.load().state.resources
    assert not store.calls


def test_a_clock_that_goes_back_hides_nothing() -> None:
    store, clock = MemoryStore(), Clock()
    shop = backend(store, clock)
    with shop.begin("apply") as run:
        run.append(intent("a"))
        run.append(done("a"))
        commit(shop, run)
    clock.now -= 10 * 365 * 86400
    with suppress(Crash), shop.begin("apply") as run:
        run.append(intent("b"))
        raise Crash
    assert set(shop.load().pending) == {"b"}
    clock.now += TTL
    with shop.begin("apply") as run:
        run.append(done("b"))
        assert not shop.load().pending


def test_one_that_lost_the_lock_cannot_commit_or_append() -> None:
    store, clock = MemoryStore(), Clock()
    shop = backend(store, clock)
    with shop.begin("apply") as first:
        first.append(intent("a"))
        clock.now += TTL
        with shop.begin("destroy") as second:
            with pytest.raises(DiagnosticError) as caught:
                first.append(done("a"))
            assert caught.value.diagnostics[0].code == "lock-lost"
            assert first.lost
            with pytest.raises(StateConflict):
                first.commit(State.new("shop", "test"))
            second.append(done("b"))
            commit(shop, second)
    assert set(shop.load().state.resources) == {"b"}


def test_the_swap_fences_one_that_lost_the_lock_unawares() -> None:
    store, clock = MemoryStore(), Clock()
    shop = backend(store, clock)
    with shop.begin("apply") as first:
        first.append(done("a"))
        lock = store.held.pop("lock")  # so that the other one gets in, and the first one notices nothing
        with shop.begin("apply") as second:
            commit(shop, second)
        store.held["lock"] = lock
        with pytest.raises(StateConflict) as caught:
            first.commit(State.new("shop", "test"))
        assert caught.value.diagnostics[0].code == "state-conflict"
    assert set(shop.load().state.resources) == {"a"}, "what it did is in the journal"


def test_what_one_writes_after_another_has_committed_is_not_lost() -> None:
    store, clock = MemoryStore(), Clock()
    shop = backend(store, clock)
    with shop.begin("apply") as first:
        first.append(intent("a"))
        lock = store.held.pop("lock")
        with shop.begin("apply") as second:
            first.append(created("a"))
            commit(shop, second)
        store.held["lock"] = lock
        first.append(intent("late"))
        assert set(shop.load().pending) == {"a", "late"}


def test_a_reader_without_the_lock_never_sees_half_a_commit() -> None:
    store, clock = MemoryStore(), Clock()
    shop = backend(store, clock)
    with shop.begin("apply") as run:
        for name in "abc":
            run.append(done(name))

        def meanwhile(verb: str, key: str) -> None:
            if (verb, key) == ("list", PREFIX):  # the snapshot is read, the journal is not yet
                store.before = lambda verb, key: None
                commit(shop, run)

        store.before = meanwhile
        assert set(shop.load().state.resources) == {"a", "b", "c"}


def test_a_run_that_commits_twice() -> None:
    store = MemoryStore()
    shop = backend(store)
    with shop.begin("apply") as run:
        run.append(done("a"))
        commit(shop, run)
        run.append(done("b"))
        assert commit(shop, run).serial == 2
    assert set(shop.load().state.resources) == {"a", "b"}
    assert not store.list(PREFIX)


def test_the_history_tells_who_did_what() -> None:
    store = MemoryStore()
    shop = backend(store)
    with shop.begin("apply") as run:
        for entry in (intent("a"), done("a"), done("b"), done("c", "update"), deleted("d")):
            run.append(entry)
        commit(shop, run)
    (version,) = shop.versions()
    assert (version.serial, version.command) == (1, "apply")
    assert version.counts == {"create": 2, "update": 1, "delete": 1}
    assert version.user
    assert version.host
    assert version.since == "2027-01-15T08:00:00+00:00"
    kept = shop.version(1)
    assert kept is not None
    assert set(kept.resources) == {"a", "b", "c"}
    assert shop.version(2) is None


def test_the_history_keeps_the_latest_versions() -> None:
    store = MemoryStore()
    shop = backend(store)
    for _ in range(history.KEPT + 5):
        with shop.begin("apply") as run:
            commit(shop, run)
    assert [version.serial for version in shop.versions()] == list(range(6, history.KEPT + 6))
    assert len(store.list("summary/")) == history.KEPT


@pytest.mark.parametrize("left", ["history/", "journal/"])
def test_a_state_that_is_gone_is_not_a_new_one(left: str) -> None:
    store = MemoryStore()
    shop = backend(store)
    with shop.begin("apply") as run:
        commit(shop, run)
        run.append(intent("a"))
    store.held = {key: item for key, item in store.held.items() if key.startswith(left)}
    with pytest.raises(DiagnosticError) as caught:
        shop.load()
    assert caught.value.diagnostics[0].code == "state-damaged"


def test_a_damaged_state_stops_a_run_before_it_begins_and_gives_the_lock_back() -> None:
    store = MemoryStore()
    store.held[KEY] = Stored(b"", "1")
    with pytest.raises(DiagnosticError), backend(store).begin("apply"):
        raise AssertionError("it began")
    assert set(store.held) == {KEY}
