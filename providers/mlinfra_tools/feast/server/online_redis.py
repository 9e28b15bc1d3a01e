"""The online store in Redis, looked at apart from Feast.

Feast keeps one hash an entity, under the entity's serialised key and the project's name, with a field ``_ts:<view>`` for each
view that has values of it (feast's docs/specs/online_store_format.md). Redis has no tables, so a key of our own tells a store
that was made from one that has lost everything. The Redis is this feature store's alone.
"""

# Feast and what comes with it are in the workload's environment only.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import uuid
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from .online import NotReadable, join_keys

MADE: Final = "mlinfra:made"
"""The key of our own: there from the first apply on."""
PASSWORD: Final = "FEAST_REDIS_PASSWORD"
"""The variable that stands in ``feature_store.yaml`` for the password, so that it is in no file of the repository."""
PORT: Final = 6379
ANSWER: Final = 5.0
"""Seconds that an answer may take."""
BATCH: Final = 500
"""Entities that are asked about at once."""


class RedisStore:
    """The Redis at ``url`` (``redis://host:port``). Safe to use from several threads; connects when it is first asked."""

    def __init__(self, url: str, password: str) -> None:
        from redis import Redis

        place = urlsplit(url)
        host, port = place.hostname or "", place.port or PORT
        self.settings: Mapping[str, str] = {
            "type": "redis",
            "connection_string": f'{host}:{port},password="${{{PASSWORD}}}"',
        }
        self._redis = Redis(host, port, password=password, socket_timeout=ANSWER, socket_connect_timeout=ANSWER)

    def mark(self) -> Hashable:
        """What our own key says.

        Errors: NotReadable.
        """
        with _told():
            found: bytes | None = self._redis.get(MADE)
            return found

    def filled(self, project: str, views: Iterable[str]) -> dict[str, bool]:
        """By the first entity of each that is found. A view that has none costs a look at all keys.

        Errors: NotReadable.
        """
        names = list(views)
        if self.mark() is None:
            raise NotReadable("online store is gone")
        found = dict.fromkeys(names, False)
        with _told():
            for _, held in self._held(project, names):
                found |= dict.fromkeys(held, True)
                if all(found.values()):
                    break
        return found

    def rows(self, project: str, views: Iterable[str]) -> dict[str, int] | None:
        """By a look at all keys. None while it does not answer: it may hold rows all the same."""
        counts = dict.fromkeys(views, 0)
        with suppress(NotReadable), _told():
            for _, held in self._held(project, list(counts)):
                for view in held:
                    counts[view] += 1
            return counts
        return None

    def sample(self, project: str, view: str) -> dict[str, Any] | None:
        """Of the first entity that is found."""
        with suppress(NotReadable), _told():
            for key, held in self._held(project, [view]):
                if held:
                    return join_keys(key.removesuffix(project.encode()))
        return None

    def set_aside_broken(self) -> None:
        """There is no file to be broken."""

    def settle(self) -> None:
        """Set our own key, unless it is there.

        Errors: NotReadable.
        """
        with _told():
            self._redis.set(MADE, uuid.uuid4().hex, nx=True)

    def remove(self) -> None:
        """All keys. One that does not answer goes with the feature store as it is."""
        with suppress(NotReadable), _told():
            self._redis.flushdb()

    def _held(self, project: str, views: list[str]) -> Iterator[tuple[bytes, list[str]]]:
        """The key of each entity, and which of the views have values of it."""
        keys: list[bytes] = []
        for key in self._redis.scan_iter(match=b"*" + project.encode(), count=BATCH):
            keys.append(key)
            if len(keys) == BATCH:
                yield from self._asked(keys, views)
                keys = []
        yield from self._asked(keys, views)

    def _asked(self, keys: list[bytes], views: list[str]) -> Iterator[tuple[bytes, list[str]]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for key in keys:
                for view in views:
                    pipe.hexists(key, f"_ts:{view}")
            # A key of somebody else may be no hash: that is an answer too.
            answers = pipe.execute(raise_on_error=False) if keys and views else []
        for number, key in enumerate(keys):
            told = answers[number * len(views) : (number + 1) * len(views)]
            yield key, [view for view, there in zip(views, told, strict=False) if there is True]


@contextmanager
def _told() -> Iterator[None]:
    """Errors of Redis in our words."""
    from redis.exceptions import AuthenticationError, RedisError

    try:
        yield
    except AuthenticationError as error:
        raise NotReadable("online store refuses the password") from error
    except (RedisError, OSError) as error:
        raise NotReadable("online store does not answer") from error
