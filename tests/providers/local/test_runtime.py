"""What workloads become on this machine: the resources that the runtime declares, and that they work when they are applied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.lowering import Handle
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import ref, slot
from mlinfra.sdk.workload import File, Job, Limits, Mount, Port, Probe, Service, Software, Volume
from mlinfra_local.runtime import LocalRuntime

PLAIN = Software(image="python:3.11-slim")
"""Software that needs nothing installed."""
KIT = Software(image="kit", requirements=("kit>=1",))


@dataclass
class Collected:
    """A lowering that keeps what it is given."""

    place: Place
    component: str = "endpoint.fraud"
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    after: dict[str, tuple[str, ...]] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def resource(self, type: str, name: str, fields: Mapping[str, Any], *, after: Any = (), label: str = "") -> Handle:
        handle = Handle(f"{self.component}/{type.rpartition('.')[2]}.{name}")
        assert handle.address not in self.resources, f"{handle.address} was declared twice"
        self.resources[handle.address] = dict(fields)
        self.after[handle.address] = tuple(after)
        self.labels[handle.address] = label
        return handle

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes.append(f"{field}: {why}")


@pytest.fixture
def lowering(tmp_path: Path) -> Collected:
    return Collected(Place("shop", "test", tmp_path, tmp_path / ".mlinfra" / "test"))


@pytest.fixture
def runtime(lowering: Collected) -> LocalRuntime:
    return LocalRuntime(lowering.place)


def at(component: str = "endpoint.fraud") -> Callable[[str], str]:
    """Addresses within a component."""
    return lambda name: f"{component}/{name}"


HERE = at()


def test_a_volume_is_a_folder_of_its_component(runtime: LocalRuntime, lowering: Collected) -> None:
    handle = runtime.volume(Volume("store", data=True, contents="seeds"), lowering)
    path = lowering.place.work / "volumes" / "endpoint.fraud" / "store"
    assert lowering.resources == {
        HERE("folder.store"): {"path": str(path), "data": True, "contents": "seeds"},
    }
    assert lowering.labels[handle.address] == "volume store"
    assert (handle.path, handle.url) == (ref(handle.address, "path"), ref(handle.address, "url"))


def test_a_service_is_a_process_with_its_slots_filled(runtime: LocalRuntime, lowering: Collected) -> None:
    volume = runtime.volume(Volume("store"), lowering)
    job = runtime.job(Job("train", PLAIN, ("true",)), lowering)
    service = Service(
        "server",
        KIT,
        (
            slot("python"),
            slot("path:main.py"),
            "--host",
            slot("host"),
            "--port",
            slot("port:http"),
            slot("trigger:then"),
        ),
        ports={"http": Port(8080)},
        probe=Probe("http", "/health", timeout=30),
        env={"STORE": slot("path:data"), "TOKEN_FILE": slot("secret:token")},
        secrets={"token": ref("secret.token/secret_file.secret", "value")},
        files=(File("main.py", f"open('{slot('path:config.json')}')"), File("config.json", "{}", reload=True)),
        mounts=(Mount("data", volume),),
        limits=Limits(memory=2**30),
        restart_on={"model": "3"},
        triggers={"then": job},
        after=("registry.models/process.server",),
    )
    handle = runtime.service(service, lowering)
    work = lowering.place.work
    files = work / "files" / "endpoint.fraud" / "server"
    process = lowering.resources[HERE("process.server")]
    env = HERE("python_env.python")
    assert lowering.resources[env] == {"name": "endpoint.fraud.python", "requirements": ["kit>=1"]}
    script = HERE("file.server-main.py")
    assert process["command"] == [
        ref(env, "python"),
        ref(script, "path"),
        *("--host", "127.0.0.1", "--port", "{port:http}"),
        str(work / "jobs" / "endpoint.fraud.train" / "run"),
    ]
    assert process["name"] == "endpoint.fraud.server"
    assert process["env"] == {
        "STORE": volume.path,
        "TOKEN_FILE": str(work / "processes" / "endpoint.fraud.server" / "secrets" / "token"),
    }
    assert process["secrets"] == dict(service.secrets)
    assert (process["ports"], process["host"]) == ({"http": None}, "127.0.0.1")
    assert process["probe"] == {"port": "http", "path": "/health", "timeout": 30}
    assert process["limits"] == {"memory": 2**30}
    assert process["restart_on"].keys() == {"model", "main.py"}  # config.json is read again by the workload itself
    assert lowering.resources[script]["path"] == str(files / "main.py")
    assert str(files / "config.json") in lowering.resources[script]["content"]
    assert lowering.resources[script]["mode"] == "0600"
    assert set(lowering.after[handle.address]) == {
        *(env, volume.address, script, HERE("file.server-config.json"), job.address, "registry.models/process.server")
    }
    assert handle.urls == {"http": ref(handle.address, "urls.http")}
    assert lowering.notes == []


def test_only_an_exposed_port_opens_the_machine(runtime: LocalRuntime, lowering: Collected) -> None:
    open_door = Service("a", PLAIN, ("x", slot("host")), ports={"http": Port(80, number=8123, exposed=True)})
    runtime.service(open_door, lowering)
    process = lowering.resources[HERE("process.a")]
    assert (process["command"], process["host"], process["ports"]) == (["x", "0.0.0.0"], "0.0.0.0", {"http": 8123})


def test_a_job_has_its_folder_limits_and_trigger(runtime: LocalRuntime, lowering: Collected) -> None:
    job = Job(
        "train",
        PLAIN,
        (slot("python"), "train.py", slot("secret:key")),
        source="src",
        secrets={"key": "s3cret"},
        files=(File("wrap.py", "pass"),),
        limits=Limits(memory=2**29),
        timeout=60,
        retries=2,
    )
    handle = runtime.job(job, lowering)
    folder = lowering.place.work / "jobs" / "endpoint.fraud.train"
    fields = lowering.resources[handle.address]
    assert fields["command"] == [sys.executable, "train.py", str(folder / "secrets" / "key")]
    assert (fields["cwd"], fields["timeout"], fields["retries"]) == ("src", 60, 2)
    assert fields["limits"] == {"memory": 2**29}
    assert lowering.after[handle.address] == (HERE("file.train-wrap.py"),)
    assert handle.trigger == (str(folder / "run"),)


def test_one_environment_serves_all_that_need_the_same(runtime: LocalRuntime, lowering: Collected) -> None:
    for name in ("a", "b"):
        runtime.service(Service(name, KIT, (slot("python"),)), lowering)
    runtime.service(Service("c", Software("other", lock="other==1 --hash=sha256:00\n"), (slot("python"),)), lowering)
    environments = [address for address in lowering.resources if "/python_env." in address]
    assert environments == [HERE("python_env.python"), HERE("python_env.c")]
    commands = [lowering.resources[HERE(f"process.{name}")]["command"] for name in ("a", "b", "c")]
    assert commands == [[ref(environments[0], "python")]] * 2 + [[ref(environments[1], "python")]]


def test_two_components_with_the_same_software_have_one_each(runtime: LocalRuntime, lowering: Collected) -> None:
    runtime.service(Service("a", KIT, (slot("python"),)), lowering)
    lowering.component = "monitor.drift"
    runtime.service(Service("a", KIT, (slot("python"),)), lowering)
    assert at("monitor.drift")("python_env.python") in lowering.resources


def test_what_processes_cannot_do_is_told_once(runtime: LocalRuntime, lowering: Collected) -> None:
    for name in ("a", "b"):
        service = Service(name, PLAIN, ("x",), limits=Limits(cpu=2, gpu=1), replicas=3)
        runtime.service(service, lowering)
    assert sorted(note.partition(":")[0] for note in lowering.notes) == [
        "resources.cpu",
        "resources.gpu",
        "scale.replicas",
    ]
    assert lowering.resources[HERE("process.a")]["limits"] is None


@pytest.mark.parametrize("where", ["command", "file"])
def test_a_slot_that_is_not_there_is_a_diagnostic(runtime: LocalRuntime, lowering: Collected, where: str) -> None:
    wrong = slot("path:nowhere") if where == "command" else "x"
    content = slot("port:http") if where == "file" else ""
    service = Service("a", PLAIN, (wrong,), ports={"http": Port(80)}, files=(File("f", content),))
    with pytest.raises(DiagnosticError) as caught:
        runtime.service(service, lowering)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "slot-unknown"
    assert "fixed number" in diagnostic.remedy if where == "file" else "There are: " in diagnostic.remedy


def test_a_file_may_name_a_port_that_is_fixed(runtime: LocalRuntime, lowering: Collected) -> None:
    service = Service("a", PLAIN, ("x",), ports={"http": Port(80, number=8123)}, files=(File("f", slot("port:http")),))
    runtime.service(service, lowering)
    assert (
        lowering.resources[HERE("file.a-f")]["content"] == 8123
        or lowering.resources[HERE("file.a-f")]["content"] == "8123"
    )
