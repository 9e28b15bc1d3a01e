"""Services that start jobs, on a real engine: without its socket, one run at a time, refused to who has no token."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import File, Job, Mount, Software, Volume
from tests.providers.docker.lab import NOTHING
from tests.providers.docker.runtime_lab import PYTHON, RuntimeLab, server

TELL = """
import os, sys
from pathlib import Path
print("argv", sys.argv[1:])
print("env", os.environ["COLOUR"])
print("secret", Path(os.environ["TOKEN_FILE"]).read_text())
print("source", sorted(os.listdir(".")), Path("data.txt").read_text())
Path("left").write_text("x")
count = Path(os.environ["SHARED"]) / "runs"
with count.open("a") as file:
    file.write("run\\n")
"""
CALL = """
import subprocess, sys
done = subprocess.run([sys.argv[1]], capture_output=True, text=True)
print(done.stdout + done.stderr)
sys.exit(done.returncode)
"""
POST = """
import http.client
connection = http.client.HTTPConnection("storage-x-j-starter", 8099)
connection.request("POST", "/run", headers={"authorization": "Bearer x"})
print(connection.getresponse().status)
"""


@pytest.fixture
def lab(tmp_path: Path, api: APIClient) -> Iterator[RuntimeLab]:
    made = RuntimeLab(
        tmp_path, f"lab{uuid.uuid4().hex[:10]}", api, environment={"provider": "docker", "disposable": True}
    )
    if not api.images(name="python:3.11-slim"):
        pytest.fail("the engine has no python:3.11-slim: run scripts/docker_engine.sh")
    yield made
    made.clean()


def triggering(script: str, **more: Any) -> Callable[[Lowering], Mapping[str, Any]]:
    """A recipe of a job and of a service that may start it."""

    def lower(lowering: Lowering) -> Mapping[str, Any]:
        shared = Mount("shared", lowering.volume(Volume("shared")))
        job = lowering.job(
            Job(
                "j",
                PYTHON,
                (slot("python"), slot("path:tell.py"), "--", "a b"),
                env={"COLOUR": "blue", "TOKEN_FILE": slot("secret:token"), "SHARED": slot("path:shared")},
                secrets={"token": "hunter2"},
                files=(File("tell.py", script),),
                mounts=(shared,),
                **more,
            )
        )
        service = server("s", shared, env={"THEN": slot("trigger:then")}, triggers={"then": job})
        return {"url": lowering.service(service).urls["http"]}

    return lower


def pull(lab: RuntimeLab, service: str = "s") -> tuple[int, str]:
    """Start the job as the service does: exit code, and what it printed."""
    container = lab.called(f"test-storage-x-{service}")
    config = lab.api.inspect_container(container)["Config"]["Env"]
    command = next(line.removeprefix("THEN=") for line in config if line.startswith("THEN="))
    made = lab.api.exec_create(container, ["python3", "-c", CALL, command])
    printed = lab.api.exec_start(made["Id"]).decode()
    return lab.api.exec_inspect(made["Id"])["ExitCode"], printed


def starter(lab: RuntimeLab) -> str:
    return lab.called("test-storage-x-j-starter")


def source(lab: RuntimeLab, text: str) -> None:
    (lab.folder / "code").mkdir(parents=True, exist_ok=True)
    (lab.folder / "code" / "data.txt").write_text(text)


def test_a_run_has_all_that_one_of_the_engine_has(lab: RuntimeLab) -> None:
    source(lab, "first")
    lab.up(triggering(TELL, source="code"))
    code, printed = pull(lab)
    assert code == 0, printed
    lines = printed.splitlines()
    assert lines[:4] == ["argv ['--', 'a b']", "env blue", "secret hunter2", "source ['data.txt'] first"]
    assert lab.run().succeeded
    assert lab.said()[-4:] == lines[:4]
    # Its log is the container's; a second run begins with a clean folder and what the last apply brought.
    source(lab, "second")
    lab.mend()
    assert "source ['data.txt'] second" in pull(lab)[1]
    assert b"env blue" in lab.api.logs(starter(lab))


def test_nobody_has_the_socket_or_a_port_outside(lab: RuntimeLab) -> None:
    source(lab, "x")
    lab.up(triggering(TELL, source="code"))
    for name in (starter(lab), lab.called("test-storage-x-s")):
        found = lab.api.inspect_container(name)
        assert not [mount for mount in found["Mounts"] if "docker.sock" in mount["Source"]]
    assert lab.api.inspect_container(starter(lab))["HostConfig"]["PortBindings"] == {}
    made = lab.api.exec_create(lab.called("test-storage-x-s"), ["python3", "-c", POST])
    assert lab.api.exec_start(made["Id"]).strip() == b"401"
    assert b"env blue" not in lab.api.logs(starter(lab))
    token = lab.api.exec_start(lab.api.exec_create(starter(lab), ["cat", "/run/secrets/mlinfra-starter"])["Id"])
    assert len(token) == 40
    assert token.decode() not in json.dumps(lab.api.inspect_container(lab.called("test-storage-x-s")))
    kept = [path for path in (lab.folder / ".mlinfra").rglob("*") if path.is_file()]
    assert not [path for path in kept if token in path.read_bytes()]


def test_how_a_run_ended_is_told(lab: RuntimeLab) -> None:
    lab.up(triggering("print('so it is'); raise SystemExit(7)", retries=1))
    code, printed = pull(lab)
    assert code == 7
    assert printed.count("so it is") == 2
    assert "attempt 2 of 2" in printed


def test_a_run_that_takes_too_long_is_stopped(lab: RuntimeLab) -> None:
    lab.up(triggering("import threading; threading.Event().wait()", timeout=1.0))
    code, printed = pull(lab)
    assert (code, "took longer than 1 s" in printed) == (124, True)


WAITING = """
import os, time
from pathlib import Path
shared = Path(os.environ["SHARED"])
with (shared / "runs").open("a") as file:
    file.write("run\\n")
