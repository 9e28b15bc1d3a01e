"""The file under the SQLite store: how it is made whole at once, opened with care, and how its failures are told.

A file that is empty, cut off, foreign, or gone while its log is still there is an error, never a new state.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from contextlib import suppress
from itertools import count
from pathlib import Path

from mlinfra.sdk.diagnostics import DiagnosticError, fail

BUSY_SECONDS = 15.0
"""How long another process's write is waited for: shorter than a lease lives, so that a heartbeat can try again."""

# Not WITHOUT ROWID: there, looking for a key reads whole rows, and a state can have megabytes.
_TABLE = "CREATE TABLE stored (key TEXT PRIMARY KEY, etag TEXT NOT NULL, data BLOB NOT NULL)"
_COMPANIONS = ("-wal", "-shm")


def present(path: Path) -> bool:
    """Whether there is a file to open.

    Errors: DiagnosticError if it is gone and its write-ahead log is not: what was recorded is lost or elsewhere.
    """
    log = Path(f"{path}-wal")
    orphaned = log.exists() and log.stat().st_size > 0  # asked first: the file is always made before its log
    if path.exists():
        return True
    if orphaned:
        raise fail(
            "state-damaged",
            "State is missing",
            f"{path} is gone, but its log {log.name} is there, so there was a state.",
            "Put a copy of the file back, or make the state anew from what is there: mlinfra state rebuild.",
        )
    return False


def set_aside(path: Path) -> None:
    """Rename the file and its companions: ``state.db`` → ``state.db.damaged-1``, or the next number that is free.

    Errors: OSError.
    """
    number = next(n for n in count(1) if not list(path.parent.glob(f"{path.name}.damaged-{n}*")))
    for suffix in ("", *_COMPANIONS):
        with suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{path}.damaged-{number}{suffix}")


def connect(path: Path) -> sqlite3.Connection:
    """An open connection, made for one writer and many readers; the file is made if there is none.

    Errors: DiagnosticError, sqlite3.Error, OSError.
    """
    if not present(path):
        _make(path)
    if path.stat().st_size == 0:
        raise fail(
            "state-damaged",
            "State is empty",
            f"{path} is an empty file, so what it knew is lost.",
            "Put a copy of it back, or make it anew from what is there: mlinfra state rebuild.",
        )
    if _cut_off(path):
        raise fail(
            "state-damaged",
            "State is damaged",
            f"{path} is shorter than it says it is, so part of it is lost.",
            "Put a copy of it back, or make it anew from what is there: mlinfra state rebuild.",
        )
    _tighten(path)
    connection = _open(path)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'stored'").fetchone() is None:
            raise fail(
                "state-foreign",
                "Not a state",
                f"{path} is a database that mlinfra did not make.",
                "Move it away, or put a copy of the state back.",
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _open(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _make(path: Path) -> None:
    """Make the file beside its place and link it there: nobody ever sees half of it, and of two makers one wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # 0600
    os.close(handle)
    try:
        connection = _open(name)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(_TABLE)
        finally:
            connection.close()
        with suppress(FileExistsError):
            os.link(name, path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        for suffix in ("", *_COMPANIONS):
            Path(name + suffix).unlink(missing_ok=True)


def _cut_off(path: Path) -> bool:
    """Whether pages that the file's head counts are missing. SQLite itself notices only when it comes to read one."""
    log = Path(f"{path}-wal")
    if log.exists():
        return False  # what is missing in the file can be in its log
    with path.open("rb") as file:
        head = file.read(100)
        size = os.fstat(file.fileno()).st_size
    page, pages = int.from_bytes(head[16:18], "big"), int.from_bytes(head[28:32], "big")
    whole = len(head) == 100
    short = not whole or (head.startswith(b"SQLite format 3\0") and size < pages * (65536 if page == 1 else page))
    return short and not log.exists()  # one that came meanwhile: another process writes the file now


def _tighten(path: Path) -> None:
    """Nobody else may read it, whatever a copy or an unpacking made of its mode. SQLite gives its companions its mode."""
    for suffix in ("", *_COMPANIONS):
        part = Path(f"{path}{suffix}")
        with suppress(FileNotFoundError, PermissionError):  # gone meanwhile; or not our file, so not ours to change
            if part.stat().st_mode & 0o077:
                part.chmod(0o600)


def told(path: Path, error: sqlite3.Error | OSError) -> DiagnosticError:
    """What SQLite or the file system refused, in words."""
    number = getattr(error, "errno", None)
    code = getattr(error, "sqlite_errorcode", None)
    kind = code & 0xFF if isinstance(code, int) else None
    if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or isinstance(error, sqlite3.DataError):
        return fail(
            "state-damaged",
            "State is damaged",
            f"{path} is not a state that mlinfra wrote, or it is damaged ({error}).",
            "Put a copy of it back, or make it anew from what is there: mlinfra state rebuild.",
        )
    if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return fail(
            "state-busy",
            "State is busy",
            f"{path} was in use by another process for {BUSY_SECONDS:.0f} s.",
            "Try again when the other run has ended.",
        )
    full = kind == sqlite3.SQLITE_FULL or number in (errno.ENOSPC, errno.EDQUOT)
    if full or (kind == sqlite3.SQLITE_IOERR and _no_room(path)):
        return fail(
            "disk-full",
            "Disk is full",
            f"{path} cannot be written: no space is left. What was recorded before is kept.",
            "Make room, then run `mlinfra apply` again.",
        )
    return fail(
        "state-unwritable",
        "State cannot be used",
        f"{path}: {getattr(error, 'strerror', None) or error}.",
        "Make the folder of the blueprint writable for you.",
    )


def _no_room(path: Path) -> bool:
    """Whether the disk is full. SQLite says "disk I/O error" where it cannot make its shared memory file larger."""
    try:
        return shutil.disk_usage(path.parent).free < 64 * 1024
    except OSError:
        return False
