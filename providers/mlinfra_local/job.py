"""`local.job`: something that runs once when it is asked for. The run belongs to `job_launcher`, copied beside it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar

import psutil
from pydantic import Field, field_validator

from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, SECRET
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, RunResult, Status
from mlinfra_local import alive, job_launcher, log_file
from mlinfra_local.client import LocalClient
from mlinfra_local.paths import safe_name, source
from mlinfra_local.process import ProcessLimits
from mlinfra_local.process_record import ProcessFolder, Record
from mlinfra_local.writing import read_json, write, write_json


class LocalJob(Resource):
    """A command that is run by `mlinfra run`, by a plan that needs what it makes, or by a trigger.

    Example::

        resource:
          report: { type: local.job, name: report, command: [python3, report.py], cwd: jobs, timeout: 600 }
    """

    type: ClassVar[str] = "local.job"
    looks_outside: ClassVar[bool] = True

    name: Annotated[str, REPLACE]
    """Its name in this environment."""
    command: list[str] = Field(min_length=1)
    """The program and its arguments."""
    env: dict[str, str] = {}
    """Environment variables, besides those of whoever starts it."""
    secrets: Annotated[dict[str, str], SECRET] = {}
    """Secrets by name, each put into a file that its user only can read: ``<work>/jobs/<name>/secrets/<secret>``."""
    cwd: str | None = None
    """Its working folder, relative to the blueprint's folder; a folder of its own if left out."""
    timeout: float | None = Field(None, gt=0)
    """Seconds that a run may take."""
    retries: int = Field(0, ge=0, le=100)
    """How often a failed run is tried again."""
    limits: ProcessLimits | None = None
    launcher: str | None = None
    """A digest of the program that runs it. Not to be set."""
    run_with: Annotated[str | None, COMPUTED] = None
    """The program that starts a run, or joins the one under way, and ends with its exit code."""

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str) -> str:
        return safe_name(value)

    @field_validator("secrets")
    @classmethod
    def _safe_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        return {safe_name(name): text for name, text in value.items()}

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        told = {**fields, "launcher": _digest(_launcher())}
        told["run_with"] = os.path.abspath(place.work / "jobs" / fields["name"] / "run")  # noqa: PTH100
        if fields["cwd"] is not None:
            folder = source(fields["cwd"], place, "cwd")
            if not folder.is_dir():
                raise ProviderError(
                    f"the folder {fields['cwd']}, in which {fields['name']} runs, is not there",
                    remedy=f"Create {folder}, or correct the path.",
                )
            told["cwd"] = str(folder)
        return told

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        folder = _folder(client, known.id)
        record = folder.record()
        if record is None:
            return {"name": known.id} if folder.path.exists() else None
        program = folder.path / "launcher.py"
        usable = os.access(folder.path / "run", os.X_OK) and (folder.path / "job.json").is_file()
        return {
            **record.fields,
            "secrets": folder.secrets(),
            "launcher": _digest(program.read_bytes()) if program.is_file() and usable else None,
            "run_with": str(folder.path / "run"),
        }

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        folder = _folder(client, self.name)
        record = folder.record()
        if record is None:  # a run was cut off before it wrote one
            return self.name if folder.path.exists() else None
        return self.name if dict(record.owner) == dict(op.owner) else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        record = _folder(client, self.name).record()
        if record is not None and dict(record.owner) != dict(op.owner) and not op.adopt:
            other = record.owner.get("mlinfra:address", "another resource")
            raise NotOurs(
                f"a job named {self.name} belongs to {other}",
                remedy=f"Choose another name, or take it over with --adopt {op.address}.",
            )
        self._write(client, op)
        return Created(self.name)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        self._write(client, op)
        return None

    def _write(self, client: LocalClient, op: Operation) -> None:
        folder = _folder(client, self.name)
        told = self.model_dump(mode="json", exclude={"secrets", "launcher", "run_with"})
        fields = {name: value for name, value in told.items() if value not in (None, {}, [])}
        folder.put(client, Record(self.name, dict(op.owner), {}, fields), self.secrets)
        write(folder.path / "launcher.py", _launcher())
        write_json(folder.path / "job.json", {**fields, "cwd": self.cwd or str(folder.path)})
        interpreter, program = shlex.quote(sys.executable), shlex.quote(str(folder.path / "launcher.py"))
        script = f'#!/bin/sh\nunset MLINFRA_PROCESS\nexec {interpreter} -I {program} "$@"\n'
        write(folder.path / "run", script.encode(), 0o700)

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        folder = _folder(client, known.id)
        if job_launcher.running(folder.path):
            op.say("stopping the run under way")
        _stop(client, folder, op)
        folder.remove(client)

    def run(self, client: LocalClient, known: Known, op: Operation) -> RunResult:
        folder = _folder(client, known.id)
        started = subprocess.run([folder.path / "run", "--name-only"], capture_output=True, text=True, check=False)
        name = started.stdout.strip()
        if started.returncode != 0 or not name:
            raise ProviderError(
                "the run could not be started",
                remedy="Mend the cause, then run it again.",
                log=started.stderr.strip(),
            )
        run = folder.path / "runs" / name

        def over() -> bool:
            if op.cancelled.is_set():
                op.wait(0)
            return (run / "result.json").exists() or not job_launcher.running(folder.path)

        for line in log_file.follow(run / "log", ended=over, at=0):
            if line.strip():
                op.say(line)
        result = read_json(run / "result.json")
        log = log_file.excerpt(run / "log")
        if not isinstance(result, dict):
            return RunResult(False, "the run was cut off before it ended", log=log)
        code, seconds = int(result["code"]), float(result["seconds"])
        if code == 0:
            return RunResult(True, f"ended well after {seconds:.0f} s", {"run": name}, log)
        return RunResult(False, f"{_ending(code, self.timeout)} after {seconds:.0f} s", {"run": name}, log)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        heads = dict.fromkeys(change.path.partition(".")[0] for change in changes)
        return "its program was changed → put back" if list(heads) == ["launcher"] else None

    @classmethod
    def status(cls, client: LocalClient, known: Known) -> Status | None:
        folder = _folder(client, known.id)
        last = _last_run(folder)
        if job_launcher.running(folder.path):
            return Status("running", f"run {last.name}" if last else "")
        if last is None:
            return Status("ready", "no run yet")
        result = read_json(last / "result.json")
        if not isinstance(result, dict):
            return Status("failed", f"run {last.name} was cut off")
        code = int(result["code"])
        said = "ended well" if code == 0 else _ending(code, None)
        return Status("ready" if code == 0 else "failed", f"run {last.name} {said} after {result['seconds']:.0f} s")

    @classmethod
    def logs(cls, client: LocalClient, known: Known, *, tail: int, follow: bool) -> Iterator[str]:
        folder = _folder(client, known.id)
        last = _last_run(folder)
        if last is None:
            return
        log = last / "log"
        end = log.stat().st_size if log.exists() else 0
        yield from log_file.tail(log, tail)
        if follow:
            yield from log_file.follow(log, ended=lambda: not job_launcher.running(folder.path), at=end)