print("waiting", flush=True)
while not (shared / "go").exists():
    time.sleep(0.05)
"""
BOTH = """
import subprocess, sys
from pathlib import Path
first, second = (subprocess.Popen([sys.argv[1]], stdout=subprocess.PIPE, text=True) for _ in range(2))
heard = [child.stdout.readline() for child in (first, second)]
Path(sys.argv[2], "go").write_text("")
print(heard, first.wait(), second.wait(), Path(sys.argv[2], "runs").read_text().split())
"""


def test_who_asks_during_a_run_joins_it(lab: RuntimeLab) -> None:
    lab.up(triggering(WAITING))
    arguments = ["/mlinfra/triggers/storage-x-j-starter", "/mlinfra/storage/x/shared"]
    made = lab.api.exec_create(lab.called("test-storage-x-s"), ["python3", "-c", BOTH, *arguments])
    told = lab.api.exec_start(made["Id"]).decode()
    assert told.strip() == "['waiting\\n', 'waiting\\n'] 0 0 ['run']"


def test_a_removed_starter_is_told_and_comes_back_and_leaves_nothing(lab: RuntimeLab) -> None:
    source(lab, "x")
    lab.up(triggering(TELL, source="code"))
    lab.api.remove_container(starter(lab), force=True)
    assert lab.node("storage.x/container.j.starter").action == "create"
    lab.mend()
    assert pull(lab)[0] == 0
    outcome = lab.apply(destroy=True)
    assert outcome is not None
    assert outcome.succeeded, outcome.failed
    assert lab.owned() == NOTHING


def test_a_run_that_is_cut_off_is_told(lab: RuntimeLab) -> None:
    lab.up(triggering("import os, signal; os.kill(os.getppid(), signal.SIGKILL)"))
    assert pull(lab)[0] == 125


def test_there_is_no_starter_where_no_service_starts_the_job(lab: RuntimeLab) -> None:
    def made(lowering: Lowering) -> Mapping[str, Any]:
        lowering.job(Job("j", PYTHON, (slot("python"), "-c", "pass")))
        other = lowering.job(Job("k", Software("busybox"), ("true",)))
        # Where there is no Python there is none to start it.
        return {"trigger": list(other.trigger)}

    found = lab.up(made)
    assert found["trigger"] == []
    assert lab.owned()["containers"] == []
