"""What tests start as processes of their own: `python -m` is not used, the file is run with the path of the store."""

from __future__ import annotations

import sys
from pathlib import Path

from mlinfra.state.backend import StateBackend
from mlinfra.state.entries import Intent
from mlinfra.state.lease import Lease, LockHeld
from mlinfra.state.sqlite import SQLiteStore
from mlinfra.state.store import PreconditionFailed


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def swap(path: Path, times: int) -> None:
    """Add one to a number, that many times, by compare-and-swap."""
    store = SQLiteStore(path)
    for _ in range(times):
        while True:
            stored = store.get("number")
            try:
                if stored is None:
                    store.put("number", b"1", if_absent=True)
                else:
                    store.put("number", str(int(stored.data) + 1).encode(), if_match=stored.etag)
                break
            except PreconditionFailed:
                continue
    store.close()


def race(path: Path) -> None:
    """Try to take the lock once, and keep it until the input ends."""
    lease = Lease(SQLiteStore(path), "apply")
    try:
        lease.acquire()
        say("won")
    except LockHeld:
        say("lost")
    sys.stdin.read()
    lease.release()


def write(path: Path) -> None:
    """Append intents for ever, and say each that is durable."""
    with StateBackend.open(path, "shop", "test").begin("apply") as run:
        number = 0
        while True:
            run.append(Intent(f"r{number}", "create", "fake.thing", "", "", {}))
            say(str(number))
            number += 1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["swap", path, times]:
            swap(Path(path), int(times))
        case ["race", path]:
            race(Path(path))
        case ["write", path]:
            write(Path(path))
