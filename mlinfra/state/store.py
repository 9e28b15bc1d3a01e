"""The store: four verbs on bytes. State, journal, lock and history stand on it and on nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stored:
    """Bytes that a store holds, and the tag that changes with every put."""

    data: bytes
    etag: str


class PreconditionFailed(Exception):
    """Somebody else was there first: the key exists, or no longer has the tag that was expected."""


class Store(Protocol):
    """Keys are texts with slashes. Every verb is atomic and durable when it returns.

    Errors: DiagnosticError when the store itself fails (full, unwritable, damaged).
    """

    def get(self, key: str) -> Stored | None:
        """What is held under a key."""

    def put(self, key: str, data: bytes, *, if_absent: bool = False, if_match: str | None = None) -> str:
        """Hold ``data``; returns its tag.

        Errors: PreconditionFailed if the key exists (``if_absent``) or has another tag (``if_match``).
        """

    def list(self, prefix: str) -> list[str]:
        """The keys that begin with ``prefix``, sorted."""

    def delete(self, key: str | Sequence[str], *, if_match: str | None = None) -> None:
        """Drop a key, or several in as few calls as the store can (not atomic then); one that is not held is no error.

        Errors: PreconditionFailed if it has another tag (one key only).
        """

    def set_aside(self) -> None:
        """Keep a damaged store under another name, for people to look at; the next put makes a new one."""

    def close(self) -> None:
        """End the use of the store."""
