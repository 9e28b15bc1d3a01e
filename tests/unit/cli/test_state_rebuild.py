"""state rebuild: what it says, what it asks, which code it ends with."""

from __future__ import annotations

import json

from .conftest import HEAD, LIGHT, Project


def lose(project: Project) -> None:
    for path in (project.folder / ".mlinfra" / "laptop").glob("state.db*"):
        path.unlink()


def test_it_lists_what_it_found_and_the_next_plan_is_empty(project: Project) -> None:
    project.done("apply", "-y")
    lose(project)
    told = project.done("state", "rebuild", "-y")
    lines = told.out.splitlines()
    assert [line.split()[:3] for line in lines[:3]] == [
        ["=", "resource.box", "local.folder"],
        ["=", "resource.note", "local.file"],
        ["=", "storage.lake/folder.folder", "local.folder"],
    ]
    assert "Rebuild: 3 objects found, 3 of them in the blueprint." in lines
    assert lines[-1].startswith("The state is made anew: serial 1.")
    assert project.done("plan").out.startswith("No changes.")


def test_what_left_the_blueprint_and_what_is_not_there_is_told(project: Project) -> None:
    project.done("apply", "-y")
    lose(project)
    project.write(
        HEAD + "resource:\n  box: { type: local.folder, path: box }\n  more: { type: local.folder, path: more }\n"
    )
    told = project.done("state", "rebuild", "-y").out
    assert "-  resource.note" in told
    assert "not in the blueprint: the next apply destroys it" in told
    assert "?  resource.more" in told
    assert "Rebuild: 3 objects found, 1 of them in the blueprint; 1 not found." in told


def test_with_nobody_to_ask_nothing_is_changed(project: Project) -> None:
    project.done("apply", "-y")
    lose(project)
    told = project.call("state", "rebuild")
    assert told.code == 1
    assert "[not-approved]" in told.err
    assert project.call("plan", "--detailed-exitcode").code == 2


def test_a_state_that_can_be_read_needs_force(project: Project) -> None:
    project.done("apply", "-y")
    told = project.call("state", "rebuild", "-y")
    assert told.code == 1
    assert "[state-kept]" in told.err
    assert "holds 3 resources" in told.err
    assert "the state before has 3 resources" in told.out
    project.done("state", "rebuild", "-y", "--force")
    assert project.call("plan", "--detailed-exitcode").code == 0


def test_as_json(project: Project) -> None:
    project.done("apply", "-y")
    lose(project)
    told = project.done("state", "rebuild", "-y", "--json")
    (record,) = [r for r in map(json.loads, told.out.splitlines()) if r["event"] == "rebuild"]
    assert {item["address"]: (item["how"], item["role"]) for item in record["objects"]} == {
        "resource.box": ("tags", "wanted"),
        "resource.note": ("tags", "wanted"),
        "storage.lake/folder.folder": ("tags", "wanted"),
    }
    assert (record["missing"], record["dropped"], record["strange"], record["before"]) == ([], [], [], 0)


def test_mistakes_of_the_blueprint_have_their_place(project: Project) -> None:
    project.write(LIGHT.replace("path: box", "pfad: box"))
    told = project.call("state", "rebuild", "-y")
    assert told.code == 1
    assert "blueprint.yaml:" in told.err
