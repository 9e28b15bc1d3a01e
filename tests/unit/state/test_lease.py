"""One holder at a time; a dead one's lock is taken over at once, a silent one's when it has run out (P5)."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from mlinfra.sdk.diagnostics import fail
from mlinfra.state.holder import Holder
from mlinfra.state.lease import KEY, TTL, Lease, LockHeld

from .fakes import Clock, MemoryStore


def lease(store: MemoryStore, clock: Clock, command: str = "apply", holder: Holder | None = None) -> Lease:
    return Lease(store, command, clock=clock, sleep=clock.sleep, holder=holder)


def stranger(clock: Clock, **more: object) -> Holder:
    return replace(Holder.me("destroy", clock()), user="ann", host="elsewhere", pid=4711, **more)  # type: ignore[arg-type]


def test_who_holds_it_is_told() -> None:
    store, clock = MemoryStore(), Clock()
    store.put(KEY, stranger(clock).dump())
    clock.now += 7
    with pytest.raises(LockHeld) as caught:
        lease(store, clock).acquire()
    (told,) = caught.value.diagnostics
    assert told.code == "locked"
    for part in ("ann", "elsewhere", "4711", "mlinfra destroy", "2027-01-15T08:00:00+00:00", "7 s ago"):
        assert part in told.detail
    assert "--lock-timeout" in told.remedy


def test_it_is_waited_for_and_told_once() -> None:
    store, clock = MemoryStore(), Clock()
    first = lease(store, clock)
    first.acquire()
    clock.sleeping = lambda: first.release() if clock.now > 1_800_000_005 else None
    told: list[str] = []
    second = lease(store, clock)
    second.acquire(60, told.append)
    second.release()
    assert len(told) == 1
    assert "waiting for the lock" in told[0]
    assert 5 <= sum(clock.slept) < 10
    assert not store.held


def test_a_wait_ends() -> None:
    store, clock = MemoryStore(), Clock()
    first = lease(store, clock)
    first.acquire()
    with pytest.raises(LockHeld):
        lease(store, clock).acquire(3)
    assert sum(clock.slept) == pytest.approx(3)
    first.release()


def test_one_of_another_host_is_taken_when_it_has_run_out() -> None:
    store, clock = MemoryStore(), Clock()
    store.put(KEY, stranger(clock).dump())
    clock.now += TTL - 1
    with pytest.raises(LockHeld):
        lease(store, clock).acquire()
    clock.now += 1
    mine = lease(store, clock)
    mine.acquire()
    assert mine.held()
    mine.release()


@pytest.mark.parametrize("collected", [True, False])
def test_one_of_a_dead_process_is_taken_at_once(collected: bool) -> None:
    """Also while its parent has not collected it yet."""
    store, clock = MemoryStore(), Clock()
    code = "import sys,time\nfrom mlinfra.state.holder import Holder\n"
    code += "sys.stdout.buffer.write(Holder.me('apply', 1.8e9).dump()+b'\\n')\nsys.stdout.flush()\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        store.put(KEY, child.stdout.readline())
        with pytest.raises(LockHeld):
            lease(store, clock).acquire()
        child.kill()
        if collected:
            child.wait()
        else:
            child.stdout.read()  # its end is the end of the process
            import os

            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        mine = lease(store, clock)
        mine.acquire()
        mine.release()


def test_a_process_number_that_is_used_again_is_another_process() -> None:
    store, clock = MemoryStore(), Clock()
    me = Holder.me("apply", clock())
    store.put(KEY, replace(me, started=me.started - 1).dump())
    mine = lease(store, clock)
    mine.acquire()
    mine.release()


def test_a_process_of_another_boot_or_container_is_not_judged_by_its_number() -> None:
    store, clock = MemoryStore(), Clock()
    store.put(KEY, replace(Holder.me("apply", clock()), boot="other", pid=2**22 + 1).dump())
    with pytest.raises(LockHeld):
        lease(store, clock).acquire()


def test_a_lock_of_a_later_version_is_a_lock() -> None:
    store, clock = MemoryStore(), Clock()
    data = stranger(clock).dump().replace(b"{", b'{"new": 1, ', 1)
    store.put(KEY, data)
    with pytest.raises(LockHeld):
        lease(store, clock).acquire()


def test_losing_it_is_noticed_and_the_other_ones_is_left_alone() -> None:
    store, clock = MemoryStore(), Clock()
    first, second = lease(store, clock, "a"), lease(store, clock, "b")
    first.acquire()
    clock.now += TTL
    second.acquire()
    assert not first.held()
    assert first.lost.is_set()
    first.release()
    assert second.held()
    second.release()


def test_after_a_long_sleep_it_goes_on_if_nobody_took_it() -> None:
    store, clock = MemoryStore(), Clock()
    mine = lease(store, clock)
    mine.acquire()
    clock.now += 10 * TTL
    assert mine.held()
    with pytest.raises(LockHeld):
        lease(store, clock).acquire()
    mine.release()


def test_a_store_that_fails_for_a_moment_does_not_lose_it() -> None:
    store, clock = MemoryStore(), Clock()
    mine = lease(store, clock)
    mine.acquire()

    def busy(verb: str, key: str) -> None:
        raise fail("state-busy", "State is busy")

    store.before = busy
    clock.now += TTL / 3
    mine.renew()
    assert mine.held()
    clock.now += TTL
    assert not mine.held()
    mine.release()


def test_one_taken_and_given_back_between_two_looks_is_tried_again() -> None:
    store, clock = MemoryStore(), Clock()

    def race(verb: str, key: str) -> None:
        if verb == "put":
            store.before = lambda verb, key: store.held.pop(key, None) if verb == "get" else None  # type: ignore[func-returns-value]
            store.put(KEY, stranger(clock).dump())

    store.before = race
    mine = lease(store, clock)
    mine.acquire()
    store.before = lambda verb, key: None
    mine.release()