def _folder(client: LocalClient, name: str) -> ProcessFolder:
    return ProcessFolder(client.work / "jobs" / name)


def _last_run(folder: ProcessFolder) -> Path | None:
    runs = folder.path / "runs"
    return max(runs.iterdir(), default=None) if runs.is_dir() else None


def _stop(client: LocalClient, folder: ProcessFolder, op: Operation) -> None:
    """End the run under way (its supervisor is asked and passes it on), and what earlier ones left running."""
    supervisor = _supervisor(folder)
    if supervisor is not None:
        with contextlib.suppress(psutil.Error):
            supervisor.terminate()
        waited = 0.0
        while job_launcher.running(folder.path) and alive.lives(supervisor) and waited < job_launcher.GRACE + 5.0:
            op.wait(0.1)
            waited += 0.1
    alive.stop(client, alive.scan(client, folder.marker()), 5.0, op.wait)


def _supervisor(folder: ProcessFolder) -> psutil.Process | None:
    """Who runs the last run, if it still does: its id may be somebody else's by now."""
    last = _last_run(folder)
    told = read_json(last / "run.json") if last else None
    try:
        process = psutil.Process(int(told["pid"])) if isinstance(told, dict) else None
        ours = process is not None and str(folder.path / "launcher.py") in process.cmdline()
    except psutil.Error:
        return None
    return process if ours else None


def _ending(code: int, timeout: float | None) -> str:
    if code == job_launcher.TIMED_OUT:
        return f"stopped at its limit of {timeout:g} s" if timeout else "stopped at its time limit"
    if code == job_launcher.CUT_OFF:
        return "cut off"
    return f"killed by signal {code - 128}" if code > 128 else f"ended with exit code {code}"


@cache
def _launcher() -> bytes:
    return resources.files("mlinfra_local").joinpath("job_launcher.py").read_bytes()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
