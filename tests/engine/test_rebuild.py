"""A state that was lost is made anew from what is there: the next plan is empty, and nothing is orphaned."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.rebuild import Kept, Rebuilt, rebuild
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.fake import provider
from mlinfra.state.snapshot import State
from mlinfra.views.lines import plain
from mlinfra.views.plan_text import plan_lines
from mlinfra.views.rebuild_text import rebuild_lines

from .lab import Lab

THINGS: dict[str, dict[str, Any]] = {
    "a": {"size": 2, "tags": {"team": "risk"}, "zones": ["y", "x"], "password": "hush"},
    "b": {"uses": ["${resource.a.url}"]},
    "s": {"type": "fake.store"},
}


def lose(lab: Lab) -> None:
    for path in state_file(lab).parent.iterdir():
        path.unlink()


def state_file(lab: Lab) -> Path:
    return lab.folder / ".mlinfra" / "test" / "state.db"


def rebuilt(lab: Lab, *, approved: bool = True, force: bool = False) -> Rebuilt:
    """Rebuild as `mlinfra state rebuild` does."""
    calls = len(lab.world.calls)
    with lab.open() as workspace:
        made, done = rebuild(workspace, approve=lambda found: approved, force=force)
    assert done == approved
    assert len(lab.world.calls) == calls  # the world is read, not changed
    return made


def stored(lab: Lab) -> State:
    with lab.open() as workspace:
        return workspace.backend.load().state


def test_a_lost_state_comes_back_and_the_plan_is_empty(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    before = stored(lab)
    lose(lab)
    made = rebuilt(lab)
    assert {row.address: (row.how, row.role) for row in made.rows} == {
        f"resource.{name}": ("tags", "wanted") for name in THINGS
    }
    assert made.missing == {}
    plan = lab.plan()
    assert plan.empty
    assert plan.records == {}  # not even the state has something to catch up with
    after = stored(lab)
    for address, entry in before.resources.items():
        again = after.resources[address]
        told = ("type", "provider", "id", "dependencies", "component", "tainted")
        assert [getattr(again, name) for name in told] == [getattr(entry, name) for name in told]
    assert "hush" not in after.dump().decode()
    assert after.lineage != before.lineage
    lab.apply(destroy=True)
    assert not lab.world.objects


def test_what_differs_is_seen_afterwards(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    lose(lab)
    lab.world.objects["fake.thing:a"]["size"] = 7
    lab.write({**THINGS, "b": {"size": 5, "uses": ["${resource.a.url}"]}})
    rebuilt(lab)
    assert lab.actions() == {"resource.a": "update", "resource.b": "update"}


def test_what_left_the_blueprint_is_destroyed_by_the_next_apply_in_order(lab: Lab) -> None:
    lab.write({**THINGS, "c": {"uses": ["${resource.b.url}"]}})
    lab.apply()
    lose(lab)
    lab.write({"a": THINGS["a"]})
    made = rebuilt(lab)
    assert {row.address: row.role for row in made.rows} == {
        "resource.a": "wanted",
        "resource.b": "left",
        "resource.c": "left",
        "resource.s": "left",
    }
    assert lab.actions() == {"resource.b": "delete", "resource.c": "delete", "resource.s": "delete"}
    lab.world.calls.clear()
    lab.apply()
    gone = [object_id for _, object_id in lab.world.calls]
    assert gone.index("fake.thing:c") < gone.index("fake.thing:b")  # c names b's url, so it goes first
    assert set(lab.world.objects) == {"fake.thing:a"}


def test_no_secret_of_what_left_the_blueprint_reaches_the_state(lab: Lab) -> None:
    lab.write(
        {
            "a": {"password": "hush-hush"},
            "b": {"uses": ["postgres://u:${resource.a.password}@db"], "tags": {"key": "in-the-clear"}},
            "c": {"uses": ["${resource.a.password}"]},
        }
    )
    lab.apply()
    lose(lab)
    lab.write({"c": {"uses": ["nothing secret"]}})
    rebuilt(lab)
    text = stored(lab).dump().decode()
    assert "hush" not in text
    assert "in-the-clear" not in text
    plan = lab.plan()
    assert {node.address: node.action for node in plan.shown()} == {
        "resource.a": "delete",
        "resource.b": "delete",
        "resource.c": "update",
    }
    assert "hush" not in plan.to_json()
    assert "hush" not in plain(plan_lines(plan, details=True))
    lab.apply()
    assert lab.plan().empty
    assert "hush" not in stored(lab).dump().decode()


def test_what_was_never_made_is_told_and_made_by_the_next_apply(lab: Lab) -> None:
    lab.write({"a": THINGS["a"]})
    lab.apply()
    lose(lab)
    lab.write(THINGS)
    made = rebuilt(lab)
    assert set(made.missing) == {"resource.b", "resource.s"}
    assert lab.actions() == {"resource.b": "create", "resource.s": "create"}


def test_of_two_objects_of_an_address_that_which_the_blueprint_names_is_kept(lab: Lab) -> None:
    lab.write({"a": {"name": "old"}})
    lab.apply()
    left = dict(lab.world.objects["fake.thing:old"])
    lab.write({"a": {"name": "new"}})
    lab.apply()
    lose(lab)
    # The run was cut off before it removed what it had replaced; somebody touched that since, so it looks newer.
    lab.world.objects["fake.thing:old"] = {**left, "generation": lab.world.next_generation()}
    made = rebuilt(lab)
    assert [(row.id, row.role) for row in made.rows] == [("fake.thing:new", "wanted"), ("fake.thing:old", "second")]
    (node,) = lab.plan().nodes
    assert (node.action, node.object_id) == ("delete", "fake.thing:old")
    lab.apply()
    assert set(lab.world.objects) == {"fake.thing:new"}


def test_of_two_objects_that_the_blueprint_has_no_more_the_newer_is_first_and_both_go(lab: Lab) -> None:
    lab.write({"a": {"name": "old"}, "b": {}})
    lab.apply()
    left = dict(lab.world.objects["fake.thing:old"])
    lab.write({"a": {"name": "new"}, "b": {}})
    lab.apply()
    lab.world.objects["fake.thing:old"] = left
    lose(lab)
    lab.write({"b": {}})
    made = rebuilt(lab)
    roles = {row.id: row.role for row in made.rows}
    assert roles == {"fake.thing:b": "wanted", "fake.thing:new": "left", "fake.thing:old": "second"}
    lab.apply()
    assert set(lab.world.objects) == {"fake.thing:b"}


def test_what_carries_no_tags_is_found_by_its_name_and_nothing_runs_again(lab: Lab) -> None:
    things = {"j": {"type": "fake.job", "makes": "x"}, "x": {"type": "fake.alias"}}
    lab.write(things)
    lab.apply()
    lab.world.objects["fake.alias:x"] = {"name": "x", "version": 3, "owner": {}}
    lab.apply()
    lose(lab)
    made = rebuilt(lab)
    assert {row.address: row.how for row in made.rows} == {"resource.j": "tags", "resource.x": "name"}
    assert lab.plan().empty


def test_a_provider_that_cannot_list_is_told_and_what_the_blueprint_has_is_found(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    lose(lab)
    catalog = Catalog([replace(provider(lab.world), discover=None)])
    selection = Selection(lab.folder / "blueprint.yaml", environ={})
    with Workspace.open(selection, catalog) as workspace:
        made, _ = rebuild(workspace)
    assert made.unlisted == ("fake",)
    assert "The provider fake cannot list what is ours" in plain(rebuild_lines(made))
    assert {row.how for row in made.rows} == {"name"}
    assert lab.plan().empty


def test_objects_of_other_environments_are_left_alone(lab: Lab) -> None:
    lab.write({"a": {}})
    lab.apply()
    lose(lab)
    theirs = {"mlinfra:blueprint": "lab", "mlinfra:environment": "prod", "mlinfra:address": "resource.p"}
    lab.world.objects["fake.thing:p"] = {"name": "p", "generation": 9, "owner": theirs}
    lab.world.objects["fake.thing:q"] = {"name": "q", "generation": 10, "owner": {}}
    assert [row.id for row in rebuilt(lab).rows] == ["fake.thing:a"]


def test_what_cannot_be_read_now_is_kept(lab: Lab) -> None:
    lab.write({"a": {}, "b": {}})
    lab.apply()
    lose(lab)
    lab.world.unreachable.add("fake.thing:a")
    assert {row.address for row in rebuilt(lab).rows} == {"resource.a", "resource.b"}
    lab.world.unreachable.clear()
    assert lab.plan().empty


def test_a_state_that_can_be_read_is_not_replaced_without_force(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    before = stored(lab)
    with lab.open() as workspace, pytest.raises(Kept) as refused:
        rebuild(workspace)
    assert [d.code for d in refused.value.diagnostics] == ["state-kept"]
    assert len(refused.value.rebuilt.rows) == len(THINGS)
    assert stored(lab) == before


def test_with_force_it_keeps_its_lineage_and_its_history(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    before = stored(lab)
    del lab.world.objects["fake.thing:b"]
    made = rebuilt(lab, force=True)
    assert made.dropped == ("resource.b",)
    after = stored(lab)
    assert (after.lineage, after.salt, after.serial) == (before.lineage, before.salt, before.serial + 1)
    with lab.open() as workspace:
        assert workspace.backend.version(before.serial) == before
        assert workspace.backend.versions()[-1].command == "state rebuild"


def test_what_only_the_state_knew_is_kept_if_it_is_there(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    lab.world.objects["fake.thing:b"]["owner"] = {}  # somebody took its tags away
    lab.write({"a": THINGS["a"], "s": THINGS["s"]})
    made = rebuilt(lab, force=True)
    assert {row.address: (row.how, row.role) for row in made.rows}["resource.b"] == ("state", "left")
    assert lab.actions() == {"resource.b": "delete"}


def test_without_approval_nothing_is_written(lab: Lab) -> None:
    lab.write(THINGS)
    lab.apply()
    lose(lab)
    rebuilt(lab, approved=False)
    assert stored(lab).resources == {}


def test_a_run_that_was_cut_off_is_not_forgotten(lab: Lab) -> None:
    class Crash(BaseException):
        pass

    def crash(verb: str, object_id: str) -> None:
        if object_id == "fake.thing:b":
            raise Crash

    lab.write(THINGS)
    lab.world.after = crash
    with pytest.raises(Crash):
        lab.apply()
    lab.world.after = lambda verb, object_id: None
    made = rebuilt(lab, force=True)
    assert "resource.b" in {row.address for row in made.rows}
    lab.apply()
    assert lab.plan().empty
    assert [call for call in lab.world.calls if call == ("create", "fake.thing:b")] == [("create", "fake.thing:b")]


@pytest.mark.parametrize("damage", ["checksum", "journal", "gone", "file", "empty"])
def test_a_damaged_state_is_made_anew_and_kept_beside(lab: Lab, damage: str) -> None:
    lab.write(THINGS)
    lab.apply()
    before = stored(lab)
    path = state_file(lab)
    if damage == "file":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        with sqlite3.connect(path) as connection:
            if damage == "checksum":
                connection.execute(
                    "UPDATE stored SET data = CAST(replace(data, 'risk', 'rusk') AS BLOB) WHERE key = 'state'"
                )
            elif damage == "gone":
                connection.execute("DELETE FROM stored WHERE key = 'state'")
            else:
                connection.execute("INSERT INTO stored VALUES ('journal/9999999999-x/00000001', 'e', x'00')")
        connection.close()
    with pytest.raises(DiagnosticError) as told:
        lab.plan()
    assert told.value.diagnostics[0].code in ("state-damaged", "journal-damaged")
    declined = rebuilt(lab, approved=False)
    assert declined.before is None
    with pytest.raises(DiagnosticError):
        lab.plan()
    rebuilt(lab)
    assert lab.plan().empty
    after = stored(lab)
    if damage in ("file", "empty"):
        assert path.with_name("state.db.damaged-1").exists()
    else:
        assert (after.lineage, after.salt) == (before.lineage, before.salt)  # its history told them
        assert after.serial == before.serial + 1
        with lab.open() as workspace:
            assert workspace.backend.version(before.serial) == before
        with sqlite3.connect(path) as connection:
            kept = [key for (key,) in connection.execute("SELECT key FROM stored WHERE key LIKE 'damaged/%'")]
        connection.close()
        assert bool(kept) == (damage != "gone")
    lab.write({"a": {"size": 9}})
    lab.apply()
    assert lab.plan().empty


def test_a_state_of_another_blueprint_is_not_replaced(lab: Lab) -> None:
    lab.write({"a": {}})
    lab.apply()
    text = (lab.folder / "blueprint.yaml").read_text("utf-8")
    (lab.folder / "blueprint.yaml").write_text(text.replace("blueprint: lab", "blueprint: other"), "utf-8")
    with lab.open() as workspace, pytest.raises(DiagnosticError) as told:
        rebuild(workspace, force=True)
    assert told.value.diagnostics[0].code == "state-foreign"


def test_while_another_run_holds_the_lock_nothing_is_done(lab: Lab) -> None:
    lab.write({"a": {}})
    lab.apply()
    with (
        lab.open() as first,
        lab.open() as second,
        first.backend.begin("apply"),
        pytest.raises(DiagnosticError) as told,
    ):
        rebuild(second, force=True)
    assert told.value.diagnostics[0].code == "locked"
