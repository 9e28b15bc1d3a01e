"""Jobs: run to their end, whoever is killed meanwhile. Real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import Cancelled, NotOurs
from mlinfra.sdk.resource import Known, RunResult
from mlinfra_local import alive, job_launcher
from mlinfra_local.job import LocalJob
from tests.providers.local.bench import Bench, Subject
from tests.providers.local.lab import Shop

WAIT_FOR_FILE = """
import pathlib, sys, time
print("begun", flush=True)
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
print("over")
"""
"""A command that ends when a file appears."""


def job(bench: Bench, code: str, *arguments: str, **more: Any) -> Subject:
    subject = bench.subject("local.job", name="report", command=[sys.executable, "-c", code, *arguments], **more)
    subject.apply()
    return subject


def run(bench: Bench, subject: Subject) -> RunResult:
    known = Known(subject.address, "report", subject.wanted)
    return subject.desired.run(bench.client, known, bench.operation())


def folder(bench: Bench) -> Path:
    return bench.work / "jobs" / "report"


def started(bench: Bench) -> subprocess.Popen[str]:
    """A run started by its trigger, as a service does it; under way when this returns."""
    child = subprocess.Popen([folder(bench) / "run"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    return child


def until(bench: Bench, condition: Callable[[], bool]) -> None:
    """Look until something holds."""
    for _ in range(1000):
        if condition():
            return
        bench.cancelled.wait(0.02)
    pytest.fail("it never came about")


def commands(bench: Bench) -> list[psutil.Process]:
    """The commands that run, found by their marker."""
    return alive.scan(bench.client, f"{folder(bench)}#")


def runs(bench: Bench) -> list[Path]:
    return sorted((folder(bench) / "runs").iterdir())


def test_a_run_ends_well_and_says_what_it_printed(bench: Bench) -> None:
    (bench.root / "work").mkdir()
    code = "import os, sys; print('hello', os.environ['WHO'], os.getcwd()); print('to stderr', file=sys.stderr)"
    subject = job(bench, code, env={"WHO": "Ada"}, cwd="work")
    status = LocalJob.status(bench.client, Known(subject.address, "report", {}))
    assert status is not None
    assert status.detail == "no run yet"
    result = run(bench, subject)
    assert result.succeeded, result
    assert f"hello Ada {bench.root / 'work'}" in bench.said
    assert "to stderr" in result.log
    assert list(LocalJob.logs(bench.client, Known("x", "report", {}), tail=1, follow=False)) == [bench.said[-1]]
    status = LocalJob.status(bench.client, Known(subject.address, "report", {}))
    assert status is not None
    assert status.state == "ready"
    assert "ended well" in status.detail
    subject.delete("report")
    assert list(bench.work.rglob("*")) == []
    subject.delete("report")


def test_a_failed_run_shows_its_exit_code_and_last_lines(bench: Bench) -> None:
    result = run(bench, job(bench, "import sys; print('reading'); sys.exit('no such column: amount')"))
    assert not result.succeeded
    assert result.detail.startswith("ended with exit code 1 after")
    assert "no such column: amount" in result.log
    killed = run(bench, job(bench, "import os; os.kill(os.getpid(), 9)"))
    assert killed.detail.startswith("killed by signal 9")
    subject = bench.subject("local.job", name="report", command=["nowhere-to-be-found"])
    subject.apply()
    result = run(bench, subject)
    assert "nowhere-to-be-found cannot be started" in result.log


def test_a_failed_run_is_tried_again_as_often_as_it_says(bench: Bench) -> None:
    code = "import sys; tries = open('tries', 'a+'); tries.write('x'); tries.seek(0); sys.exit(len(tries.read()) < 3)"
    assert run(bench, job(bench, code, retries=2)).succeeded
    assert (folder(bench) / "tries").read_text() == "xxx"
    (folder(bench) / "tries").unlink()
    result = run(bench, job(bench, code, retries=1))
    assert not result.succeeded
    assert "attempt 2 of 2" in result.log
    assert json.loads((runs(bench)[-1] / "result.json").read_text())["attempts"] == 2


def test_the_time_limit_ends_all_of_it(bench: Bench) -> None:
    code = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
    result = run(bench, job(bench, code, timeout=0.5))
    assert not result.succeeded
    assert result.detail.startswith("stopped at its limit of 0.5 s")
    assert "it took longer than 0.5 s" in result.log
    assert commands(bench) == []


def test_a_second_start_joins_the_run_under_way(bench: Bench) -> None:
    go = bench.root / "go"
    subject = job(bench, WAIT_FOR_FILE, str(go))
    first = started(bench)
    second = started(bench)
    assert len(commands(bench)) == 1
    assert len(runs(bench)) == 1
    go.touch()
    assert [child.communicate()[0] for child in (first, second)] == ["over\n", "over\n"]
    assert (first.returncode, second.returncode) == (0, 0)
    assert run(bench, subject).succeeded
    assert len(runs(bench)) == 2


def test_a_run_goes_on_when_its_launcher_is_killed(bench: Bench) -> None:
    go = bench.root / "go"
    subject = job(bench, WAIT_FOR_FILE, str(go))
    launcher = started(bench)
    launcher.kill()
    launcher.communicate()
    status = LocalJob.status(bench.client, Known(subject.address, "report", {}))
    assert status is not None
    assert status.state == "running"
    go.touch()
    result = run(bench, subject)  # joins it
    assert result.succeeded
    assert len(runs(bench)) == 1 or result.outputs["run"] == runs(bench)[-1].name


def test_no_second_run_begins_beside_a_command_whose_supervisor_was_killed(bench: Bench) -> None:
    go = bench.root / "go"
    subject = job(bench, WAIT_FOR_FILE, str(go))
    launcher = started(bench)
    (command,) = commands(bench)
    os.kill(json.loads((runs(bench)[-1] / "run.json").read_text())["pid"], signal.SIGKILL)
    assert job_launcher.running(folder(bench))
    second = started(bench)
    assert commands(bench) == [command]
    go.touch()
    assert launcher.wait(30) == job_launcher.CUT_OFF
    assert second.wait(30) == job_launcher.CUT_OFF
    for child in (launcher, second):
        child.communicate()
    assert run(bench, subject).succeeded
    assert len(runs(bench)) == 2


def test_a_delete_ends_the_run_under_way(bench: Bench) -> None:
    subject = job(bench, WAIT_FOR_FILE, str(bench.root / "never"), retries=5)
    launcher = started(bench)
    subject.delete("report")
    assert launcher.wait(30) != 0
    launcher.communicate()
    assert commands(bench) == []
    assert list(bench.work.rglob("*")) == []


def test_a_delete_ends_a_command_without_its_supervisor(bench: Bench) -> None:
    subject = job(bench, WAIT_FOR_FILE, str(bench.root / "never"))
    launcher = started(bench)
    os.kill(json.loads((runs(bench)[-1] / "run.json").read_text())["pid"], signal.SIGKILL)
    subject.delete("report")
    launcher.communicate()
    assert commands(bench) == []
    assert list(bench.work.rglob("*")) == []


def test_an_interrupted_wait_leaves_the_run_going(bench: Bench) -> None:
    go = bench.root / "go"
    subject = job(bench, WAIT_FOR_FILE, str(go))
    ended: list[type[BaseException]] = []

    def wait() -> None:
        try:
            run(bench, subject)
        except Cancelled as error:
            ended.append(type(error))

    waiter = threading.Thread(target=wait)
    waiter.start()
    until(bench, lambda: "begun" in bench.said)
    bench.cancelled.set()
    waiter.join(30)
    assert ended == [Cancelled]
    bench.cancelled.clear()
    assert len(commands(bench)) == 1
    go.touch()
    assert run(bench, subject).succeeded


def test_what_a_command_left_running_does_not_keep_the_job(bench: Bench) -> None:
    """It went into a session of its own and has the lock's file open still."""
    code = "import os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(600)"
    subject = job(bench, code)
    assert run(bench, subject).succeeded
    assert not job_launcher.running(folder(bench))
    assert run(bench, subject).succeeded
    subject.delete("report")
    assert commands(bench) == []


