"""From a container's fields to the bodies of the Engine's API calls that make, change and connect one. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mlinfra_docker import labels as own
from mlinfra_docker.containers.container_files import folders
from mlinfra_docker.containers.container_parts import Binding, Endpoint, Healthcheck

if TYPE_CHECKING:
    from mlinfra_docker.containers.container import DockerContainer

NANO: Final = 1_000_000_000
SHARES: Final = 1024
"""What an engine gives a container that asks for nothing."""
DEFAULT_NETWORK: Final = "bridge"


def create(spec: DockerContainer, owner: Mapping[str, str]) -> dict[str, Any]:
    """The body of the call that creates the container, with the labels of its owner and of its shape."""
    body: dict[str, Any] = {
        "Image": spec.image,
        "Cmd": spec.command or None,
        "Entrypoint": spec.entrypoint or None,
        "Env": [f"{name}={value}" for name, value in sorted(spec.environment.items())],
        "User": spec.user,
        "WorkingDir": spec.working_dir,
        "Hostname": spec.hostname,
        "StopSignal": spec.stop_signal,
        "StopTimeout": spec.stop_timeout,
        "ExposedPorts": {port: {} for port in spec.ports},
        "Healthcheck": healthcheck(spec.healthcheck) if spec.healthcheck else None,
        "HostConfig": _host(spec, owner),
        "NetworkingConfig": {"EndpointsConfig": _first(spec)},
    }
    body = {key: value for key, value in body.items() if value is not None}
    shape = hashlib.sha256(json.dumps([body, spec.labels], sort_keys=True).encode()).hexdigest()[:32]
    return {**body, "Labels": {**spec.labels, **owner, own.SHAPE: shape}}


def _host(spec: DockerContainer, owner: Mapping[str, str]) -> dict[str, Any]:
    mounts = [
        {"Type": mount.type, "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
        for mount in spec.mounts
    ]
    if spec.read_only:
        # Nothing can be put into a root that cannot be written, only into volumes: each folder with files is one, without
        # a name, so that it goes with the container.
        taken = {mount.target for mount in spec.mounts}
        labels = {"Labels": dict(owner)}
        mounts += [
            {"Type": "volume", "Target": folder, "VolumeOptions": labels}
            for folder in folders(spec.placed())
            if folder not in taken
        ]
    host: dict[str, Any] = {
        **resources(spec),
        "RestartPolicy": restart(spec),
        "PortBindings": {port: [binding(found)] for port, found in spec.ports.items()},
        "Mounts": mounts,
        "Tmpfs": spec.tmpfs,
        "ReadonlyRootfs": spec.read_only,
        "Init": spec.init,
        "CapAdd": spec.cap_add,
        "CapDrop": spec.cap_drop,
        "ExtraHosts": [f"{name}:{address}" for name, address in sorted(spec.extra_hosts.items())],
        "ShmSize": spec.shm_size,
        "NetworkMode": spec.network_mode or (spec.networks[0].name if spec.networks else None),
        "DeviceRequests": _gpus(spec.gpus),
    }
    return {key: value for key, value in host.items() if value is not None}


def _gpus(gpus: int | str | None) -> list[dict[str, Any]] | None:
    if gpus is None:
        return None
    return [{"Driver": "", "Count": -1 if gpus == "all" else int(gpus), "Capabilities": [["gpu"]]}]


def _first(spec: DockerContainer) -> dict[str, Any]:
    """The network that a container is created on. Engines before 25 take one; others are connected before the start."""
    return {spec.networks[0].name: endpoint(spec.networks[0])} if spec.networks else {}


def resources(
    spec: DockerContainer, reset: Sequence[str] = (), machine: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What the container may use. To an update of an engine, zero says "as it was", so limits in ``reset`` become what the
    engine's ``machine`` has, which is no limit."""
    found: dict[str, Any] = {}
    if spec.memory is not None:
        found["Memory"] = spec.memory
        # An engine gives a container as much swap again; an update has to say so itself.
        found["MemorySwap"] = spec.memory_swap if spec.memory_swap is not None else 2 * spec.memory
    if spec.cpus is not None:
        found["NanoCpus"] = round(spec.cpus * NANO)
    if spec.cpu_shares is not None:
        found["CpuShares"] = spec.cpu_shares
    if spec.cpuset_cpus is not None:
        found["CpusetCpus"] = spec.cpuset_cpus
    if spec.pids_limit is not None:
        found["PidsLimit"] = spec.pids_limit
    if reset and machine is not None:
        whole = {
            "memory": {"Memory": machine["MemTotal"], "MemorySwap": 2 * machine["MemTotal"]},
            "cpus": {"NanoCpus": machine["NCPU"] * NANO},
            "cpu_shares": {"CpuShares": SHARES},
            "cpuset_cpus": {"CpusetCpus": f"0-{machine['NCPU'] - 1}"},
            "pids_limit": {"PidsLimit": -1},
        }
        for name in reset:
            found |= whole.get(name, {})
    return found


def restart(spec: DockerContainer) -> dict[str, Any]:
    """The restart policy in the API's words."""
    if spec.restart_policy is None:
        return {"Name": "no"}
    return {"Name": spec.restart_policy.name, "MaximumRetryCount": spec.restart_policy.maximum_retry_count}


def binding(found: Binding) -> dict[str, str]:
    """A published port in the API's words."""
    return {"HostIp": found.host_ip, "HostPort": str(found.host_port or "")}


def endpoint(found: Endpoint) -> dict[str, Any]:
    """A connection to a network in the API's words."""
    address = {"IPv4Address": found.ipv4_address} if found.ipv4_address else None
    return {"Aliases": list(found.aliases), "IPAMConfig": address}


def healthcheck(found: Healthcheck) -> dict[str, Any]:
    """A health check in the API's words; times are nanoseconds."""
    times = {
        "Interval": found.interval,
        "Timeout": found.timeout,
        "StartPeriod": found.start_period,
    }
    body: dict[str, Any] = {name: round(seconds * NANO) for name, seconds in times.items() if seconds is not None}
    if found.retries is not None:
        body["Retries"] = found.retries
    return {"Test": list(found.test), **body}
