"""Processes: started once, found again, ended wholly. Real ones, on ports that the system chose."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.resource import Known
from mlinfra_local import alive, log_file
from mlinfra_local.process import LocalProcess
from tests.providers.local.bench import Bench, Subject

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        code = 200 if self.path != "/ill" else 500
        body = f"{os.environ.get('GREETING')} {os.getpid()}".encode()
        self.send_response(code); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
print("listening", flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)"]


def server(bench: Bench, **more: Any) -> Subject:
    fields = {
        "name": "web",
        "command": [sys.executable, "-c", SERVER, "{port:http}"],
        "env": {"GREETING": "hello"},
        "ports": {"http": None},
        "probe": {"port": "http", "path": "/", "timeout": 30},
        "grace": 5,
        **more,
    }
    return bench.subject("local.process", **fields)


def fetch(url: str) -> str:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text


def marked(bench: Bench) -> list[psutil.Process]:
    """All processes that carry a marker of this bench."""
    return alive.scan(bench.client, f"{bench.work}{os.sep}")


def test_a_process_runs_answers_and_goes(bench: Bench) -> None:
    web = server(bench)
    live = web.apply()
    assert live["running"] is True
    assert fetch(live["urls"]["http"]) == f"hello {live['pid']}"
    status = LocalProcess.status(bench.client, Known(web.address, "web", web.wanted))
    assert status is not None
    assert status.state == "running"
    web.delete("web")
    assert web.read("web") is None
    assert not psutil.pid_exists(live["pid"])
    assert list(bench.work.rglob("*")) == []
    web.delete("web")


def test_a_killed_process_is_a_drift_and_starts_on_the_same_port(bench: Bench) -> None:
    web = server(bench)
    first = web.apply()
    os.kill(first["pid"], signal.SIGKILL)
    bench.client.children[first["pid"]].wait()
    assert web.told() == "stopped → start"
    second = web.apply()
    assert second["bound"] == first["bound"]
    assert second["pid"] != first["pid"]
    assert len(marked(bench)) == 1


def test_another_start_time_is_another_process(bench: Bench) -> None:
    """After a reboot the id belongs to somebody else, who must not be taken for ours nor be ended."""
    web = server(bench)
    first = web.apply()
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        alive.stop(bench.client, marked(bench), 5.0, bench.cancelled.wait)
        run = bench.work / "processes" / "web" / "run.json"
        run.write_text(json.dumps({**json.loads(run.read_text()), "pid": stranger.pid}))
        live = web.read()
        assert live is not None
        assert live["running"] is False
        assert web.apply()["bound"] == first["bound"]
        web.delete("web")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_change_restarts_it_with_its_reason(bench: Bench) -> None:
    first = server(bench, restart_on={"model": "3"}).apply()
    changed = server(bench, restart_on={"model": "4"})
    assert changed.told() == "restart: model 3 → 4"
    second = changed.apply()
    assert second["pid"] != first["pid"]
    patient = server(bench, restart_on={"model": "4"}, grace=6)
    assert patient.apply()["pid"] == second["pid"]
    config = server(bench, restart_on={"model": "4", "config": "x" * 200}, grace=6)
    assert config.told() == "restart: config changed"
    stopped = server(bench, running=False)
    assert stopped.told() == "running → stop"
    assert stopped.apply()["running"] is False
    assert marked(bench) == []


def test_a_start_that_nobody_recorded_is_found(bench: Bench) -> None:
    """The CLI was killed between the start and its record."""
    web = server(bench)
    first = web.apply()
    (bench.work / "processes" / "web" / "run.json").unlink()
    live = web.read()
    assert live is not None
    assert live["pid"] == first["pid"]
    web.desired.create(bench.client, bench.operation())
    assert web.apply()["pid"] == first["pid"]
    assert len(marked(bench)) == 1


def test_a_process_whose_folder_was_deleted_is_still_there(bench: Bench) -> None:
    web = server(bench)
    first = web.apply()
    for path in sorted((bench.work / "processes").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    assert web.told("web") == "its folder was deleted → start again"
    second = web.apply()
    assert second["pid"] != first["pid"]
    assert len(marked(bench)) == 1
    for path in sorted((bench.work / "processes").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    web.delete("web")
    assert marked(bench) == []


def test_children_end_with_it(bench: Bench) -> None:
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
    tree = bench.subject("local.process", name="tree", command=[sys.executable, "-c", code], grace=5)
    live = tree.apply()
    children = psutil.Process(live["pid"]).children(recursive=True)
    assert len(children) == 1
    tree.delete("tree")
    assert not alive.lives(children[0])
    assert marked(bench) == []


def test_children_that_outlive_it_do_not_keep_its_port(bench: Bench) -> None:
    """The process was killed alone, as a full memory does it; its worker still listens."""
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]).wait()"
    tree = server(bench, command=[sys.executable, "-c", code, SERVER, "{port:http}"])
    first = tree.apply()
    worker = psutil.Process(first["pid"]).children()[0]
    os.kill(first["pid"], signal.SIGKILL)
    bench.client.children[first["pid"]].wait()
    assert alive.lives(worker)
    second = tree.apply()
    assert second["bound"] == first["bound"]
    assert not alive.lives(worker)
    tree.delete("web")
    assert marked(bench) == []


def test_a_record_of_before_a_reboot_is_of_nobody(bench: Bench) -> None:
    web = server(bench)
    first = web.apply()
    run = bench.work / "processes" / "web" / "run.json"
    earlier = {**json.loads(run.read_text()), "boot": "an earlier one"}
    run.write_text(json.dumps(earlier))
    live = web.read()
    assert live is not None
    assert live["pid"] == first["pid"]  # it carries its marker: so looks one that another container started
    alive.stop(bench.client, marked(bench), 5.0, bench.cancelled.wait)
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL)
    try:
        told = alive.Started.of(psutil.Process(stranger.pid))
        run.write_text(json.dumps({**earlier, "pid": told.pid, "at": told.at}))
        assert web.told() == "stopped → start"
        web.apply()
        web.delete("web")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_it_outlives_who_started_it(bench: Bench) -> None:
    """It has a session of its own, so neither the end of the command line nor a closed terminal ends it."""
    code = CREATOR + "\nprint(subject.read()['pid'], flush=True)\nimport os; os.kill(0, 9)\n"
    child = create(bench, code, start_new_session=True)
    assert child.stdout is not None
    pid = int(child.stdout.read())
    assert child.wait() == -signal.SIGKILL  # with its whole process group
    child.stdout.close()
    assert [process.pid for process in marked(bench)] == [pid]
    assert os.getsid(pid) == pid
    assert server(bench).apply()["pid"] == pid


def test_one_that_wants_more_memory_than_it_may_have_does_not_get_it(bench: Bench) -> None:
    code = "x = bytearray(2**30); import time; time.sleep(600)"
    with pytest.raises(ProviderError, match="ended") as caught:
        bench.subject(
            "local.process", name="hog", command=[sys.executable, "-c", code], limits={"memory": 2**28}
        ).apply()
    assert "MemoryError" in caught.value.log


def test_one_that_does_not_listen_to_reason_is_killed(bench: Bench) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    deaf = bench.subject("local.process", name="deaf", command=[sys.executable, "-c", code], grace=0.3)
    live = deaf.apply()
    deaf.delete("deaf")
    assert not psutil.pid_exists(live["pid"])


def test_a_port_that_is_taken_names_who_holds_it(bench: Bench) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        with pytest.raises(ProviderError, match=f"the port {number} is taken by .*process {os.getpid()}"):
            server(bench, ports={"http": number}).apply()
    assert marked(bench) == []
    assert server(bench, ports={"http": number}).apply()["bound"] == {"http": number}


def test_a_port_that_another_process_of_ours_holds_names_it(bench: Bench) -> None:
    number = server(bench).apply()["bound"]["http"]
    other = bench.subject(
        "local.process", "resource.y", **{**server(bench).wanted, "name": "api", "ports": {"http": number}}
    )
    with pytest.raises(ProviderError, match="which mlinfra runs as web"):
        other.apply()
    assert len(marked(bench)) == 1


def test_two_processes_get_two_ports(bench: Bench) -> None:
    one = server(bench)
    two = bench.subject("local.process", "resource.y", **{**one.wanted, "name": "web2"})
    assert one.apply()["bound"] != two.apply()["bound"]
    with pytest.raises(NotOurs, match=r"belongs to resource\.x"):
        bench.subject("local.process", "resource.z", **one.wanted).desired.create(
            bench.client, bench.operation("resource.z")
        )


def test_one_that_dies_at_its_start_shows_its_last_lines(bench: Bench) -> None:
    code = "import sys; print('reading config'); sys.exit('no such table: users')"
    with pytest.raises(ProviderError, match="ended") as caught:
        bench.subject("local.process", name="bad", command=[sys.executable, "-c", code]).apply()
    assert "no such table: users" in caught.value.log
    with pytest.raises(ProviderError, match="no program nowhere-to-be-found"):
        bench.subject("local.process", name="none", command=["nowhere-to-be-found"]).apply()


def test_one_that_never_gets_well_says_so_and_stays(bench: Bench) -> None:
    ill = server(bench, probe={"port": "http", "path": "/ill", "timeout": 1})
    with pytest.raises(ProviderError, match="answered 500 at /ill") as caught:
        ill.apply()
    assert "listening" in caught.value.log
    assert len(marked(bench)) == 1


def test_secrets_are_files_that_nobody_else_reads(bench: Bench) -> None:
    path = bench.work / "processes" / "reader" / "secrets" / "token"
    code = "import sys, time; print(len(open(sys.argv[1]).read()), flush=True); time.sleep(600)"
    reader = bench.subject(
        "local.process", name="reader", command=[sys.executable, "-c", code, str(path)], secrets={"token": "s3cret"}
    )
    reader.apply()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(LocalProcess.logs(bench.client, Known("x", "reader", {}), tail=5, follow=False)) == ["6"]
    folder = bench.work / "processes" / "reader"
    for file in (folder / "process.json", folder / "run.json", folder / "log"):
        assert "s3cret" not in file.read_text()
    changed = bench.subject("local.process", **{**reader.wanted, "secrets": {"token": "other", "more": "x"}})
    assert changed.told() == "restart: secrets changed"
    changed.apply()
    assert path.read_text() == "other"


def test_limits_hold(bench: Bench) -> None:
    code = "import os, resource, time; print(resource.getrlimit(resource.RLIMIT_DATA)[0], os.nice(0), flush=True); time.sleep(600)"
    bench.subject(
        "local.process", name="small", command=[sys.executable, "-c", code], limits={"memory": 2**30, "nice": 5}
    ).apply()
    lines = list(LocalProcess.logs(bench.client, Known("x", "small", {}), tail=5, follow=False))
    assert lines == [f"{2**30} {os.nice(0) + 5}"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"command": []}, "command"),
        ({"name": "../up"}, "cannot be a name"),
        ({"name": ".hidden"}, "cannot be a name"),
        ({"secrets": {"../up": "x"}}, "cannot be a name"),
        ({"command": ["x", "{port:grpc}"]}, "does not have"),
        ({"probe": {"port": "grpc", "path": "/"}}, "does not have"),
        ({"ports": {"http": 70_000}}, "ports.http"),
        ({"cwd": "../.."}, "leads out"),
    ],
)
def test_wrong_fields_are_diagnostics(bench: Bench, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        server(bench, **fields)
    assert said in caught.value.diagnostics[0].detail


def test_logs_are_kept_over_a_start_and_followed(bench: Bench, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    log_file.rotate(log)
    log.write_text("three\n")
    assert log_file.tail(log, 2) == ["two", "three"]
    seen: list[str] = []
    steps = iter(["four\nfi", "ve", ""])

    def ended() -> bool:
        text = next(steps, None)
        with log.open("a") as stream:
            stream.write(text or "")
        return text is None

    seen += log_file.follow(log, ended)
    assert seen == ["four", "five"]


CREATOR = """
import sys
from pathlib import Path
from tests.providers.local.bench import Bench
from tests.providers.local.test_process import server
bench = Bench(Path(sys.argv[1]))
print("go", flush=True)
subject = server(bench)
subject.desired.create(bench.client, bench.operation())
"""


def create(bench: Bench, code: str, **more: Any) -> subprocess.Popen[bytes]:
    """A process that creates a server, and says "go" just before."""
    paths = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(bench.root)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        **more,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"go\n"
    return child


@pytest.mark.parametrize("step", range(8))
def test_a_create_that_is_killed_anywhere_never_starts_two(bench: Bench, step: int) -> None:
    """kill -9 at different moments of a create; then what an apply does: locate, mend, wait."""
    child = create(bench, CREATOR)
    bench.cancelled.wait(step * 0.015)
    child.kill()
    child.wait()
    assert child.stdout is not None
    child.stdout.close()
    web = server(bench)
    live = web.apply()
    assert [process.pid for process in marked(bench)] == [live["pid"]]
    web.delete("web")
    assert marked(bench) == []
