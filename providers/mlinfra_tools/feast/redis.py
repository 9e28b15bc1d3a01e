"""The Redis of a feature store's own, for runtimes that run images: rows of requests come from it, and it keeps them on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import Mount, Port, Probe, Service, Volume
from mlinfra_tools.versions import REDIS

NAME: Final = "online"
FOLDER: Final = "/data"
"""Where the image declares a volume: one of ours there, so that the engine makes none without a name, which would stay."""
START_SECONDS: Final = 300.0
"""A start reads all rows from the disk."""
# The password is in no command line: Redis reads its settings from the standard input. It takes what it writes from its
# working folder, which the image's entry point gives to its user only if it is the image's own.
START: Final = """cd "$1"
chown redis: .
exec docker-entrypoint.sh redis-server - <<END
requirepass $(cat "$2")
protected-mode no
appendonly yes
save ""
END
"""
# While it reads its rows it answers that it does, which is an answer too.
ASK: Final = 'REDISCLI_AUTH="$(cat "$REDIS_PASSWORD_FILE")" redis-cli ping | grep -qx PONG'


@dataclass(frozen=True, slots=True)
class Redis:
    """A Redis: where it answers, and its password (a secret)."""

    url: str
    password: str


def redis(lowering: Lowering) -> Redis:
    """A Redis that only this feature store's server reaches, with a password that nobody chose."""
    password = lowering.password("password")
    # Not marked as data: what a delete would lose is told by the repository, which can say what of it can be made again.
    volume = lowering.volume(Volume(NAME))
    service = lowering.service(
        Service(
            name=NAME,
            software=REDIS,
            command=("sh", "-ec", START, NAME, slot(f"path:{NAME}"), slot("secret:password")),
            ports={"redis": Port(6379, private=True, scheme="redis")},
            probe=Probe("redis", "", command=("sh", "-c", ASK), timeout=START_SECONDS),
            env={"REDIS_PASSWORD_FILE": slot("secret:password")},
            secrets={"password": password},
            mounts=(Mount(NAME, volume, at=FOLDER),),
        )
    )
    return Redis(service.urls["redis"], password)
