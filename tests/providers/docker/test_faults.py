"""What goes wrong with an engine: one clear diagnostic each, and an apply that goes on once the cause is gone."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from tests.providers.docker.lab import Lab
from tests.providers.docker.registry import Registry


def failure(lab: Lab, resources: dict[str, dict[str, Any]]) -> Diagnostic:
    """The one diagnostic of an apply."""
    lab.write(resources)
    try:
        outcome = lab.apply()
    except DiagnosticError as error:
        told = list(error.diagnostics)
    else:
        assert outcome is not None
        told = outcome.failed
    assert len(told) == 1, told
    return told[0]


def two(lab: Lab) -> dict[str, dict[str, Any]]:
    """Resources that do not depend on one another: what an engine that is away says is told once, not for each."""
    return {key: {"type": "docker.network", "name": lab.called(key)} for key in ("a", "b")}


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="sock"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


class TestTheEngine:
    def test_is_stopped(self, lab: Lab, short: Path) -> None:
        lab.environment["host"] = f"unix://{short}/none.sock"
        found = failure(lab, two(lab))
        assert found.code == "provider-unreachable"
        assert "no Docker engine runs at" in found.detail
        assert "systemctl start docker" in found.remedy

    def test_is_stopped_and_left_its_socket(self, lab: Lab, short: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{short}/old.sock")
        lab.environment["host"] = f"unix://{short}/old.sock"
        assert "no Docker engine runs at" in failure(lab, two(lab)).detail

    def test_may_not_be_used_by_this_user(self, lab: Lab, short: Path) -> None:
        path = short / "closed.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            path.chmod(0)
            command = [sys.executable, "-m", "mlinfra", "apply", "--auto-approve"]
            if os.geteuid() == 0:  # root without its powers, before a socket that is not its own
                os.chown(path, 65534, 65534)
                command = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", *command]
            lab.environment["host"] = f"unix://{path}"
            lab.write(two(lab))
            done = subprocess.run(command, cwd=lab.folder, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.count("Error:") == 1
        assert "this user may not use the Docker engine's socket" in done.stderr
        assert "usermod -aG docker" in done.stderr

    def test_elsewhere_does_not_listen(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound and not listening: refused
            monkeypatch.setenv("DOCKER_HOST", f"tcp://127.0.0.1:{taken.getsockname()[1]}")
            found = failure(lab, two(lab))
        assert "cannot be reached" in found.detail
        assert "refused" in found.detail
        assert "DOCKER_HOST" in found.remedy

    def test_elsewhere_has_no_such_name(self, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DOCKER_HOST", "tcp://engine.invalid:2375")
        assert "engine.invalid" in failure(lab, two(lab)).detail

    def test_is_away_when_the_state_knows_objects(self, lab: Lab, short: Path) -> None:
        lab.applied(two(lab))
        lab.environment["host"] = f"unix://{short}/none.sock"
        lab.write(two(lab))
        with pytest.raises(DiagnosticError, match="no Docker engine runs at") as caught:
            lab.plan()
        assert len(caught.value.diagnostics) == 1
        assert set(lab_state(lab)) == {"resource.a", "resource.b"}
        del lab.environment["host"]
        lab.write(two(lab))
        assert lab.plan().empty

    def test_a_key_of_the_environment_that_there_is_not(self, lab: Lab) -> None:
        lab.environment["hots"] = "unix:///x"
        lab.write(two(lab))
        with pytest.raises(DiagnosticError, match="hots"):
            lab.plan()


def lab_state(lab: Lab) -> dict[str, Any]:
    """What the stored state has, without asking the engine."""
    with lab.open() as workspace:
        return dict(workspace.backend.load().state.resources)


class TestImages:
    @pytest.fixture
    def registry(self) -> Iterator[Registry]:
        with Registry() as made:
            yield made

    @pytest.mark.parametrize("type", ["docker.image", "docker.container"])
    def test_the_registry_has_no_such_image(self, lab: Lab, registry: Registry, type: str) -> None:
        name = f"{registry.host}/{lab.name}/app:1"
        found = failure(lab, {"x": wanting(lab, type, name)})
        assert f"the image {name} cannot be pulled" in found.detail
        assert "the registry has no such image" in found.detail
        registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
        lab.write({"x": wanting(lab, "docker.image", name, keep_locally=False)})
        lab.mend()
        lab.apply(destroy=True)

    @pytest.mark.parametrize("type", ["docker.image", "docker.container"])
    def test_the_registry_wants_a_login(
        self, lab: Lab, registry: Registry, type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        registry.login = ("ada", "secret")
        registry.put(f"{lab.name}/app", "1", f"one of {lab.name}")
        name = f"{registry.host}/{lab.name}/app:1"
        found = failure(lab, {"x": wanting(lab, type, name)})
        assert "needs a login" in found.detail
        assert "docker login" in found.remedy
        config = tmp_path / "docker-config"
        config.mkdir()
        auth = base64.b64encode(b"ada:secret").decode()
        (config / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": auth}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(config))
        lab.write({"x": wanting(lab, "docker.image", name, keep_locally=False)})
        lab.mend()
        lab.apply(destroy=True)

    def test_the_registry_does_not_answer(self, lab: Lab) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            name = f"127.0.0.1:{taken.getsockname()[1]}/app:1"
            found = failure(lab, {"x": wanting(lab, "docker.image", name)})
        assert "cannot reach the registry" in found.detail
        assert "connection refused" in found.detail

    def test_a_build_fails(self, lab: Lab) -> None:
        folder = lab.folder / "img"
        folder.mkdir()
        (folder / "Dockerfile").write_text("FROM busybox\nRUN echo the reason >&2; exit 3\n")
        image = {"type": "docker.image", "name": lab.called("x"), "build": {"context": "img"}}
        found = failure(lab, {"x": image})
        assert "returned a non-zero code: 3" in found.detail
        assert "the reason" in found.detail
        (folder / "Dockerfile").write_text("FRUM busybox\n")
        found = failure(lab, {"x": image})
        assert "the Dockerfile cannot be read" in found.detail
        (folder / "Dockerfile").write_text("FROM busybox\n")
        lab.mend()

    def test_the_disk_is_full_in_a_build(self, lab: Lab, small_engine: str) -> None:
        folder = lab.folder / "img"
        folder.mkdir()
        (folder / "big").write_bytes(os.urandom(30_000_000))
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY big /a\n")
        lab.environment["host"] = small_engine
        image = {"type": "docker.image", "name": lab.called("x"), "build": {"context": "img"}}
        found = failure(lab, {"x": image})
        assert "the disk of the Docker engine is full" in found.detail
        assert "docker system df" in found.remedy
        (folder / "big").write_bytes(b"small")
        lab.mend()
        lab.apply(destroy=True)


def wanting(lab: Lab, type: str, image: str, **fields: Any) -> dict[str, Any]:
    """A resource that needs an image."""
    if type == "docker.container":
        return lab.container("x", image=image, **fields)
    return {"type": type, "name": image, **fields}


@pytest.fixture
def small_engine(short: Path) -> Iterator[str]:
    """A second engine whose disk has 40 MB."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        pytest.skip("only root can start a second engine with a small disk, where dockerd is installed")
    disk = short / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", disk], check=True)
    host = f"unix://{short}/sock"
    flags = ["--data-root", disk / "root", "--exec-root", short / "exec", "--pidfile", short / "pid", "-H", host]
    try:
        with (short / "log").open("wb") as log:
            # In a network of its own: without one it takes the bridge of the first engine away.
            command = ["unshare", "--net", "dockerd", *flags, "--bridge=none", "--iptables=false"]
            daemon = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(f"{short}/sock", daemon)
            yield host
        finally:
            daemon.terminate()
            daemon.wait(30)
    finally:
        for line in Path("/proc/mounts").read_text().splitlines()[::-1]:
            mounted = line.split()[1]
            if mounted.startswith(str(short)):
                subprocess.run(["umount", mounted], check=False)


