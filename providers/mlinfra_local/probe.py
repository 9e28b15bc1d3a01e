"""Asking a server whether it can be used: one HTTP GET, no proxy, no redirect followed."""

from __future__ import annotations

import http.client
import socket


def answer(host: str, port: int, path: str, timeout: float = 5.0) -> int | None:
    """The status of ``GET http://host:port/path``, or None if nothing answers."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close", "User-Agent": "mlinfra"})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def accepts(host: str, port: int) -> bool:
    """Whether something takes connections there."""
    try:
        socket.create_connection((reachable(host), port), timeout=2.0).close()
    except OSError:
        return False
    return True


def reachable(host: str) -> str:
    """The address to ask at for a server that listens on ``host``: "all addresses" is not one."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
