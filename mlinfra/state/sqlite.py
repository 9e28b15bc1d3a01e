"""The store of a folder: one SQLite file, 0600, safe between threads and processes."""

from __future__ import annotations

import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlinfra.sdk.diagnostics import DiagnosticError, fail
from mlinfra.state.store import PreconditionFailed, Stored

_BUSY_SECONDS = 30.0
_TABLE = "CREATE TABLE IF NOT EXISTS stored (key TEXT PRIMARY KEY, etag TEXT NOT NULL, data BLOB NOT NULL) WITHOUT ROWID"


class SQLiteStore:
    """The file is made by the first put; until then reading finds nothing and writes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    def get(self, key: str) -> Stored | None:
        with self._reading() as connection:
            if connection is None:
                return None
            row = connection.execute("SELECT data, etag FROM stored WHERE key = ?", (key,)).fetchone()
        return Stored(bytes(row[0]), row[1]) if row else None

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        etag = uuid.uuid4().hex
        with self._writing() as connection:
            if if_absent:
                done = connection.execute("INSERT OR IGNORE INTO stored VALUES (?, ?, ?)", (key, etag, data))
            elif if_match is not None:
                done = connection.execute(
                    "UPDATE stored SET data = ?, etag = ? WHERE key = ? AND etag = ?", (data, etag, key, if_match)
                )
            else:
                done = connection.execute("INSERT OR REPLACE INTO stored VALUES (?, ?, ?)", (key, etag, data))
            if done.rowcount == 0:
                raise PreconditionFailed(key)
        return etag

    def list(self, prefix: str) -> list[str]:
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute(
                "SELECT key FROM stored WHERE key >= ? AND key < ? ORDER BY key", (prefix, prefix + "\U0010ffff")
            ).fetchall()
        return [row[0] for row in rows]

    def delete(self, key: str, *, if_match: str | None = None) -> None:
        with self._writing() as connection:
            if if_match is None:
                connection.execute("DELETE FROM stored WHERE key = ?", (key,))
                return
            done = connection.execute("DELETE FROM stored WHERE key = ? AND etag = ?", (key, if_match))
            held = connection.execute("SELECT 1 FROM stored WHERE key = ?", (key,)).fetchone()
            if done.rowcount == 0 and held is not None:
                raise PreconditionFailed(key)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        with self._lock, self._told():
            if self._connection is None and not self._path.exists():
                yield None
                return
            yield self._connected()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._path.exists() and self._path.stat().st_size == 0 and not _being_made(self._path):
                raise fail(
                    "state-damaged",
                    "State is empty",
                    f"{self._path} is an empty file, so what it knew is lost.",
                    "Put a copy of it back. If nothing was ever applied here, delete the file.",
                )
            # SQLite gives its journal files the mode of the database.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute(_TABLE)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite and the file system refuse, as diagnostics."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._diagnostic(error) from error

    def _diagnostic(self, error: sqlite3.Error | OSError) -> DiagnosticError:
        text = str(error)
        if isinstance(error, sqlite3.DatabaseError) and ("not a database" in text or "malformed" in text):
            return fail(
                "state-damaged",
                "State is damaged",
                f"{self._path} is not a state that mlinfra wrote, or it is damaged ({text}).",
                "Put a copy of it back.",
            )
        if "locked" in text:
            return fail(
                "state-busy",
                "State is busy",
                f"{self._path} was in use by another process for {_BUSY_SECONDS:.0f} s.",
                "Try again when the other run has ended.",
            )
        if "full" in text or getattr(error, "errno", None) == 28:
            return fail(
                "disk-full",
                "Disk is full",
                f"{self._path} cannot be written: no space is left. What was recorded before is kept.",
                "Make room, then run `mlinfra apply` again.",
            )
        return fail(
            "state-unwritable",
            "State cannot be used",
            f"{self._path}: {getattr(error, 'strerror', None) or text}.",
            "Make the folder of the blueprint writable for you.",
        )


def _being_made(path: Path) -> bool:
    """Whether another process made the file just now and has not written it yet: then it has WAL companions or is seconds
    old."""
    import time

    return Path(f"{path}-wal").exists() or time.time() - path.stat().st_mtime < 5