def wait_for(path: str, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until an engine answers."""
    import threading
    import time

    until = time.monotonic() + 60
    pause = threading.Event()
    while time.monotonic() < until:
        assert daemon.poll() is None, "the second engine ended"
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.connect(path)
                asking.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                if b"200" in asking.recv(64):
                    return
            except OSError:
                pass
        pause.wait(0.1)
    pytest.fail("the second engine does not answer")


class TestContainers:
    def test_a_port_is_taken_by_a_process(self, lab: Lab) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            found = failure(lab, {"x": lab.container("x", ports={"80": port})})
            assert f"the port 127.0.0.1:{port} is taken by something else" in found.detail
            assert "host_port" in found.remedy
        lab.mend()

    def test_a_port_is_taken_by_a_container(self, lab: Lab) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        lab.applied({"a": lab.container("a", ports={"80": port})})
        found = failure(lab, {"a": lab.container("a", ports={"80": port}), "b": lab.container("b", ports={"80": port})})
        assert f"{port} is taken by something else" in found.detail

    @pytest.mark.parametrize("type", ["docker.network", "docker.volume"])
    def test_the_name_is_somebody_elses(self, lab: Lab, type: str) -> None:
        name = lab.called("x")
        if type == "docker.network":
            lab.api.create_network(name, labels={"mlinfra:address": "resource.y", "mlinfra:blueprint": "shop"})
        else:
            lab.api.create_volume(name, labels={"mlinfra:address": "resource.y", "mlinfra:blueprint": "shop"})
        resources = {"x": {"type": type, "name": name}}
        found = failure(lab, resources)
        assert "belongs to resource.y of the blueprint shop" in found.detail
        assert "--adopt resource.x" in found.remedy
        lab.apply(adopt=("resource.x",))
        assert lab.plan().empty
        lab.apply(destroy=True)

    def test_the_program_is_not_in_the_image(self, lab: Lab) -> None:
        found = failure(lab, {"x": lab.container("x", command=["nonesuch"], init=False)})
        assert 'cannot run "nonesuch"' in found.detail

    def test_the_program_ends_at_once(self, lab: Lab) -> None:
        found = failure(lab, {"x": lab.container("x", command=["sh", "-c", "echo the reason; exit 3"])})
        assert "ended right after its start (exit code 3)" in found.detail
        assert "the reason" in found.detail
        lab.write({"x": lab.container("x")})
        lab.mend()

    def test_the_program_ends_again_and_again(self, lab: Lab) -> None:
        command = ["sh", "-c", "echo the reason; exit 3"]
        found = failure(lab, {"x": lab.container("x", command=command, restart_policy="always")})
        assert "ended right after its start" in found.detail
        assert "the reason" in found.detail

    def test_the_health_check_fails(self, lab: Lab) -> None:
        check = {"test": "echo not well; exit 1", "interval": "300ms", "retries": 1}
        found = failure(lab, {"x": lab.container("x", healthcheck=check)})
        assert "its health check fails: not well" in found.detail

    def test_the_user_is_unknown(self, lab: Lab) -> None:
        assert "has no user ada" in failure(lab, {"x": lab.container("x", user="ada")}).detail
        found = failure(lab, {"x": lab.container("x", user="ada", secrets={"a": "b"})})
        assert "which its image does not know" in found.detail

    def test_there_are_no_gpus(self, lab: Lab) -> None:
        if "nvidia" in lab.api.info()["Runtimes"]:
            pytest.skip("this machine has GPUs")
        assert "no driver for GPUs" in failure(lab, {"x": lab.container("x", gpus="all")}).detail

    def test_too_little_memory(self, lab: Lab) -> None:
        assert "no less than 6MB" in failure(lab, {"x": lab.container("x", memory="1Mi")}).detail

    def test_the_network_is_not_there(self, lab: Lab) -> None:
        found = failure(lab, {"x": lab.container("x", networks=[lab.called("none")])})
        assert f"the network {lab.called('none')} is not on the engine" in found.detail

    def test_addresses_overlap(self, lab: Lab) -> None:
        pools = [{"subnet": "10.214.9.0/24"}]
        resources = {
            "a": {"type": "docker.network", "name": lab.called("a"), "ipam": pools},
            "b": {
                "type": "docker.network",
                "name": lab.called("b"),
                "ipam": pools,
                "labels": {"x": "${resource.a.id}"},
            },
        }
        assert "overlap with those of another network" in failure(lab, resources).detail

    def test_a_volume_in_use_is_named_with_the_way_out(self, lab: Lab) -> None:
        user = lab.container("user", mounts=[{"source": "${resource.v.name}", "target": "/data"}])
        volume = {"type": "docker.volume", "name": lab.called("v")}
        lab.applied({"v": volume, "user": user})
        found = failure(lab, {"v": {**volume, "labels": {"a": "b"}}, "user": user})
        assert "the volume is used by the container" in found.detail
        assert "${resource.NAME.id}" in found.remedy
        lab.apply(replace=("resource.user",))
        assert lab.plan().empty

    def test_a_file_cannot_be_taken_out(self, lab: Lab) -> None:
        lab.applied({"x": lab.container("x", live_files={"/etc/a": "1", "/etc/b": "2"})})
        found = failure(lab, {"x": lab.container("x", live_files={"/etc/a": "1"})})
        assert "cannot be taken out of a container" in found.detail
        lab.apply(replace=("resource.x",))
        assert lab.plan().empty


class TestTheBlueprint:
    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"files": {"etc/a": "x"}}, "from the root"),
            ({"files": {"/etc/../a": "x"}}, "without .."),
            ({"secrets": {"../a": "x"}}, "name of a file|from the root"),
            ({"files": {"/a": "x"}, "live_files": {"/a": "y"}}, "in files and in live_files"),
            ({"labels": {"mlinfra:address": "x"}}, "mlinfra's own"),
            ({"network_mode": "host", "ports": {"80": 80}}, "no room"),
            ({"memory_swap": "1Gi"}, "needs a memory"),
            ({"memory": "lots"}, "size such as"),
            ({"ports": {"http": 80}}, "ports"),
            ({"restart_policy": "sometimes"}, "restart_policy"),
            ({"networks": [{"name": "a", "alias": "b"}]}, "networks"),
        ],
        ids=str,
    )
    def test_is_wrong(self, lab: Lab, fields: dict[str, Any], text: str) -> None:
        lab.write({"x": lab.container("x", **fields)})
        with pytest.raises(DiagnosticError, match=text):
            lab.plan()
