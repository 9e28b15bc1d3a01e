"""A gateway with two servers behind it, as raw resources: what `docker.server` and `docker.route` need around them."""

from __future__ import annotations

import io
import tarfile
import time
from collections import Counter
from typing import Any

import httpx

from mlinfra_docker.gateway.control import placed
from mlinfra_docker.gateway.haproxy import CONFIG
from mlinfra_docker.gateway.route import waiting
from tests.providers.docker.lab import Lab

PORT = 8080
START = waiting(PORT)
"""What a gateway works by that was told nothing yet."""
PATIENCE = 60.0


def network(lab: Lab) -> dict[str, Any]:
    return {"type": "docker.network", "name": lab.called("net")}


def server(lab: Lab, name: str, **fields: Any) -> dict[str, Any]:
    """A server that answers with its name, whatever it is asked."""
    return {
        **lab.container(name),
        "type": "docker.server",
        "command": ["httpd", "-f", "-p", "8000", "-h", "/www"],
        "files": {"/www/index.html": name, "/www/health": "well"},
        "networks": [{"name": "${resource.net.name}"}],
        "memory": "64Mi",
        **fields,
    }


def gateway(lab: Lab, name: str = "gateway") -> dict[str, Any]:
    return {
        "type": "docker.container",
        "name": lab.called(name),
        "image": "haproxy:2.6",
        "command": ["haproxy", "-W", "-db", "-f", CONFIG],
        "files": placed(START),
        "networks": [{"name": "${resource.net.name}"}],
        "ports": {f"{PORT}": None},
        "cap_drop": ["ALL"],
        "stop_timeout": 1,
    }


def route(lab: Lab, **fields: Any) -> dict[str, Any]:
    return {
        "type": "docker.route",
        "name": lab.called("gateway"),
        "gateway": "${resource.gateway.id}",
        "port": PORT,
        "targets": [{"name": "a", "port": 8000, "weight": 50}, {"name": "b", "port": 8000, "weight": 50}],
        "servers": {"a": ["${resource.a.id}"], "b": ["${resource.b.id}"]},
        "health": {"every": 1},
        # Nobody is to wait long for a request that a test left unanswered.
        "timeout": 5,
        "hold": 5,
        **fields,
    }


def shop(lab: Lab, **fields: Any) -> dict[str, dict[str, Any]]:
    """All of it; ``fields`` are the route's."""
    return {
        "net": network(lab),
        "a": server(lab, "a"),
        "b": server(lab, "b"),
        "gateway": gateway(lab),
        "route": route(lab, **fields),
    }


def text(lab: Lab) -> str:
    """The gateway's file."""
    chunks, _ = lab.api.get_archive(lab.id("gateway"), CONFIG)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        member = tar.extractfile("haproxy.cfg")
        assert member is not None
        return member.read().decode()


def edit(lab: Lab, made: str, *, reload: bool = False) -> None:
    """Give the gateway another file behind our back."""
    stream, data = io.BytesIO(), made.encode()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        item = tarfile.TarInfo(CONFIG.lstrip("/"))
        item.size, item.mode = len(data), 0o644
        tar.addfile(item, io.BytesIO(data))
    lab.api.put_archive(lab.id("gateway"), "/", stream.getvalue())
    if reload:
        lab.api.kill(lab.id("gateway"), "SIGUSR2")


def answers(lab: Lab, *, among: set[str], times: int = 8) -> None:
    """See that the gateway answers by these servers and no others, each of them at least once."""
    address = lab.inspect("gateway")["NetworkSettings"]["Ports"][f"{PORT}/tcp"][0]
    url = f"http://127.0.0.1:{address['HostPort']}/"
    until = time.monotonic() + PATIENCE
    while True:
        # A server that was just started is taken in by its first health check.
        found = Counter(httpx.get(url, timeout=30).text for _ in range(times))
        if set(found) == among:
            return
        assert set(found) < among, found
        assert time.monotonic() < until, found
