"""HAProxy's configuration for a route. Pure: text from data.

Weights are those of targets; each of its replicas gets its share. A target with weight 0 gets no request.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from mlinfra.sdk.workload import HealthCheck

MOST: Final = 256
"""HAProxy's largest weight."""
HEAD: Final = """\
# Made by mlinfra: do not edit.
global
    log stdout format raw local0 info
    stats socket /tmp/haproxy.sock mode 600 level admin expose-fd listeners
    hard-stop-after 10m

defaults
    mode http
    log global
    option httplog
    # Only what goes wrong is written down.
    option dontlog-normal
    timeout connect 5s
    timeout http-request 30s
    timeout http-keep-alive 60s
"""
RESOLVERS: Final = """\
# Docker's own name server: an address is looked up anew when a container was made anew.
resolvers docker
    nameserver dns 127.0.0.11:53
    resolve_retries 3
    timeout resolve 1s
    timeout retry 1s
    hold valid 1s
    hold obsolete 1s
"""


@dataclass(frozen=True, slots=True)
class Backend:
    """One target: its weight, and the host and port of each of its replicas."""

    name: str
    weight: int
    hosts: tuple[str, ...]
    port: int


def configuration(
    backends: Sequence[Backend],
    *,
    port: int,
    health: HealthCheck,
    sticky: str | None,
    timeout: float,
    hold: float,
    repeat: bool,
) -> str:
    """The text of haproxy.cfg. ``port`` is where it listens."""
    balance = "balance roundrobin"
    if sticky is not None:
        balance = f"balance hdr({sticky})\n    hash-type consistent"
    retry = "retry-on all-retryable-errors" if repeat else "retry-on conn-failure"
    lines = [
        HEAD,
        f"    timeout client {_ms(timeout)}",
        f"    timeout server {_ms(timeout)}",
        f"    timeout queue {_ms(hold)}",
        "",
        RESOLVERS,
        "frontend requests",
        f"    bind :{port}",
        "    default_backend targets",
        "",
        "backend targets",
        f"    {balance}",
        "    retries 3",
        "    option redispatch 1",
        f"    {retry}",
        "    option httpchk",
        f"    http-check send meth GET uri {health.path} ver HTTP/1.1 hdr Host localhost",
        "    http-check expect status 200-399",
        f"    timeout check {_ms(health.timeout)}",
        f"    default-server check inter {_ms(health.every)} fall {health.failures} rise 1"
        " resolvers docker resolve-prefer ipv4 init-addr libc,none",
        *_servers(backends),
        "",
    ]
    return "\n".join(lines)


def _servers(backends: Sequence[Backend]) -> Iterable[str]:
    shares = [backend.weight / max(1, len(backend.hosts)) for backend in backends]
    largest = max(shares, default=0.0)
    for backend, share in zip(backends, shares, strict=True):
        weight = 0 if share == 0 else max(1, round(share * MOST / largest))
        for number, host in enumerate(backend.hosts, start=1):
            name = backend.name if len(backend.hosts) == 1 else f"{backend.name}-{number}"
            yield f"    server {name} {host}:{backend.port} weight {weight}"


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
