"""What an engine says of a container, as its fields. And how to know most of them without asking for each container.

A list call tells of every container whether it runs, on which ports and addresses, and from which image: not its limits, its
restart policy or its names on networks. Those change only by events that the engine remembers (the last 256 of all), so fields
that were read at some time still hold if the engine's memory reaches back to that time and has no such event since. What
cannot be proved so is inspected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mlinfra.sdk.resource import Fields
from mlinfra_docker import labels as own
from mlinfra_docker.containers.container_body import NANO
from mlinfra_docker.containers.container_parts import capability

_MOMENT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
ALONE: Final = ("host", "none")
"""Ways to be on no network of the engine."""
CHANGING: Final = frozenset({"update", "rename"})
"""Events of a container that change what a list call does not tell."""
CONNECTING: Final = frozenset({"connect", "disconnect"})
"""Events of a network that do."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What an engine remembers: how far back, and when each container (by id) was last changed. Nanoseconds."""

    oldest: int
    changed: Mapping[str, int]

    def holds(self, container: str, since: int) -> bool:
        """Whether what was read of a container at a time still holds."""
        return self.oldest < since and self.changed.get(container, 0) < since


def memory(text: str) -> Memory:
    """What an engine remembers, from its answer to an events call: one JSON object a line."""
    oldest: int | None = None
    changed: dict[str, int] = {}
    for line in text.splitlines():
        event = json.loads(line)
        moment = int(event["timeNano"])
        oldest = moment if oldest is None else min(oldest, moment)
        actor = event["Actor"]
        if event["Type"] == "container" and event["Action"] in CHANGING:
            container = actor["ID"]
        elif event["Type"] == "network" and event["Action"] in CONNECTING:
            container = actor["Attributes"].get("container", "")
        else:
            continue
        changed[container] = max(changed.get(container, 0), moment)
    # An engine that remembers nothing may have been restarted: nothing is proved.
    return Memory(2**63 if oldest is None else oldest, changed)


def nanoseconds(moment: str) -> int:
    """Nanoseconds since 1970 of an RFC 3339 time with up to nine decimals."""
    match = _MOMENT.fullmatch(moment)
    if match is None:
        raise ValueError(f"{moment!r} is no time of an engine")
    whole, decimals, offset = match.groups()
    base = datetime.fromisoformat(f"{whole}{'+00:00' if offset == 'Z' else offset}")
    return int(base.timestamp()) * NANO + int((decimals or "").ljust(9, "0"))


