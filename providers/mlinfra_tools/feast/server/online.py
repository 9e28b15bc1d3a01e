"""The online store, looked at apart from Feast: whether it is there, what it holds of each view, one entity of a view.

Here: what every one offers, and SQLite's. Never writes rows: that is Feast's. Feast's own plan compares definitions with its
registry and does not look at the online store, so rows that are gone would go unnoticed by it.
"""

# Feast and what comes with it are in the workload's environment only.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import sqlite3
from collections.abc import Hashable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Protocol


class NotReadable(Exception):
    """Nothing can be told of the online store; the text says why in a few words."""


class OnlineStore(Protocol):
    """Where the latest values are. Views are those of one project."""

    settings: Mapping[str, str]
    """What ``feature_store.yaml`` says of it."""

    def mark(self) -> Hashable:
        """Something that is another one once the store was made anew; None if there is none.

        Errors: NotReadable.
        """

    def filled(self, project: str, views: Iterable[str]) -> dict[str, bool]:
        """Whether each view has a row. A view is left out that the store has no place for.

        Errors: NotReadable.
        """

    def rows(self, project: str, views: Iterable[str]) -> dict[str, int] | None:
        """How many entities each view holds; None if that cannot be told now, though there may be some."""

    def sample(self, project: str, view: str) -> dict[str, Any] | None:
        """The join keys of one entity that a view holds, or None."""

    def set_aside_broken(self) -> None:
        """Put away what Feast could not open, so that it is made anew."""

    def settle(self) -> None:
        """An apply has filled it: from now on it counts as made.

        Errors: NotReadable.
        """

    def remove(self) -> None:
        """Remove what Feast left."""


class SqliteStore:
    """A file beside the repository's other ones."""

    settings: Mapping[str, str] = {"type": "sqlite", "path": "data/online.db"}

    def __init__(self, path: Path) -> None:
        self.path = path

    def mark(self) -> Hashable:
        """The file itself, whatever its name."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def filled(self, project: str, views: Iterable[str]) -> dict[str, bool]:
        """By its tables.

        Errors: NotReadable if the file is gone, no database, or busy.
        """
        if not self.path.exists():
            raise NotReadable("online store is gone")
        try:
            with closing(self._opened()) as connection:
                tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
                there = {view: _table(project, view) for view in views if f"{project}_{view}" in tables}
                return {
                    view: connection.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone() is not None
                    for view, name in there.items()
                }
        except sqlite3.Error as error:
            raise NotReadable("online store cannot be read") from error

    def rows(self, project: str, views: Iterable[str]) -> dict[str, int]:
        """0 for a table that is not there."""
        counts = dict.fromkeys(views, 0)
        for view in counts:
            with suppress(sqlite3.Error), closing(self._opened()) as connection:
                query = f"SELECT count(DISTINCT entity_key) FROM {_table(project, view)}"
                counts[view] = connection.execute(query).fetchone()[0]
        return counts

    def sample(self, project: str, view: str) -> dict[str, Any] | None:
        """Of the first row."""
        with suppress(sqlite3.Error), closing(self._opened()) as connection:
            row = connection.execute(f"SELECT entity_key FROM {_table(project, view)} LIMIT 1").fetchone()
            return None if row is None else join_keys(row[0])
        return None

    def set_aside_broken(self) -> None:
        """Rename a file that is no database."""
        if not self.path.exists():
            return
        try:
            with closing(sqlite3.connect(self.path)) as connection:
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            return
        except sqlite3.DatabaseError:
            self.path.replace(self.path.with_name(f"{self.path.name}.broken"))

    def settle(self) -> None:
        """The file says enough."""

    def remove(self) -> None:
        """The file."""
        self.path.unlink(missing_ok=True)

    def _opened(self) -> sqlite3.Connection:
        # A plain read-only open: "immutable" would not see what another connection is writing.
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)


def join_keys(serialised: bytes) -> dict[str, Any]:
    """The join keys of an entity by the key that Feast keeps it under."""
    from feast.infra.key_encoding_utils import deserialize_entity_key
    from feast.type_map import feast_value_type_to_python_type

    key = deserialize_entity_key(serialised, entity_key_serialization_version=3)
    values = [feast_value_type_to_python_type(value) for value in key.entity_values]
    return dict(zip(key.join_keys, values, strict=True))


def _table(project: str, view: str) -> str:
    return '"' + f"{project}_{view}".replace('"', '""') + '"'
