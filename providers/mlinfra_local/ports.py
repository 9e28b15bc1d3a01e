"""Port numbers: which are free, who holds those that are not, and who listens on ours."""

from __future__ import annotations

import contextlib
import hashlib
import socket
from collections.abc import Collection
from pathlib import PurePath

import psutil

from mlinfra.sdk.errors import ProviderError
from mlinfra_local import alive

LOW, HIGH = 20_000, 32_000
"""Where ports are chosen: below those that systems give to outgoing connections (32768 and up on Linux), so that a kept
number is seldom taken when it is wanted again."""


def choose(seed: str, host: str, taken: Collection[int]) -> int:
    """A free port, the same for the same seed while it is free.

    Errors: ProviderError if there is none.
    """
    start = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
    for step in range(HIGH - LOW):
        number = LOW + (start + step) % (HIGH - LOW)
        if number not in taken and free(host, number):
            return number
    raise ProviderError(f"no port between {LOW} and {HIGH} is free", remedy="Stop something that listens.")


def free(host: str, number: int) -> bool:
    """Whether a server could listen there now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        # What servers set as well: without it a port stays taken for a minute after its last connection.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, number))
            trial.listen(1)
        except OSError:
            return False
    return True


def holder(number: int) -> str:
    """Who listens on a port, as ``python3 (process 4711)``; "another process" if that cannot be told."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == number:
                if connection.pid is None:
                    return "a process of another user"
                with contextlib.suppress(psutil.Error):
                    return _named(psutil.Process(connection.pid))
    return "another process"


def _named(process: psutil.Process) -> str:
    told = f"{process.name()} (process {process.pid})"
    folder = alive.marker_of(process).partition("#")[0]
    return f"{told}, which mlinfra runs as {PurePath(folder).name}" if folder else told


def listens(process: psutil.Process, number: int) -> bool | None:
    """Whether a process or one of its children listens on a port; None if that cannot be told."""
    try:
        family = [process, *process.children(recursive=True)]
        for member in family:
            for connection in member.net_connections("tcp"):
                if connection.status == psutil.CONN_LISTEN and connection.laddr.port == number:
                    return True
    except (psutil.Error, OSError):
        return None
    return False
