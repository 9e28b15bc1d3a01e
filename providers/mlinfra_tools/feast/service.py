"""The feature server as a workload: one script in Feast's environment over a volume that is a Feast repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import File, Limits, Mount, Port, Probe, Service, VolumeHandle
from mlinfra_tools.feast.bundle import server_script
from mlinfra_tools.feast.redis import Redis
from mlinfra_tools.versions import software

SCRIPT: Final = "feature_server.py"
START_SECONDS: Final = 180.0
"""Importing Feast takes eight seconds of a free core, and many times that on a busy machine."""
UNLIMITED: Final = Limits()
ENVIRONMENT: Final = {
    "FEAST_USAGE": "False",  # no telemetry
    "NO_COLOR": "1",
    # Rows are few in a request; threads of the numeric libraries would only cost memory.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # macOS forbids a fork after some libraries were loaded; the clerk's fork uses none of them.
    "OBJC_DISABLE_INITIALIZE_FORK_SAFETY": "YES",
}


def server_service(
    store: VolumeHandle,
    sources: Sequence[Mount] = (),
    *,
    port: int | None = None,
    exposed: bool = False,
    limits: Limits = UNLIMITED,
    online: Redis | None = None,
) -> Service:
    """The service over the volume ``store``, which sees the volumes of its ``sources``. ``port`` fixes its number;
    ``exposed`` lets other machines reach it. ``online`` is its online store, without which it is a file in ``store``."""
    redis = () if online is None else ("--redis", online.url, "--redis-password", slot("secret:redis"))
    return Service(
        name="server",
        software=software("feast"),
        command=(
            slot("python"),
            slot(f"path:{SCRIPT}"),
            "--host",
            slot("host"),
            "--port",
            slot("port:http"),
            "--store",
            slot("path:store"),
            *(("--exposed",) if exposed else ()),
            *redis,
        ),
        ports={"http": Port(inside=6566, number=port, exposed=exposed)},
        probe=Probe("http", "/health", timeout=START_SECONDS),
        env=ENVIRONMENT,
        secrets={} if online is None else {"redis": online.password},
        files=(File(SCRIPT, server_script()),),
        mounts=(Mount("store", store), *sources),
        limits=limits,
    )
