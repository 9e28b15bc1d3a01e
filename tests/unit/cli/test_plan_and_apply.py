"""plan, apply, destroy: what they say, what they leave, which code they end with."""

from __future__ import annotations

import json
import stat
from contextlib import closing

import pytest

from mlinfra.state.backend import StateBackend

from .conftest import HEAD, LIGHT, Project

NOTHING = "No changes. 3 resources are as the blueprint says."


def test_a_plan_groups_by_component_and_ends_with_its_sum(project: Project) -> None:
    told = project.done("plan")
    assert told.out.splitlines() == [
        "storage.lake",
        "  + folder",
        "",
        "+ resource.box  local.folder",
        "+ resource.note  local.file",
        "",
        "Plan: 3 to add, 0 to change, 0 to destroy.",
        "Nothing is there yet, so nothing was read.",
    ]
    assert told.err == ""
    assert project.names() == ["blueprint.yaml"]


def test_an_apply_makes_it_and_the_next_plan_is_empty(project: Project) -> None:
    told = project.done("apply", "--auto-approve")
    assert "Plan: 3 to add" in told.out
    assert "resource.note: created in" in told.err
    assert "Finished: 3 done in" in told.err
    assert (project.folder / "box" / "note.txt").read_text() == "hello"
    again = project.done("plan")
    assert again.out.startswith(NOTHING)
    assert "3 objects read in" in again.out
    assert project.done("apply", "--auto-approve").out.startswith(NOTHING)


def test_detailed_exitcode_tells_nothing_changes_and_mistakes_apart(project: Project) -> None:
    assert project.call("plan", "--detailed-exitcode").code == 2
    project.done("apply", "-y")
    assert project.call("plan", "--detailed-exitcode").code == 0
    project.write("nonsense: {}\n")
    assert project.call("plan", "--detailed-exitcode").code == 1
    # A misspelt option is no sign of changes either.
    assert project.call("plan", "--detailed-exitcod").code == 1


def test_drift_is_one_line_and_mended(project: Project) -> None:
    project.done("apply", "-y")
    (project.folder / "box" / "note.txt").write_text("edited")
    told = project.done("plan")
    assert told.out.splitlines()[0].startswith("~ resource.note  local.file")
    assert "Plan: 0 to add, 1 to change, 0 to destroy." in told.out
    assert "resource.box" not in told.out
    project.done("apply", "-y")
    assert (project.folder / "box" / "note.txt").read_text() == "hello"


def test_without_a_terminal_nobody_can_approve(project: Project) -> None:
    told = project.call("apply")
    assert told.code == 1
    assert "Plan: 3 to add" in told.out
    assert "[not-approved]" in told.err
    assert "--auto-approve" in told.err
    assert not (project.folder / "box").exists()


def test_a_saved_plan_is_applied_as_it_was_shown(project: Project) -> None:
    shown = project.done("plan", "--out", "p")
    path = project.folder / "p"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "mlinfra apply p" in shown.out
    assert project.done("show", "p").out.splitlines()[-2:] == shown.out.splitlines()[-3:-1]
    told = project.done("apply", "p")
    assert "Plan: 3 to add" in told.out
    assert (project.folder / "box" / "note.txt").exists()
    again = project.call("apply", "p")
    assert again.code == 1
    assert "[plan-stale]" in again.err


def _blueprint(project: Project) -> None:
    project.write(LIGHT.replace("hello", "bye"))


def _state(project: Project) -> None:
    project.done("apply", "-y", "--target", "storage.lake")


def _live(project: Project) -> None:
    (project.folder / "box" / "note.txt").write_text("edited again")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_blueprint, "the blueprint (or a variable) has changed since the plan was made"),
        (_live, "resource.note has changed since the plan was made"),
    ],
)
def test_a_saved_plan_is_refused_with_the_reason(project: Project, change: object, why: str) -> None:
    project.done("apply", "-y")
    (project.folder / "box" / "note.txt").write_text("edited")
    project.done("plan", "--out", "p")
    assert callable(change)
    change(project)
    before = (project.folder / "box" / "note.txt").read_text()
    told = project.call("apply", "p")
    assert told.code == 1
    assert f"Nothing was changed: {why}." in told.err
    assert "mlinfra plan --out FILE" in told.err
    assert (project.folder / "box" / "note.txt").read_text() == before


def test_a_saved_plan_is_refused_after_another_apply(project: Project) -> None:
    project.done("plan", "--out", "p")
    _state(project)
    told = project.call("apply", "p")
    assert told.code == 1
    assert "[plan-stale]" in told.err
    assert "state" in told.err
    assert not (project.folder / "box").exists()


def test_a_saved_plan_is_refused_after_a_template_of_its_changed(project: Project) -> None:
    project.write(LIGHT.replace("content: hello", "template: note.j2"))
    project.write("first", "note.j2")
    project.done("plan", "--out", "p")
    project.write("second", "note.j2")
    told = project.call("apply", "p")
    assert told.code == 1
    assert "resource.note takes its content from has changed since" in told.err
    assert not (project.folder / "box").exists()
    project.write("first", "note.j2")
    project.done("apply", "p")
    assert (project.folder / "box" / "note.txt").read_text() == "first"