def test_limits_and_secrets_reach_the_command(bench: Bench) -> None:
    path = folder(bench) / "secrets" / "token"
    code = "import os, resource, sys; print(resource.getrlimit(resource.RLIMIT_DATA)[0], os.nice(0), len(open(sys.argv[1]).read()))"
    subject = job(bench, code, str(path), limits={"memory": 2**30, "nice": 3}, secrets={"token": "s3cret"})
    result = run(bench, subject)
    assert result.log == f"{2**30} {os.nice(0) + 3} 6"
    assert path.stat().st_mode & 0o777 == 0o600
    holders = [item for item in bench.work.rglob("*") if item.is_file() and "s3cret" in item.read_text()]
    assert holders == [path]


def test_only_the_last_runs_are_kept(bench: Bench) -> None:
    subject = job(bench, "print('again')")
    names = [run(bench, subject).outputs["run"] for _ in range(job_launcher.KEPT + 2)]
    assert [path.name for path in runs(bench)] == names[-job_launcher.KEPT :]


def test_a_run_that_cannot_even_begin_says_why(bench: Bench) -> None:
    job(bench, "pass")
    (folder(bench) / "runs").write_text("in the way")
    done = subprocess.run([folder(bench) / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == job_launcher.CUT_OFF
    assert "runs" in done.stderr


def test_a_job_of_another_is_not_taken_and_a_broken_one_is_put_back(bench: Bench) -> None:
    subject = job(bench, "print('hello')")
    other = bench.subject("local.job", "resource.y", **subject.wanted)
    with pytest.raises(NotOurs, match=r"belongs to resource\.x"):
        other.desired.create(bench.client, bench.operation("resource.y"))
    (folder(bench) / "launcher.py").write_text("exit(3)")
    assert subject.told() == "its program was changed → put back"
    subject.apply()
    assert run(bench, subject).succeeded
    with pytest.raises(DiagnosticError, match="is not there"):
        bench.subject("local.job", name="report", command=["true"], cwd="nowhere")


def test_a_service_starts_a_job_and_a_plan_runs_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.write(
        resource={"report": {"type": "local.job", "name": "report", "command": [sys.executable, "-c", "print(6 * 7)"]}}
    )
    shop.apply()
    assert shop.plan().empty
    trigger = shop.work / "jobs" / "report" / "run"
    assert subprocess.run([trigger], capture_output=True, text=True, check=True).stdout == "42\n"
    shop.apply(destroy=True)
    assert shop.left() == []
