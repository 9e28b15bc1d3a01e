"""Every field of every resource type: another value for it, what a change of it does, and how somebody changes it behind our
back, where the engine lets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.providers.docker.lab import Lab

Behind = Callable[[Lab], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """``base`` are fields besides those that every resource of the type has; the change gives ``field`` the value ``to``.
    ``behind`` changes it on the live object called ``x``. ``shown`` is the path that a plan names, if it is not the field."""

    type: str
    field: str
    to: Any
    does: Literal["update", "replace"] = "replace"
    behind: Behind | None = None
    base: Mapping[str, Any] | None = None
    shown: str = ""
    planned_only: bool = False
    """The change is planned and not applied: it needs a kernel that the machine may not have."""

    def __str__(self) -> str:
        return f"{self.type}-{self.field}"


def _post(path: str, **body: Any) -> Behind:
    """A call of the engine about the container ``x``."""

    def call(lab: Lab) -> None:
        api = lab.api
        url = f"{api.base_url}/v{api.api_version}/containers/{lab.id('x')}/{path}"
        answer = api.post(url, json=body, timeout=60)
        assert answer.status_code < 300, answer.text

    return call


def _disconnect(lab: Lab) -> None:
    lab.api.disconnect_container_from_network(lab.id("x"), lab.called("n1"))


def _rebuilt(lab: Lab) -> None:
    """Somebody gives the name to another image."""
    lab.api.tag("busybox", lab.called("x"), "latest", force=True)


CONTAINER = "docker.container"
CASES = (
    Case("docker.network", "name", "{lab}-other"),
    Case("docker.network", "driver", "macvlan", base={"internal": True}, planned_only=True),
    Case("docker.network", "internal", True),
    Case("docker.network", "attachable", True),
    Case("docker.network", "enable_ipv6", True, base={"ipam": [{"subnet": "fd00:7a11::/64"}]}),
    Case("docker.network", "ipam", [{"subnet": "10.213.77.0/24"}], base={"ipam": [{"subnet": "10.213.78.0/24"}]}),
    Case("docker.network", "options", {"com.docker.network.bridge.enable_icc": "false"}),
    Case("docker.network", "labels", {"team": "risk"}),
    Case("docker.volume", "name", "{lab}-other"),
    Case("docker.volume", "driver_opts", {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}),
    Case("docker.volume", "labels", {"team": "risk"}),
    Case("docker.volume", "data", False, "update"),
    Case("docker.image", "name", "{lab}-other:latest"),
    Case("docker.image", "build", {"context": "img", "args": {"A": "2"}}, "update", shown="build.args"),
    Case("docker.image", "current", None, "update", _rebuilt, shown="content"),
    Case("docker.image", "keep_locally", False, "update"),
    Case(CONTAINER, "name", "{lab}-other", "update", lambda lab: lab.api.rename(lab.id("x"), lab.called("third"))),
    Case(CONTAINER, "image", "debian:bookworm-slim"),
    Case(CONTAINER, "command", ["sleep", "700"]),
    Case(CONTAINER, "entrypoint", ["/bin/busybox"]),
    Case(CONTAINER, "environment", {"A": "2", "B": "x=y"}, base={"environment": {"A": "1"}}, shown="environment"),
    Case(CONTAINER, "user", "nobody"),
    Case(CONTAINER, "working_dir", "/tmp"),
    Case(CONTAINER, "hostname", "somewhere"),
    Case(CONTAINER, "labels", {"team": "risk"}),
    Case(CONTAINER, "ports", {"80": None, "53/udp": {"host_ip": "127.0.0.2"}}),
    Case(CONTAINER, "mounts", [{"source": "${resource.v.id}", "target": "/data", "read_only": True}]),
    Case(CONTAINER, "tmpfs", {"/scratch": "size=1m"}),
    Case(CONTAINER, "files", {"/etc/app/a.conf": {"content": "two", "mode": "0640"}}, base={"files": {"/etc/b": "one"}}),
    Case(
        CONTAINER, "live_files", {"/etc/a": {"content": "two", "signal": "SIGUSR1"}}, "update",
        base={"live_files": {"/etc/a": "one"}, "command": ["sh", "-c", "trap : USR1; while :; do sleep 0.1; done"]},
    ),
    Case(CONTAINER, "secrets", {"token": "hunter3"}, base={"secrets": {"token": "hunter2"}, "user": "nobody"}),
    Case(
        CONTAINER, "networks", [{"name": "${resource.n1.name}", "aliases": ["b", "a"]}, "${resource.n2.id}"], "update", _disconnect,
        base={"networks": ["${resource.n1.name}"]},
    ),
    Case(CONTAINER, "network_mode", "none"),
    Case(CONTAINER, "memory", "64Mi", "update", _post("update", Memory=32 << 20, MemorySwap=64 << 20)),
    Case(
        CONTAINER, "memory_swap", "100Mi", "update", _post("update", MemorySwap=80 << 20), base={"memory": "64Mi"},
    ),
    Case(CONTAINER, "cpus", 0.5, "update", _post("update", NanoCpus=10**9)),
    Case(CONTAINER, "cpu_shares", 512, "update", _post("update", CpuShares=256)),
    Case(CONTAINER, "cpuset_cpus", "0", "update", _post("update", CpusetCpus="0-1")),
    Case(CONTAINER, "pids_limit", 100, "update", _post("update", PidsLimit=50)),
    Case(CONTAINER, "shm_size", "32Mi"),
    Case(CONTAINER, "gpus", 1, base={"running": False}),
    Case(
        CONTAINER, "restart_policy", {"name": "on-failure", "maximum_retry_count": 3}, "update",
        _post("update", RestartPolicy={"Name": "always"}), base={"restart_policy": "unless-stopped"},
    ),
    Case(CONTAINER, "healthcheck", {"test": ["CMD", "true"], "interval": "500ms", "retries": 2, "timeout": "5s"}),
    Case(CONTAINER, "read_only", True, base={"files": {"/opt/a": "one"}, "secrets": {"token": "hunter2"}}),
    Case(CONTAINER, "init", False),
    Case(CONTAINER, "cap_add", ["NET_ADMIN", "cap_sys_time"]),
    Case(CONTAINER, "cap_drop", ["ALL"]),
    Case(CONTAINER, "extra_hosts", {"db": "10.0.0.9"}),
    Case(CONTAINER, "stop_signal", "SIGINT"),
    Case(CONTAINER, "stop_timeout", 2),
    Case(CONTAINER, "running", False, "update", lambda lab: lab.api.start(lab.id("x"))),
)  # fmt: skip

UNTESTED = {
    ("docker.volume", "driver"): "an engine has one driver of volumes unless plugins are installed",
    ("docker.image", "content"): "follows from build",
}
