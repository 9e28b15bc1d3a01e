"""Status and logs of containers; files and secrets as the program sees them."""

from __future__ import annotations

import threading

import pytest

from mlinfra.engine import inspect
from mlinfra.sdk.resource import Known, Status
from mlinfra_docker.containers.container import DockerContainer
from tests.providers.docker.lab import NOTHING, Lab


def known(lab: Lab, name: str = "x") -> Known:
    return Known(f"resource.{name}", lab.id(name), {})


def status(lab: Lab) -> Status | None:
    with lab.open() as workspace:
        return DockerContainer.status(workspace.clients.of("docker.container"), known(lab))


def test_status(lab: Lab) -> None:
    lab.applied({"x": lab.container("x", ports={"80": None})})
    port = lab.inspect("x")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"]
    assert status(lab) == Status("running", "", f"http://127.0.0.1:{port}")
    lab.api.kill(lab.id("x"))
    lab.api.wait(lab.id("x"))
    assert status(lab) == Status("failed", "ended with exit code 137")
    name = lab.id("x")
    lab.api.remove_container(name)
    with lab.open() as workspace:
        client = workspace.clients.of("docker.container")
        assert DockerContainer.status(client, Known("resource.x", name, {})) == Status(
            "stopped", "removed outside mlinfra"
        )


def test_status_of_an_unhealthy_one(lab: Lab) -> None:
    check = {"test": "test ! -e /ill", "interval": "200ms", "retries": 1}
    lab.applied({"x": lab.container("x", healthcheck=check)})
    found = status(lab)
    assert found is not None
    assert (found.state, found.detail) == ("running", "health check: healthy")
    lab.api.exec_start(lab.api.exec_create(lab.id("x"), ["touch", "/ill"])["Id"])
    pause = threading.Event()
    while lab.inspect("x")["State"]["Health"]["Status"] == "healthy":
        pause.wait(0.1)
    assert status(lab) == Status("failed", "runs, but its health check fails", "")


def test_logs(lab: Lab) -> None:
    lab.applied({"x": lab.container("x", command=["sh", "-c", "for i in 1 2 3; do echo line $i; done; sleep 600"])})
    with lab.open() as workspace:
        found = list(inspect.logs(workspace, "resource.x", tail=2, follow=False))
    assert found == [("resource.x", "line 2"), ("resource.x", "line 3")]


def test_logs_that_are_followed_end_with_the_program(lab: Lab) -> None:
    command = ["sh", "-c", "echo first; trap 'echo last; exit 0' TERM; while :; do sleep 0.1; done"]
    lab.applied({"x": lab.container("x", command=command, stop_timeout=10)})
    with lab.open() as workspace:
        client = workspace.clients.of("docker.container")
        stream = DockerContainer.logs(client, known(lab), tail=10, follow=True)
        assert next(stream) == "first"
        lab.api.stop(lab.id("x"))
        assert list(stream) == ["last"]


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("user", [None, "nobody", "1234"])
def test_files_and_secrets_as_the_program_sees_them(lab: Lab, read_only: bool, user: str | None) -> None:
    script = "cat /etc/app/deep/a.conf /run/secrets/token; stat -c '%a %u' /etc/app/deep/a.conf /run/secrets/token; sleep 600"
    lab.applied(
        {
            "x": lab.container(
                "x",
                command=["sh", "-c", script],
                user=user,
                read_only=read_only,
                files={"/etc/app/deep/a.conf": {"content": "text\n", "mode": "0640" if user is None else "0644"}},
                secrets={"token": "hunter2\n"},
            )
        }
    )
    mode = "640" if user is None else "644"
    number = {None: 0, "nobody": 65534, "1234": 1234}[user]
    assert lab.api.logs(lab.id("x")).decode().split("\n") == ["text", "hunter2", f"{mode} 0", f"400 {number}", ""]
    assert "hunter2" not in str(lab.inspect("x"))
    for path in (lab.folder / ".mlinfra").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes(), path
    lab.apply(destroy=True)
    assert lab.owned() == NOTHING


def test_a_live_file_is_changed_under_the_program(lab: Lab) -> None:
    command = ["sh", "-c", "trap 'cat /etc/a' HUP; cat /etc/a; while :; do sleep 0.1; done"]
    fields = lab.container("x", command=command, init=False)
    lab.applied({"x": {**fields, "live_files": {"/etc/a": {"content": "one\n", "signal": "SIGHUP"}}}})
    before = lab.id("x")
    lab.applied({"x": {**fields, "live_files": {"/etc/a": {"content": "two\n", "signal": "SIGHUP"}}}})
    assert lab.id("x") == before
    pause = threading.Event()
    while b"two" not in lab.api.logs(before):
        pause.wait(0.1)
    assert lab.inspect("x")["State"]["Status"] == "running"
