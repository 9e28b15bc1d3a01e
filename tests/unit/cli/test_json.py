"""What machines read: one JSON object a line, on stdout or into a file, and nothing secret in it."""

from __future__ import annotations

import json
from typing import Any

from .conftest import LIGHT, Ended, Project

SECRET = LIGHT + "secret:\n  token: { generate: { length: 24 } }\n"


def records(text: str) -> list[dict[str, Any]]:
    """Every line as an object."""
    found = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(record, dict) and "event" in record for record in found)
    return found


def events(ended: Ended) -> list[str]:
    return [record["event"] for record in records(ended.out)]


def test_a_plan_is_one_record(project: Project) -> None:
    told = project.done("plan", "--json")
    assert told.err == ""
    record = records(told.out)[-1]
    assert record["event"] == "plan"
    assert record["changes"] == {"add": 3, "change": 0, "destroy": 0, "run": 0, "wait": 0}
    by_address = {each["address"]: each for each in record["resources"]}
    assert by_address["resource.note"]["action"] == "create"
    fields = {field["path"]: field["after"] for field in by_address["resource.note"]["fields"]}
    assert fields["content"] == "hello"
    assert events(project.call("plan", "--json", "--detailed-exitcode"))[-1] == "plan"


def test_an_apply_tells_its_steps_as_they_come(project: Project) -> None:
    told = project.done("apply", "-y", "--json")
    assert told.err == ""
    names = events(told)
    assert names.index("plan") < names.index("node_started") < names.index("node_done") < names.index("apply_finished")
    assert names.count("node_done") == 3
    # An apply of nothing says so with an empty plan.
    assert records(project.done("apply", "-y", "--json").out)[-1]["changes"]["add"] == 0


def test_nobody_is_asked_where_machines_read(project: Project) -> None:
    told = project.call("apply", "--json")
    assert told.code == 1
    assert records(told.out)[-1]["code"] == "not-approved"


def test_a_failure_is_a_diagnostic(project: Project) -> None:
    (project.folder / "box").write_text("in the way")
    told = project.call("apply", "-y", "--json")
    assert told.code == 1
    found = records(told.out)
    assert any(record["event"] == "diagnostic" and record["address"] == "resource.box" for record in found)
    skipped = [record for record in found if record["event"] == "nodes_skipped"]
    assert skipped == [{"event": "nodes_skipped", "addresses": ["resource.note"], "because": "resource.box"}]


def test_text_here_and_json_in_a_file(project: Project) -> None:
    told = project.done("apply", "-y", "--json-into", "events.jsonl")
    assert "Plan: 3 to add" in told.out
    found = records((project.folder / "events.jsonl").read_text())
    assert [record["event"] for record in found][-1] == "apply_finished"
    wrong = project.call("plan", "--json-into", "no/such/folder")
    assert wrong.code == 1
    assert "[file-unwritable]" in wrong.err


def test_every_question_has_an_answer_for_machines(project: Project) -> None:
    project.write(SECRET)
    project.done("apply", "-y")
    for arguments in (
        ("status",),
        ("output",),
        ("show",),
        ("show", "resource.note"),
        ("validate",),
        ("check",),
        ("kinds",),
        ("kinds", "storage"),
        ("providers",),
        ("providers", "local.folder"),
    ):
        records(project.done(*arguments, "--json").out)
    shown = records(project.done("show", "resource.note", "--json").out)
    assert shown[0]["fields"]["content"] == "hello"
    outputs = records(project.done("output", "--json").out)[0]["outputs"]
    assert outputs["secret.token"]["value"] == "(sensitive)"