def test_a_saved_plan_of_another_environment_is_refused(project: Project) -> None:
    project.done("plan", "--out", "p")
    told = project.call("apply", "p", "-e", "prod")
    assert told.code == 1
    assert "The plan is for demo in laptop; this is demo in prod." in told.err


@pytest.mark.parametrize("text", ["", "{}", '{"mlinfra_plan": 99}', "[1]", '{"mlinfra_plan": 1, "nodes": 3}'])
def test_a_file_that_is_no_plan_is_refused(project: Project, text: str) -> None:
    project.write(text, "p")
    told = project.call("apply", "p")
    assert told.code == 1
    assert told.err.startswith("Error: ")
    assert "mlinfra plan --out FILE" in told.err


def test_a_missing_plan_and_one_that_cannot_be_written_are_said(project: Project) -> None:
    assert "[file-unreadable]" in project.call("apply", "nowhere").err
    told = project.call("plan", "--out", "no/such/folder/p")
    assert told.code == 1
    assert "[file-unwritable]" in told.err


def test_only_a_target_or_all_but_one(project: Project) -> None:
    told = project.done("plan", "--target", "resource.note")
    assert "Plan: 2 to add" in told.out
    assert "storage.lake" not in told.out
    told = project.done("plan", "--exclude", "resource.box")
    assert "Plan: 1 to add" in told.out
    for option in ("--target", "--exclude", "--replace"):
        wrong = project.call("plan", option, "resource.nots")
        assert wrong.code == 1
        assert 'Nothing has the address "resource.nots". Did you mean "resource.note"?' in wrong.err


def test_a_replacement_can_be_asked_for(project: Project) -> None:
    project.done("apply", "-y")
    told = project.done("plan", "--replace", "resource.note")
    assert "± resource.note" in told.out
    assert "Plan: 1 to add, 0 to change, 1 to destroy." in told.out


def test_what_a_provider_cannot_do_is_said_and_an_error_if_that_is_wanted(project: Project) -> None:
    project.write(HEAD + "storage:\n  lake: { versioning: true }\n")
    told = project.done("plan")
    assert "storage.lake  not on local: versioning" in told.out
    strict = project.call("plan", "--strict")
    assert strict.code == 1
    assert "[unsupported]" in strict.err


def test_destroy_leaves_nothing_of_ours(project: Project) -> None:
    project.done("apply", "-y")
    told = project.done("destroy", "-y")
    assert "Plan: 0 to add, 0 to change, 3 to destroy." in told.out
    assert not (project.folder / "box").exists()
    assert "Nothing is there that could be destroyed." in project.done("plan", "--destroy").out
    project.done("apply", "-y")


def test_data_is_lost_only_by_name_where_it_is_not_disposable(project: Project) -> None:
    project.done("apply", "-y", "-e", "prod")
    lake = project.folder / ".mlinfra" / "prod" / "storage" / "lake"
    (lake / "rows.csv").write_text("1,2\n")
    told = project.call("destroy", "-y", "-e", "prod")
    assert told.code == 1
    assert "[data-loss]" in told.err
    assert "1 file, 4 B" in told.err
    assert (lake / "rows.csv").exists()
    address = "storage.lake/folder.folder"
    assert f"--allow-data-loss {address}" in told.err
    agreed = [word for each in (address, "resource.box") for word in ("--allow-data-loss", each)]
    project.done("destroy", "-y", "-e", "prod", *agreed)
    assert not lake.exists()


def test_a_held_lock_says_who_holds_it(project: Project) -> None:
    path = project.folder / ".mlinfra" / "laptop" / "state.db"
    with closing(StateBackend.open(path, "demo", "laptop")) as backend, backend.begin("apply"):
        told = project.call("apply", "-y")
    assert told.code == 1
    assert "since" in told.err
    assert not (project.folder / "box").exists()


def test_durations_that_are_none_are_told_with_the_option(project: Project) -> None:
    told = project.call("apply", "-y", "--lock-timeout", "soon")
    assert told.code == 1
    assert "--lock-timeout: must be a duration" in told.err
    assert not (project.folder / "box").exists()


def test_variables_reach_the_blueprint(project: Project) -> None:
    project.write(LIGHT.replace("content: hello", 'content: "${var.word}"') + "variables:\n  word: { type: string }\n")
    missing = project.call("plan")
    assert missing.code == 1
    assert '"word"' in missing.err
    project.write("word: from a file\n", "values.yaml")
    project.env["MLINFRA_VAR_word"] = "from the environment"
    for arguments, word in (
        ((), "from the environment"),
        (("--var-file", "values.yaml"), "from a file"),
        (("--var-file", "values.yaml", "--var", "word=given"), "given"),
    ):
        record = json.loads(project.done("plan", "--json", *arguments).out.splitlines()[-1])
        (note,) = (each for each in record["resources"] if each["address"] == "resource.note")
        assert {"path": "content", "before": None, "after": word}.items() <= {
            **next(field for field in note["fields"] if field["path"] == "content")
        }.items()