def from_inspect(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Fields:
    """All fields of a container, from an inspect call. ``asked`` are the fields that are known of it: a network that it was
    given by id is told by id."""
    config, host = found["Config"], found["HostConfig"]
    healthcheck = config.get("Healthcheck") or {}
    requests = host.get("DeviceRequests") or []
    gpus = next((r["Count"] for r in requests if ["gpu"] in (r.get("Capabilities") or [])), None)
    return {
        "name": found["Name"].removeprefix("/"),
        "image": config["Image"],
        "command": config.get("Cmd") or [],
        "entrypoint": _listed(config.get("Entrypoint")),
        "environment": dict(item.split("=", 1) for item in config.get("Env") or [] if "=" in item),
        "user": config.get("User") or None,
        "working_dir": config.get("WorkingDir") or None,
        "hostname": config.get("Hostname") or None,
        "labels": own.users(config.get("Labels")),
        "stop_signal": config.get("StopSignal"),
        "stop_timeout": config.get("StopTimeout"),
        "healthcheck": {
            "test": healthcheck["Test"],
            "interval": _seconds(healthcheck.get("Interval")),
            "timeout": _seconds(healthcheck.get("Timeout")),
            "start_period": _seconds(healthcheck.get("StartPeriod")),
            "retries": healthcheck.get("Retries") or None,
        }
        if healthcheck.get("Test")
        else None,
        "ports": {
            port: {"host_ip": b["HostIp"] or "0.0.0.0", "host_port": int(b["HostPort"]) if b["HostPort"] else None}
            for port, bindings in (host.get("PortBindings") or {}).items()
            for b in (bindings or [])[:1]
        },
        "mounts": [
            {
                "target": mount["Target"],
                "source": mount["Source"],
                "type": mount["Type"],
                "read_only": mount.get("ReadOnly", False),
            }
            for mount in host.get("Mounts") or []
            if mount.get("Source")
        ],
        "tmpfs": host.get("Tmpfs") or {},
        "read_only": host["ReadonlyRootfs"],
        "init": host.get("Init"),
        "cap_add": capability(host.get("CapAdd") or ()),
        "cap_drop": capability(host.get("CapDrop") or ()),
        "extra_hosts": dict(item.split(":", 1) for item in host.get("ExtraHosts") or ()),
        "shm_size": host.get("ShmSize") or None,
        "gpus": "all" if gpus == -1 else gpus,
        "network_mode": host["NetworkMode"] if host["NetworkMode"] in ALONE else None,
        "networks": sorted(_endpoints(found, asked), key=lambda item: str(item["name"])),
        "memory": host["Memory"] or None,
        "memory_swap": host["MemorySwap"] or None,
        "cpus": _cpus(host),
        "cpu_shares": host["CpuShares"] or None,
        "cpuset_cpus": host["CpusetCpus"] or None,
        "pids_limit": host.get("PidsLimit") if (host.get("PidsLimit") or 0) > 0 else None,
        "restart_policy": {
            "name": host["RestartPolicy"]["Name"] or "no",
            "maximum_retry_count": host["RestartPolicy"].get("MaximumRetryCount", 0),
        },
        "running": running(found["State"]["Status"]),
        "id": found["Id"],
        "image_id": found["Image"],
        **_reached(
            {
                port: (bindings[0]["HostIp"], int(bindings[0]["HostPort"]))
                for port, bindings in (found["NetworkSettings"]["Ports"] or {}).items()
                if bindings
            },
            found["NetworkSettings"]["Networks"],
        ),
    }


def from_row(row: Mapping[str, Any]) -> Fields:
    """What a row of a list call tells and may have changed by itself."""
    ports: dict[str, tuple[str, int]] = {}
    for port in row["Ports"] or []:
        if port.get("PublicPort"):
            ports.setdefault(f"{port['PrivatePort']}/{port['Type']}", (port.get("IP") or "", port["PublicPort"]))
    networks = (row.get("NetworkSettings") or {}).get("Networks") or {}
    return {"running": running(row["State"]), **_reached(ports, networks)}


def running(state: str) -> bool:
    """Whether a state of the engine counts as running. A container that waits to be started again does not."""
    return state == "running"


def _reached(ports: Mapping[str, tuple[str, int]], networks: Mapping[str, Any]) -> Fields:
    urls = {}
    for port, (address, number) in ports.items():
        if port.endswith("/tcp"):
            shown = "127.0.0.1" if address in ("", "0.0.0.0", "::") else address
            urls[port] = f"http://[{shown}]:{number}" if ":" in shown else f"http://{shown}:{number}"
    return {
        "bound": {port: number for port, (_, number) in sorted(ports.items())},
        "urls": dict(sorted(urls.items())),
        "ip_addresses": {name: e["IPAddress"] for name, e in sorted(networks.items()) if e.get("IPAddress")},
    }


def _endpoints(found: Mapping[str, Any], asked: Mapping[str, Any]) -> Iterable[Fields]:
    if found["HostConfig"]["NetworkMode"] in ALONE:
        return
    given = {item["name"] for item in asked.get("networks") or () if isinstance(item, Mapping)}
    own = found["Id"][:12]
    for name, endpoint in found["NetworkSettings"]["Networks"].items():
        address = (endpoint.get("IPAMConfig") or {}).get("IPv4Address") or None
        # The engine itself adds the container's short id; a short alias may be how that begins.
        aliases = {alias for alias in endpoint.get("Aliases") or () if alias != own}
        shown = endpoint.get("NetworkID") if endpoint.get("NetworkID") in given else name
        yield {"name": shown, "aliases": sorted(aliases), "ipv4_address": address}


def _cpus(host: Mapping[str, Any]) -> float | None:
    if host["NanoCpus"]:
        return float(host["NanoCpus"] / NANO)
    if host.get("CpuQuota", 0) > 0:
        return float(host["CpuQuota"] / (host.get("CpuPeriod") or 100_000))
    return None


def _seconds(nano: int | None) -> float | None:
    return nano / NANO if nano else None


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
