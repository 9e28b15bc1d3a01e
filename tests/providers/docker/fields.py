"""Every field of every resource type: another value for it, what a change of it does, and how somebody changes it behind our
back, where the engine lets them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from mlinfra_docker.containers.container_files import Placed, archive
from mlinfra_docker.secret import VALUE
from tests.providers.docker.lab import Lab

Behind = Callable[[Lab, str], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """``base`` are fields besides those that every resource of the type has; the change gives ``field`` the value ``to``.
    ``behind`` changes it on the live object of the resource that it is told. ``shown`` is the path that a plan names, if it is not
    the field."""

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
    """A call of the engine about a container."""

    def call(lab: Lab, name: str) -> None:
        api = lab.api
        url = f"{api.base_url}/v{api.api_version}/containers/{lab.id(name)}/{path}"
        answer = api.post(url, json=body, timeout=60)
        assert answer.status_code < 300, answer.text

    return call


def _disconnect(lab: Lab, name: str) -> None:
    lab.api.disconnect_container_from_network(lab.id(name), lab.called("n1"))


def _rename(lab: Lab, name: str) -> None:
    lab.api.rename(lab.id(name), lab.called("third"))


def _start(lab: Lab, name: str) -> None:
    lab.api.start(lab.id(name))


def _rebuilt(lab: Lab, name: str) -> None:
    """Somebody gives the name to another image."""
    lab.api.tag("busybox", lab.called(name), "latest", force=True)


def _lost(lab: Lab, name: str) -> None:
    """Somebody removes a file from the volume, by way of a container that has it as well."""
    made = lab.api.exec_create(lab.id("user"), ["rm", "/data/a.txt"])
    lab.api.exec_start(made["Id"])


def _overwritten(lab: Lab, name: str) -> None:
    """Somebody gives a secret another value."""
    lab.api.put_archive(lab.id(name), "/", archive([Placed(VALUE, "theirs", 0o400)], "/", user=(0, 0)))


CONTAINER = "docker.container"
CONTENTS = "docker.contents"
SECRET = "docker.secret"
JOB = "docker.job"
TEXTS = {"files": {"Dockerfile": "FROM busybox\nENV A=1\n"}}
"""What an image is made of that is built from texts."""
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
    Case(CONTAINER, "name", "{lab}-other", "update", _rename),
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
    Case(CONTAINER, "running", False, "update", _start),
    Case("docker.generated_image", "name", "{lab}-other:latest", base=TEXTS),
    Case("docker.generated_image", "files", {"Dockerfile": "FROM busybox\nENV A=2\n"}, "update", base=TEXTS),
    Case("docker.generated_image", "content", None, "update", _rebuilt, base=TEXTS),
    Case("docker.generated_image", "keep_locally", False, "update", base=TEXTS),
    Case("docker.host_port", "name", "{lab}-other"),
    Case(CONTENTS, "name", "{lab}-other"),
    Case(CONTENTS, "image", "{lab}-python:1"),
    Case(CONTENTS, "volume", "${resource.w.id}"),
    Case(CONTENTS, "path", "/elsewhere"),
    Case(CONTENTS, "contents", "two", "update", _lost, shown="files"),
    Case(SECRET, "name", "{lab}-other", base={"value": "hunter2"}),
    Case(SECRET, "image", "debian:bookworm-slim", base={"value": "hunter2"}),
    Case(SECRET, "value", "hunter3", "update", _overwritten, base={"value": "hunter2"}),
    Case(SECRET, "generate", {"length": 30}, "update", base={"generate": {"length": 20}}),
    # Two variables that are set wherever tests run.
    Case(SECRET, "env", "PATH", "update", _overwritten, base={"env": "HOME"}, shown="value"),
    Case(SECRET, "from_file", "two/a.txt", "update", _overwritten, base={"from_file": "one/a.txt"}, shown="value"),
    Case(JOB, "name", "{lab}-other"),
    Case(JOB, "image", "debian:bookworm-slim", "update"),
    Case(JOB, "command", ["false"], "update"),
    Case(JOB, "environment", {"A": "2"}, "update", base={"environment": {"A": "1"}}),
    Case(JOB, "files", {"/etc/a": "two"}, "update", base={"files": {"/etc/a": "one"}}),
    Case(JOB, "secrets", {"token": "hunter3"}, "update", base={"secrets": {"token": "hunter2"}}),
    Case(JOB, "mounts", [{"source": "${resource.v.id}", "target": "/data"}], "update"),
    Case(JOB, "networks", ["${resource.n1.name}"], "update"),
    Case(JOB, "source", "two", "update", base={"source": "one"}),
    Case(JOB, "memory", "64Mi", "update"),
    Case(JOB, "cpus", 0.5, "update"),
    Case(JOB, "gpus", 1, "update"),
    Case(JOB, "cap_drop", ["ALL"], "update"),
    Case(JOB, "timeout", 60, "update"),
    Case(JOB, "retries", 2, "update"),
)  # fmt: skip

UNTESTED = {
    ("docker.volume", "driver"): "an engine has one driver of volumes unless plugins are installed",
    ("docker.image", "content"): "follows from build",
    ("docker.generated_image", "build"): "not to be set",
    ("docker.generated_image", "current"): "follows from what has its name",
    ("docker.contents", "files"): "follows from contents",
}
