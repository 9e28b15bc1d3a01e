"""The store of a folder: atomic between processes, durable, private, and honest about damage (P3, P4, P5)."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlinfra
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.state.backend import StateBackend
from mlinfra.state.sqlite import SQLiteStore
from mlinfra.state.sqlite_file import told
from mlinfra.state.store import PreconditionFailed

from .fakes import done

ROOT = Path(mlinfra.__file__).parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work" / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    opened = SQLiteStore(path)
    yield opened
    opened.close()


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    file = Path(__file__).parent / "processes.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(file), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment,
    )  # fmt: skip


def code(path: Path) -> str:
    """The code of the one diagnostic that loading ends with."""
    shop = StateBackend.open(path, "shop", "test")
    with pytest.raises(DiagnosticError) as caught:
        shop.load()
    shop.close()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.detail
    assert diagnostic.remedy
    return diagnostic.code


def test_the_verbs(store: SQLiteStore) -> None:
    assert store.get("a") is None
    tag = store.put("a/1", b"\x00\xff")
    store.put("a/2", b"")
    store.put("b", b"x")
    assert store.list("a/") == ["a/1", "a/2"]
    assert store.list("") == ["a/1", "a/2", "b"]
    stored = store.get("a/1")
    assert stored is not None
    assert (stored.data, stored.etag) == (b"\x00\xff", tag)
    with pytest.raises(PreconditionFailed):
        store.put("a/1", b"y", if_absent=True)
    with pytest.raises(PreconditionFailed):
        store.put("a/1", b"y", if_match="other")
    with pytest.raises(PreconditionFailed):
        store.put("absent", b"y", if_match=tag)
    newer = store.put("a/1", b"y", if_match=tag)
    assert newer != tag
    with pytest.raises(PreconditionFailed):
        store.delete("a/1", if_match=tag)
    store.delete("a/1", if_match=newer)
    store.delete("a/1")
    assert store.get("a/1") is None
    store.delete(["a/2", "b", "absent"])
    store.delete([])
    assert store.list("") == []


def test_reading_makes_no_file(path: Path) -> None:
    store = SQLiteStore(path)
    assert store.get("a") is None
    assert store.list("") == []
    assert not path.parent.exists()


def test_all_its_files_are_private(store: SQLiteStore, path: Path) -> None:
    before = os.umask(0)
    try:
        store.put("a", b"secret")
    finally:
        os.umask(before)
    modes = {part.name: stat.S_IMODE(part.stat().st_mode) for part in path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_a_file_that_others_may_read_is_made_private(path: Path) -> None:
    first = SQLiteStore(path)
    first.put("a", b"x")
    first.close()
    path.chmod(0o644)
    second = SQLiteStore(path)
    assert second.get("a") is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    second.close()


def test_threads_swap_one_at_a_time(store: SQLiteStore) -> None:
    store.put("n", b"0")

    def add() -> None:
        for _ in range(20):
            while True:
                stored = store.get("n")
                assert stored is not None
                try:
                    store.put("n", str(int(stored.data) + 1).encode(), if_match=stored.etag)
                    break
                except PreconditionFailed:
                    continue

    threads = [threading.Thread(target=add) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = store.get("n")
    assert stored is not None
    assert stored.data == b"100"


def test_processes_swap_one_at_a_time(store: SQLiteStore, path: Path) -> None:
    """They also race to make the file."""
    children = [start("swap", path, "25") for _ in range(4)]
    for child in children:
        child.communicate()
        assert child.returncode == 0
    stored = store.get("number")
    assert stored is not None
    assert stored.data == b"100"
    assert {part.name for part in path.parent.iterdir()} <= {"state.db", "state.db-wal", "state.db-shm"}


def test_of_processes_that_race_for_the_lock_one_wins(store: SQLiteStore, path: Path) -> None:
    children = [start("race", path) for _ in range(4)]
    words = [child.stdout.readline().strip() for child in children if child.stdout]
    for child in children:
        child.communicate()
    assert sorted(words) == [b"lost", b"lost", b"lost", b"won"]
    assert store.list("") == []


@pytest.mark.parametrize("entries", [1, 7, 40])
def test_what_a_killed_process_said_is_there(path: Path, entries: int) -> None:
    child = start("write", path)
    assert child.stdout is not None
    for _ in range(entries):
        assert child.stdout.readline()
    child.kill()
    rest = child.stdout.read().split()
    child.communicate()
    said = {f"r{number}" for number in range(entries + len(rest))}
    shop = StateBackend.open(path, "shop", "test")
    pending = set(shop.load().pending)
    assert said <= pending
    assert len(pending - said) <= 1, "at most the one that was under way is more than it said"
    with shop.begin("apply") as run:  # its lock is taken over at once
        run.append(done("r0"))
    assert "r0" in shop.load().state.resources
    shop.close()


def saved(path: Path) -> bytes:
    """The bytes of a file that holds a state of some size."""
    shop = StateBackend.open(path, "shop", "test")
    with shop.begin("apply") as run:
        state = shop.load().state.with_resources({f"r{n}": done(f"r{n}").entry for n in range(100)})
        run.commit(state)
    shop.close()
    return path.read_bytes()


def test_every_truncation_is_an_error_and_never_nothing(path: Path) -> None:
    data = saved(path)
    codes = set()
    for length in [0, 1, 15, 16, 99, 100, 101, *range(512, len(data), 1009)]:
        path.write_bytes(data[:length])
        codes.add(code(path))
        for part in path.parent.glob("state.db-*"):
            part.unlink()
    assert codes == {"state-damaged"}


def test_overwritten_pages_never_read_as_another_state(path: Path) -> None:
    data = saved(path)
    for start_at in range(0, len(data), 4096):
        path.write_bytes(data[:start_at] + b"\xa5" * 4096 + data[start_at + 4096 :])
        shop = StateBackend.open(path, "shop", "test")
        try:
            found: object = len(shop.load().state.resources)  # only a page of the history was hit
        except DiagnosticError as error:
            found = error.diagnostics[0].code
        shop.close()
        assert found in (100, "state-damaged", "state-foreign")
        for part in path.parent.glob("state.db-*"):
            part.unlink()


@pytest.mark.parametrize("text", [b"", b"hello", b"{}", b"SQLite format 3\x00" + b"\x01" * 2000])
def test_a_file_that_is_no_database_is_damage(path: Path, text: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(text)
    assert code(path) == "state-damaged"
    assert path.read_bytes() == text


def test_a_database_of_somebody_else_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE theirs (x)")
    other.commit()
    other.close()
    assert code(path) == "state-foreign"


def test_a_log_without_its_file_is_not_a_new_state(path: Path) -> None:
    path.parent.mkdir()
    Path(f"{path}-wal").write_bytes(b"x" * 100)
    assert code(path) == "state-damaged"
    with pytest.raises(DiagnosticError):
        SQLiteStore(path).put("a", b"x")


def test_a_state_of_another_blueprint_or_environment(path: Path) -> None:
    saved(path)
    for blueprint, environment in (("other", "test"), ("shop", "prod")):
        shop = StateBackend.open(path, blueprint, environment)
        with pytest.raises(DiagnosticError) as caught:
            shop.load()
        assert caught.value.diagnostics[0].code == "state-foreign"
        shop.close()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DiagnosticError) as caught:
        SQLiteStore(tmp_path / "file" / "state.db").put("a", b"x")
    assert caught.value.diagnostics[0].code == "state-unwritable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(path: Path) -> None:
    path.parent.mkdir(mode=0o500)
    with pytest.raises(DiagnosticError) as caught:
        SQLiteStore(path).put("a", b"x")
    assert caught.value.diagnostics[0].code == "state-unwritable"


def test_a_full_disk_is_told_and_keeps_what_was_there(path: Path) -> None:
    """SQLite's own limit of pages answers as a full disk does."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE t (x)")
    connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    connection.close()
    (diagnostic,) = told(path, caught.value).diagnostics
    assert diagnostic.code == "disk-full"
    assert told(path, OSError(28, "No space left on device")).diagnostics[0].code == "disk-full"


def test_a_locked_file_is_told(path: Path) -> None:
    path.parent.mkdir()
    one = sqlite3.connect(path, isolation_level=None)
    one.execute("CREATE TABLE t (x)")
    one.execute("BEGIN EXCLUSIVE")
    two = sqlite3.connect(path, timeout=0)
    with pytest.raises(sqlite3.Error) as caught:
        two.execute("SELECT * FROM t").fetchall()
    one.close()
    two.close()
    assert told(path, caught.value).diagnostics[0].code == "state-busy"


def test_a_refused_write_leaves_the_store_usable(store: SQLiteStore) -> None:
    store.put("a", b"x")
    for _ in range(3):
        with pytest.raises(PreconditionFailed):
            store.put("a", b"y", if_absent=True)
    assert store.put("b", b"z")
