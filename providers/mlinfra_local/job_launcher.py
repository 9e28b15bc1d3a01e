"""Runs a job: ``launcher.py [--name-only]``. Starts a run, or joins the one under way, prints its log, ends with its exit code.

Copied into the job's folder, beside ``job.json``: standard library only, nothing of mlinfra. The run itself belongs to a
supervisor that has left the launcher's session, so that it goes on when the launcher is killed. It holds the job's lock, and
so does its command: should the supervisor be killed, no second run begins beside a command that still runs. Folder of a run:
``runs/<time>/`` with ``log``, ``run.json`` (the supervisor) and, at the end, ``result.json``.

Exit codes: the command's own, 128 + n for signal n; 124 after the time limit; 125 if the run was cut off; 127: no such program.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

KEPT = 10
"""How many runs are kept with their logs."""
GRACE = 10.0
"""Seconds to end by itself before a command is killed."""
TIMED_OUT, CUT_OFF, NO_PROGRAM = 124, 125, 127
DROPPED = (
    *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__"),
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)


def write_json(path: Path, value: Any) -> None:
    """A JSON file, replaced atomically, 0600."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as stream:
        json.dump(value, stream)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def begin(folder: Path) -> str:
    """Start a supervisor; gives the name of the run that goes on now, its own or an earlier one's."""
    read_end, write_end = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(read_end)
        os.setsid()
        if os.fork() > 0:
            os._exit(0)
        try:
            supervise(folder, write_end)
        except Exception as error:  # nobody has heard of the run yet: say why there is none
            os.write(2, f"mlinfra: {type(error).__name__}: {error}\n".encode())
        finally:
            os._exit(0)
    os.close(write_end)
    os.waitpid(first, 0)
    with os.fdopen(read_end) as stream:
        return stream.read()


def supervise(folder: Path, tell: int) -> None:
    """Hold the job's lock for the time of one run. Without the lock: name the run of who holds it."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        for _ in range(500):
            current = read_json(folder / "current.json")
            if current and current.get("lock") == os.pread(lock, 64, 0).decode():
                os.write(tell, current["run"].encode())
                return
            time.sleep(0.01)
        return
    name, run = new_run(folder)
    os.ftruncate(lock, 0)
    os.pwrite(lock, name.encode(), 0)
    write_json(run / "run.json", {"pid": os.getpid(), "began": time.time()})
    write_json(folder / "current.json", {"run": name, "lock": name})
    os.write(tell, name.encode())
    os.close(tell)
    log = os.open(run / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for target, source in ((0, null), (1, log), (2, log)):
        os.dup2(source, target)
    began = time.time()
    try:
        result = attempts(folder, json.loads((folder / "job.json").read_text()), lock)
    except Exception as error:  # the run must end with a result, whatever happens
        say(f"{type(error).__name__}: {error}")
        result = {"code": CUT_OFF}
    write_json(run / "result.json", {**result, "seconds": round(time.time() - began, 3), "ended": time.time()})
    for old in sorted(path for path in (folder / "runs").iterdir())[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    os.ftruncate(lock, 0)
    fcntl.flock(lock, fcntl.LOCK_UN)  # also for what the command left running


def new_run(folder: Path) -> tuple[str, Path]:
    """The folder of a new run, named by the time, so that names sort."""
    runs = folder / "runs"
    runs.mkdir(exist_ok=True)
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    number = 1
    while True:
        run = runs / f"{stamp}-{number:03d}"
        try:
            run.mkdir(mode=0o700)
        except FileExistsError:
            number += 1
        else:
            return run.name, run


def attempts(folder: Path, job: dict[str, Any], lock: int) -> dict[str, Any]:
    """Run the command; again if it fails and retries are left, unless somebody asked it to stop."""
    asked: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda number, _frame: asked.append(number))
    code = NO_PROGRAM
    attempt = 0
    while not asked and attempt <= int(job.get("retries", 0)):
        if attempt:
            say(f"it ended with {code}; attempt {attempt + 1} of {int(job['retries']) + 1}")
        attempt += 1
        code = once(folder, job, lock, asked)
        if code == 0:
            break
    return {"code": code, "attempts": attempt}


def once(folder: Path, job: dict[str, Any], lock: int, asked: list[int]) -> int:
    """One run of the command: its exit code. Ended when somebody asks, and at the time limit."""
    values = {key: value for key, value in os.environ.items() if key not in DROPPED}
    if any(key.lower() in ("http_proxy", "https_proxy", "all_proxy") for key in values):
        for key in ("NO_PROXY", "no_proxy"):
            values[key] = ",".join(filter(None, [values.get(key, ""), "127.0.0.1,localhost"]))
    values |= job.get("env", {})
    values["MLINFRA_PROCESS"] = f"{folder}#job"
    try:
        child = subprocess.Popen(
            job["command"],
            env=values,
            cwd=job["cwd"],
            start_new_session=True,
            pass_fds=(lock,),
            preexec_fn=lambda: limit(job),
        )
    except (OSError, subprocess.SubprocessError) as error:
        say(f"{job['command'][0]} cannot be started: {getattr(error, 'strerror', None) or error}")
        return NO_PROGRAM
    limit_at = time.monotonic() + job["timeout"] if job.get("timeout") else None
    kill_at = None
    timed_out = False
    while True:
        try:
            code = child.wait(0.1)
            break
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if kill_at is None and limit_at is not None and now >= limit_at:
            say(f"stopped: it took longer than {job['timeout']:g} s")
            timed_out = True
        if kill_at is None and (timed_out or asked):
            signalled(child, signal.SIGTERM)
            kill_at = now + GRACE
        elif kill_at is not None and now >= kill_at:
            signalled(child, signal.SIGKILL)
    signalled(child, signal.SIGKILL)  # what it left in its group
    return TIMED_OUT if timed_out else 128 - code if code < 0 else code


def signalled(child: subprocess.Popen[bytes], signum: signal.Signals) -> None:
    """A signal to the command and all in its process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signum)


def limit(job: dict[str, Any]) -> None:
    """Bound the memory that the command may hold, and let it stand back for others."""
    limits = job.get("limits") or {}
    if limits.get("memory") and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (limits["memory"], limits["memory"]))
    if limits.get("nice"):
        os.nice(limits["nice"])


def say(text: str) -> None:
    """A line of the log."""
    os.write(1, f"mlinfra: {text}\n".encode())


def running(folder: Path) -> bool:
    """Whether a supervisor holds the job's lock."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False


def join(folder: Path, run: str) -> int:
    """Print a run's log until its result is there."""
    log, result_file = folder / "runs" / run / "log", folder / "runs" / run / "result.json"
    position = 0
    while True:
        result = read_json(result_file)
        over = result is not None or not running(folder)
        if log.exists():
            with log.open("rb") as stream:
                stream.seek(position)
                text = stream.read()
            position += len(text)
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
        if over:
            result = result or read_json(result_file)
            return int(result["code"]) if result else CUT_OFF
        time.sleep(0.1)


def main() -> int:
    """Start or join a run."""
    folder = Path(__file__).resolve().parent
    run = begin(folder)
    if not run:
        sys.stderr.write("mlinfra: the run could not be started\n")
        return CUT_OFF
    if "--name-only" in sys.argv[1:]:
        sys.stdout.write(f"{run}\n")
        return 0
    return join(folder, run)


if __name__ == "__main__":
    sys.exit(main())
