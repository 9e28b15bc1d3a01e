"""Waiting until a process can be used, with its own words if it cannot; and what a change of one means in a line."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import psutil

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import FieldChange, Operation
from mlinfra_local import log_file, ports, probe
from mlinfra_local.client import LocalClient
from mlinfra_local.process import SETTLE
from mlinfra_local.process_record import ProcessFolder, Record
from mlinfra_local.writing import read_json

STEP = 0.05
LONGEST = 0.5
"""Seconds between looks: short at first, then longer."""
WITHOUT_PROBE = 60.0
"""Seconds until a process without a probe must listen on its ports."""


def wait_ready(client: LocalClient, folder: ProcessFolder, op: Operation) -> None:
    """Wait until a process answers its probe; without one, until it listens, or has lived for a moment.

    Errors: ProviderError with its last log lines if it ends or does not answer in time.
    """
    record = folder.record()
    if record is None:
        raise ProviderError("its folder is gone", remedy="Run `mlinfra apply` again.")
    wanted = record.fields.get("probe")
    limit = float(wanted["timeout"]) if wanted else WITHOUT_PROBE
    if not record.fields.get("ports"):
        limit = SETTLE
    if folder.process(client, record) is None and _meant_to_stop(folder, record):
        return
    waited, step, told = 0.0, STEP, 0
    while True:
        process = folder.process(client, record)
        if process is None:
            raise ProviderError(
                "the process ended right after its start" if waited < 5 else f"the process ended after {waited:.0f} s",
                remedy=f"Its whole log is {folder.log}.",
                log=log_file.excerpt(folder.log),
            )
        ports_wanted = bool(record.fields.get("ports"))
        if _answers(record, process) if ports_wanted else waited >= limit:
            _remember(folder, record, process)
            return
        if waited >= limit:
            raise ProviderError(
                f"the process runs, but {_unanswered(record)} for {limit:.0f} s",
                remedy=f"It was left running. Its whole log is {folder.log}. `mlinfra apply` goes on waiting for it.",
                log=log_file.excerpt(folder.log),
            )
        if waited >= told + 5:
            told = int(waited)
            op.say(f"waiting until it answers ({told} s)")
        op.wait(step)
        waited += step
        step = min(LONGEST, step * 1.5)


def _remember(folder: ProcessFolder, record: Record, process: psutil.Process) -> None:
    """Write down a start of a run that was cut off before it could, so that nobody needs to look for it again."""
    run = read_json(folder.path / "run.json")
    if not isinstance(run, dict) or run.get("nonce") != record.nonce:
        with contextlib.suppress(psutil.Error):
            folder.started(record.nonce, process)


def _meant_to_stop(folder: ProcessFolder, record: Record) -> bool:
    run = read_json(folder.path / "run.json")
    return isinstance(run, dict) and run.get("nonce") == record.nonce and bool(run.get("stopped"))


def _answers(record: Record, process: psutil.Process) -> bool:
    """Whether it can be used. A stranger on its port does not count."""
    host = str(record.fields["host"])
    wanted = record.fields.get("probe")
    if not wanted:
        return all(
            probe.accepts(host, number) and ports.listens(process, number) is not False
            for number in record.bound.values()
        )
    number = record.bound[wanted["port"]]
    status = probe.answer(host, number, wanted["path"])
    return status is not None and status < 400 and ports.listens(process, number) is not False


def _unanswered(record: Record) -> str:
    wanted = record.fields.get("probe")
    if not wanted:
        return f"did not listen on its ports {', '.join(map(str, record.bound.values()))}"
    number = record.bound[wanted["port"]]
    status = probe.answer(str(record.fields["host"]), number, wanted["path"])
    said = f"answered {status} at" if status else "did not answer at"
    return f"{said} {wanted['path']} on port {number}"


def explained(changes: Sequence[FieldChange]) -> str | None:
    """A restart, start or stop in a line."""
    by_head: dict[str, FieldChange] = {}
    for change in changes:
        by_head.setdefault(change.path.partition(".")[0], change)
    running = by_head.pop("running", None)
    if running is not None and running.old is False and running.new is True:
        if "command" in by_head and by_head["command"].old is None:
            return "its folder was deleted → start again"
        return "stopped → start" + (f" ({_reasons(changes)})" if by_head else "")
    if running is not None and running.new is False:
        return "running → stop"
    if set(by_head) <= {"probe", "grace"}:
        return None
    return f"restart: {_reasons(changes)}"


def _reasons(changes: Sequence[FieldChange]) -> str:
    told: dict[str, None] = {}
    for change in changes:
        head, _, rest = change.path.partition(".")
        if head == "restart_on":
            shown = isinstance(change.old, str) and isinstance(change.new, str) and len(change.old + change.new) < 40
            plain = shown and not any(_digest(text) for text in (change.old, change.new))
            told[f"{rest} {change.old} → {change.new}" if plain else f"{rest or 'what it stands on'} changed"] = None
        elif head == "command" and _only_python(change):
            told["its Python environment changed"] = None
        elif head != "running":
            told[f"{head} changed"] = None
    return ", ".join(told)


def _only_python(change: FieldChange) -> bool:
    """Whether two commands differ in nothing but the interpreter of an environment that was made anew."""
    old, new = change.old, change.new
    if not isinstance(old, list) or not isinstance(new, list) or len(old) != len(new):
        return False
    return all(left == right or ("/envs/" in left and "/envs/" in right) for left, right in zip(old, new, strict=True))


def _digest(text: str) -> bool:
    return len(text) == 16 and all(letter in "0123456789abcdef" for letter in text)
