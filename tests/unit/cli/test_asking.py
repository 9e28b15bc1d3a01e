"""status, output, show, graph, logs, check, run: what they answer, and with which code they end."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import pytest

from .conftest import HEAD, LIGHT, Project

BROKEN = (
    HEAD
    + """\
resource:
  broken:
    type: local.process
    name: broken
    command: [sh, -c, "echo one; echo two; echo last words >&2; exit 3"]
"""
)


def test_before_an_apply_there_is_nothing_to_tell(project: Project) -> None:
    assert project.done("status").out == "Nothing is applied in laptop yet. `mlinfra apply` makes it.\n"
    assert project.done("show").out == "Nothing is applied yet.\n"
    assert re.search(r"^storage\.lake\.url +\(not yet\)$", project.done("output").out, re.M)
    wanted = project.call("output", "storage.lake.url")
    assert wanted.code == 1
    assert "Run `mlinfra apply` first." in wanted.err
    assert project.names() == ["blueprint.yaml"]


def test_an_output_alone_is_a_bare_value(project: Project) -> None:
    project.done("apply", "-y")
    told = project.done("output", "storage.lake.path")
    path = Path(told.out.removesuffix("\n"))
    assert path.is_dir()
    assert json.loads(project.done("output", "storage.lake").out) == {"url": path.as_uri(), "path": str(path)}
    assert json.loads(project.done("output", "storage.lake.path", "--json").out) == str(path)
    for name in ("storage.lake.pth", "storage.pond", "lake", "."):
        wrong = project.call("output", name)
        assert wrong.code == 1
        assert wrong.out == ""
        assert f'Nothing offers "{name}"' in wrong.err


def test_show_tells_what_was_applied(project: Project) -> None:
    project.done("apply", "-y")
    told = project.done("show")
    assert [line.split()[:2] for line in told.out.splitlines()] == [
        ["resource.box", "local.folder"],
        ["resource.note", "local.file"],
        ["storage.lake/folder.folder", "local.folder"],
    ]
    one = project.done("show", "resource.note")
    assert re.search(r"^  content +hello$", one.out, re.M)
    assert project.done("show", "storage.lake").out.startswith("storage.lake/folder.folder")
    wrong = project.call("show", "resource.not")
    assert wrong.code == 1
    assert 'Did you mean "resource.note"?' in wrong.err


def test_status_tells_that_nothing_runs(project: Project) -> None:
    project.done("apply", "-y")
    assert project.done("status").out == "3 resources applied in laptop, none that runs. `mlinfra show` lists them.\n"


def test_a_process_that_ends_at_once_is_told_with_its_last_words(project: Project) -> None:
    project.write(BROKEN)
    told = project.spawn("apply", "-y")
    assert told.code == 1
    assert "the process ended right after its start" in told.err
    assert "    | last words" in told.err
    assert re.search(r"^resource\.broken +stopped", project.done("status").out, re.M)
    assert project.done("logs", "resource.broken").out == "one\ntwo\nlast words\n"
    assert project.done("logs", "resource.broken", "-n", "1").out == "last words\n"
    assert project.done("logs", "resource.broken", "--tail", "0").out == ""
    # What was begun goes on from there.
    assert "stopped → start" in project.done("plan").out
    project.done("destroy", "-y")


def test_a_port_that_is_taken_is_told(project: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = "[python3, -m, http.server, '{port:http}', --bind, 127.0.0.1]"
        project.write(
            HEAD + f"resource:\n  web:\n    type: local.process\n    name: web\n    command: {command}\n"
            f"    ports: {{ http: {port} }}\n"
        )
        told = project.spawn("apply", "-y")
    assert told.code == 1
    assert str(port) in told.err
    assert "resource.web" in told.err
    project.done("destroy", "-y")


def test_logs_of_what_has_none(project: Project) -> None:
    project.done("apply", "-y")
    told = project.call("logs", "resource.note")
    assert told.code == 1
    assert "[no-log]" in told.err
    wrong = project.call("logs", "resource.web")
    assert wrong.code == 1
    assert "[address-unknown]" in wrong.err


def test_a_run_needs_a_job(project: Project) -> None:
    told = project.call("run", "storage.lake")
    assert told.code == 1
    assert "storage.lake is not applied yet" in told.err
    project.done("apply", "-y")
    assert "storage.lake has no job" in project.call("run", "storage.lake").err
    assert "[address-unknown]" in project.call("run", "training.none").err


JOB = (
    HEAD
    + """\
resource:
  job: { type: local.job, name: job, command: [sh, -c, "echo made > made.txt; echo done"] }
"""
)


def test_a_job_runs_when_it_is_told_to(project: Project) -> None:
    project.write(JOB)
    project.done("apply", "-y")
    assert not list(project.folder.rglob("made.txt"))
    told = project.spawn("run", "resource.job")
    assert told.code == 0
    assert "Finished: 1 done" in told.err
    assert len(list(project.folder.rglob("made.txt"))) == 1
    assert "done" in project.done("logs", "resource.job").out.split()
    project.write(JOB.replace("echo done", "exit 4"))
    project.done("apply", "-y")
    failed = project.spawn("run", "resource.job")
    assert failed.code == 1
    assert "resource.job" in failed.err


def test_a_check_of_what_is_not_there_fails(project: Project) -> None:
    assert project.done("check").out == "Nothing to check.\n"
    project.write(
        HEAD
        + """\
feature_store:
  fraud:
    entities: { user: { join_key: user_id } }
    views: { txn: { source: /nowhere.parquet, entity: user, features: { amount: float64 } } }
"""
    )
    told = project.call("check")
    assert told.code == 1
    assert "not applied yet: run `mlinfra apply`" in told.out
    assert "1 of 1 check failed" in told.out
    assert project.call("check", "feature_store.fraud").code == 1
    wrong = project.call("check", "feature_store.frau")
    assert wrong.code == 1
    assert 'Did you mean "feature_store.fraud"?' in wrong.err


def test_graphs_in_two_languages(project: Project) -> None:
    mermaid = project.done("graph").out
    assert mermaid.startswith("graph LR\n")
    assert '["resource.note"]' in mermaid
    assert mermaid.count(" --> ") == 1
    dot = project.done("graph", "--format", "dot", "--resources").out
    assert '"resource.box" -> "resource.note";' in dot
    wrong = project.call("graph", "--format", "png")
    assert wrong.code == 1
    assert "mermaid or dot" in wrong.err


def test_validate_counts_what_it_read(project: Project) -> None:
    told = project.done("validate")
    assert told.out == "Valid: demo in laptop, 3 components, 3 resources.\n"
    assert project.names() == ["blueprint.yaml"]


@pytest.mark.parametrize("arguments", [("kinds", "storag"), ("providers", "locl"), ("providers", "local.foldr")])
def test_references_of_what_is_not_there(project: Project, arguments: tuple[str, ...]) -> None:
    told = project.call(*arguments)
    assert told.code == 1
    assert "Did you mean" in told.err


def test_references_tell_every_field(project: Project) -> None:
    told = project.done("kinds", "feature_store").out
    for field in ("join_key", "timestamp_field", "on_apply", "window", "expose"):
        assert re.search(rf"^ +{field}  ", told, re.M), field
    assert "${feature_store.<name>.url}" in told
    told = project.done("providers", "local.process").out
    assert "forces replacement, required" in told
    assert "restart_on" in told
    assert LIGHT.splitlines()[0] not in told
