"""The journal is durable, in order, shared between threads, and never read wrongly."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.state.entries import Entry, Failed, from_json, to_json
from mlinfra.state.journal import PREFIX, Journal, covered, fold, later_than, marks, replay
from mlinfra.state.snapshot import State
from mlinfra.state.store import Stored

from .fakes import MemoryStore, created, deleted, done, intent

ADDRESSES = st.sampled_from(["a", "b/c.d", "ü"])
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    ADDRESSES.map(intent),
    ADDRESSES.map(created),
    ADDRESSES.map(done),
    ADDRESSES.map(deleted),
    st.builds(Failed, ADDRESSES, st.just("create"), st.text()),
)


def everything(store: MemoryStore) -> list[Entry]:
    return list(replay(store, store.list(PREFIX)))


@given(ENTRIES)
def test_an_entry_survives_json(entry: Entry) -> None:
    assert from_json(to_json(entry)) == entry


@given(st.lists(ENTRIES, max_size=20))
def test_what_is_appended_is_replayed_in_order(entries: list[Entry]) -> None:
    store = MemoryStore()
    journal = Journal(store, "0000000001-x")
    for entry in entries:
        journal.append(entry)
    assert everything(store) == entries


def test_what_a_cut_off_create_left_keeps_what_it_stands_on() -> None:
    begun = replace(intent("a"), dependencies=["b"])
    state, _ = fold(State.new("shop", "test"), [begun, created("a")])
    assert state.resources["a"].dependencies == ["b"]


@given(st.lists(ENTRIES, max_size=20), st.integers(0, 20))
def test_a_fold_may_be_cut_anywhere(entries: list[Entry], cut: int) -> None:
    state = State.new("shop", "test")
    whole, pending = fold(state, entries)
    half, unsure = fold(state, entries[:cut])
    carried = State(
        half.blueprint, half.environment, half.lineage, 0, half.salt, half.resources,
        {address: {k: v for k, v in to_json(item).items() if k != "sort"} for address, item in unsure.items()},
    )  # fmt: skip
    rest, left = fold(carried, entries[cut:])
    assert rest.resources == whole.resources
    assert left == pending


def test_what_a_fold_knows() -> None:
    state = State.new("shop", "test")
    assert fold(state, [intent("a")]) == (state, {"a": intent("a")})
    made, pending = fold(state, [intent("a"), created("a")])
    assert made.resources["a"].tainted
    assert made.resources["a"].id == "id-a"
    assert set(pending) == {"a"}
    finished, pending = fold(state, [intent("a"), created("a"), done("a")])
    assert not finished.resources["a"].tainted
    assert not pending
    gone, pending = fold(finished, [intent("a", "delete"), deleted("a")])
    assert not gone.resources
    assert not pending
    _, pending = fold(state, [intent("a"), Failed("a", "create", "no answer")])
    assert set(pending) == {"a"}, "a create that failed may have happened: its reply can be what was lost"


def test_entries_that_come_while_a_write_is_under_way_share_the_next() -> None:
    store = MemoryStore()
    journal = Journal(store, "0000000001-x")
    writing, go_on = threading.Event(), threading.Event()

    def hold(verb: str, key: str) -> None:
        if key.endswith("/00000001"):
            writing.set()
            assert go_on.wait(30)

    store.before = hold
    threads = [threading.Thread(target=journal.append, args=(intent(str(n)),)) for n in range(20)]
    threads[0].start()
    assert writing.wait(30)
    for thread in threads[1:]:
        thread.start()
    while len(journal._waiting) < 19:  # all of them have to be in before the first write ends
        threading.Event().wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(store.list(PREFIX)) == 2
    assert {entry.address for entry in everything(store)} == {str(n) for n in range(20)}


def test_an_append_returns_only_when_it_is_durable() -> None:
    store = MemoryStore()
    journal = Journal(store, "0000000001-x")
    missing = []

    def write(thread: int) -> None:
        for number in range(25):
            address = f"{thread}-{number}"
            journal.append(intent(address))
            if address.encode() not in b"".join(item.data for item in list(store.held.values())):
                missing.append(address)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not missing
    assert len(everything(store)) == 200


def test_after_a_failed_write_every_append_fails() -> None:
    store = MemoryStore()
    journal = Journal(store, "0000000001-x")
    journal.append(intent("a"))

    def full(verb: str, key: str) -> None:
        raise fail("disk-full", "Disk is full")

    store.before = full
    with pytest.raises(DiagnosticError):
        journal.append(intent("b"))
    store.before = lambda verb, key: None
    with pytest.raises(DiagnosticError):
        journal.append(intent("c"))
    assert everything(store) == [intent("a")]


def written(count: int) -> MemoryStore:
    store = MemoryStore()
    journal = Journal(store, "0000000001-x")
    for number in range(count):
        journal.append(done(str(number)))
    return store


def test_every_truncation_of_a_segment_is_damage() -> None:
    store = written(1)
    (key,) = store.list(PREFIX)
    data = store.held[key].data
    for length in range(len(data)):
        store.held[key] = Stored(data[:length], "x")
        with pytest.raises(DiagnosticError) as caught:
            everything(store)
        assert caught.value.diagnostics[0].code == "journal-damaged"


def test_a_missing_segment_is_damage() -> None:
    store = written(3)
    del store.held[store.list(PREFIX)[1]]
    with pytest.raises(DiagnosticError, match="missing"):
        everything(store)


@given(st.lists(st.integers(1, 10**9), max_size=5))
def test_a_new_run_sorts_after_the_others_whatever_the_clock_says(numbers: list[int]) -> None:
    keys = [f"{PREFIX}{number:010d}-20990101T000000-ff/00000001" for number in numbers]
    name = later_than(keys, "19700101T000000-00")
    assert all(f"{PREFIX}{name}/00000001" > key for key in keys)


def test_a_mark_covers_its_own_run_only() -> None:
    covers = marks([f"{PREFIX}0000000002-b/00000003"])
    assert covered(f"{PREFIX}0000000002-b/00000003", covers)
    assert not covered(f"{PREFIX}0000000002-b/00000004", covers)
    assert not covered(f"{PREFIX}0000000001-a/00000001", covers)
