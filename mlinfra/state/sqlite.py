"""The store of a folder: one SQLite file, 0600, safe between threads and processes."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mlinfra.state.sqlite_file import connect, present, set_aside, told
from mlinfra.state.store import PreconditionFailed, Stored


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

    def delete(self, key: str | Sequence[str], *, if_match: str | None = None) -> None:
        keys = [key] if isinstance(key, str) else key
        if not keys:
            return
        with self._writing() as connection:
            if if_match is None:
                connection.executemany("DELETE FROM stored WHERE key = ?", [(name,) for name in keys])
                return
            (key,) = keys
            done = connection.execute("DELETE FROM stored WHERE key = ? AND etag = ?", (key, if_match))
            held = connection.execute("SELECT 1 FROM stored WHERE key = ?", (key,)).fetchone()
            if done.rowcount == 0 and held is not None:
                raise PreconditionFailed(key)

    def set_aside(self) -> None:
        self.close()
        with self._told():
            set_aside(self._path)

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        with self._lock, self._told():
            if self._connection is None and not present(self._path):
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
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # SQLite ends it by itself where the disk is full
                    connection.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path)
        return self._connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite and the file system refuse, as diagnostics."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise told(self._path, error) from error
