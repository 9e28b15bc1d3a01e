"""Plan and apply on the provider in memory: what is planned for every sort of difference, and that apply does just that."""

from __future__ import annotations

import json

import pytest

from mlinfra.engine.events import NodesSkipped
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.plan import Plan
from mlinfra.engine.workspace import Refused
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.refs import UNKNOWN

from .lab import Lab

CHAIN = {
    "a": {"size": 2},
    "b": {"uses": ["${resource.a.url}"]},
    "c": {"uses": ["${resource.b.url}", "${resource.a.size}"]},
}


def test_apply_makes_everything_in_order_and_then_there_is_nothing_to_do(lab: Lab) -> None:
    lab.write(CHAIN)
    outcome = lab.apply()
    assert outcome is not None
    assert outcome.succeeded
    assert [object_id for _, object_id in lab.world.calls] == ["fake.thing:a", "fake.thing:b", "fake.thing:c"]
    assert lab.world.objects["fake.thing:c"]["uses"] == ["fake://b", "2"]
    assert lab.plan().empty


def test_plan_changes_nothing(lab: Lab) -> None:
    lab.write(CHAIN)
    before = sorted(path for path in lab.folder.rglob("*"))
    lab.plan()
    assert not lab.world.calls
    assert sorted(path for path in lab.folder.rglob("*")) == before


def test_what_only_an_apply_can_tell_is_unknown_in_the_plan(lab: Lab) -> None:
    lab.write(CHAIN)
    nodes = {node.address: node for node in lab.plan().nodes}
    uses = next(change for change in nodes["resource.b"].changes if change.path == "uses")
    assert uses.after is UNKNOWN


def test_an_edit_changes_just_that(lab: Lab) -> None:
    lab.write(CHAIN)
    lab.apply()
    lab.write({**CHAIN, "b": {**CHAIN["b"], "size": 5}})
    plan = lab.plan()
    assert {n.address: n.action for n in plan.nodes} == {"resource.b": "update"}
    assert [(c.path, c.before, c.after, c.reason) for c in plan.nodes[0].changes] == [("size", 1, 5, "changed")]
    lab.apply()
    assert lab.plan().empty


def test_drift_is_named_as_such_and_mended(lab: Lab) -> None:
    lab.write(CHAIN)
    lab.apply()
    lab.world.objects["fake.thing:a"]["size"] = 99
    plan = lab.plan()
    assert [(c.path, c.before, c.after, c.reason) for n in plan.nodes for c in n.changes] == [("size", 99, 2, "drift")]
    lab.apply()
    assert lab.world.objects["fake.thing:a"]["size"] == 2


def test_what_was_deleted_outside_is_made_again(lab: Lab) -> None:
    lab.write(CHAIN)
    lab.apply()
    del lab.world.objects["fake.thing:b"]
    assert lab.actions()["resource.b"] == "create"
    lab.apply()
    assert lab.plan().empty
    assert "fake.thing:b" in lab.world.objects


def test_what_nobody_declared_is_left_alone_and_what_left_the_blueprint_is_reset(lab: Lab) -> None:
    lab.write({"a": {"tags": {"team": "risk", "cost": "1"}}})
    lab.apply()
    lab.world.objects["fake.thing:a"]["tags"]["somebody"] = "else"
    assert lab.plan().empty
    lab.write({"a": {"tags": {"team": "risk"}}})
    changes = lab.plan().nodes[0].changes
    assert [(c.path, c.after, c.reason) for c in changes] == [("tags.cost", None, "reset")]


def test_order_of_an_unordered_list_and_owned_fields_are_no_difference(lab: Lab) -> None:
    lab.write({"a": {"zones": ["x", "y"], "replicas": 1}})
    lab.apply()
    lab.world.objects["fake.thing:a"]["zones"] = ["y", "x"]
    lab.world.objects["fake.thing:a"]["replicas"] = 7
    assert lab.plan().empty


def test_an_immutable_field_replaces_and_is_named(lab: Lab) -> None:
    lab.write({"a": {}, "b": {"uses": ["${resource.a.url}"]}})
    lab.apply()
    lab.world.calls.clear()
    lab.write({"a": {"name": "z"}, "b": {"uses": ["${resource.a.url}"]}})
    plan = lab.plan()
    assert plan.counts() == {"add": 1, "change": 1, "destroy": 1, "run": 0, "wait": 0}
    assert "name forces replacement" in next(n for n in plan.shown() if n.action == "replace").summary
    lab.apply()
    assert lab.world.calls == [("delete", "fake.thing:a"), ("create", "fake.thing:z"), ("update", "fake.thing:b")]
    assert lab.plan().empty


def test_what_is_replaced_stays_if_what_its_successor_needs_fails(lab: Lab) -> None:
    lab.write({"a": {}, "b": {"uses": ["${resource.a.generation}"], "name": "b1"}})
    lab.apply()

    def fails(verb: str, object_id: str) -> None:
        if object_id == "fake.thing:a":
            raise ProviderError("no")

    lab.world.before = fails
    lab.write({"a": {"size": 2}, "b": {"uses": ["${resource.a.generation}"], "name": "b2"}})
    outcome = lab.apply()
    assert outcome is not None
    assert set(outcome.skipped) == {"resource.b", "resource.b!delete"}
    assert "fake.thing:b1" in lab.world.objects
    lab.world.before = lambda verb, object_id: None
    lab.apply()
    assert lab.plan().empty
    assert "fake.thing:b1" not in lab.world.objects


def test_replacements_that_stand_on_one_another_wait_for_no_circle(lab: Lab) -> None:
    things = {
        "a": {"name": "a1"},
        "b": {"uses": ["${resource.a.url}"]},
        "c": {"uses": ["${resource.a.url}", "${resource.b.generation}"], "name": "c1"},
    }
    lab.write(things)
    lab.apply()
    lab.write({**things, "a": {"name": "a2"}, "c": {**things["c"], "name": "c2"}})
    outcome = lab.apply()
    assert outcome is not None
    assert outcome.succeeded
    assert lab.plan().empty
    assert set(lab.world.objects) == {"fake.thing:a2", "fake.thing:b", "fake.thing:c2"}


def test_removal_goes_from_users_to_used(lab: Lab) -> None:
    lab.write(CHAIN)
    lab.apply()
    lab.world.calls.clear()
    lab.apply(destroy=True)
    assert [object_id for _, object_id in lab.world.calls] == ["fake.thing:c", "fake.thing:b", "fake.thing:a"]
    assert not lab.world.objects
    assert not lab.state().resources


def test_a_user_is_changed_before_what_it_used_is_deleted(lab: Lab) -> None:
    lab.write(CHAIN)
    lab.apply()
    lab.world.calls.clear()
    lab.write({"a": CHAIN["a"], "c": {"uses": ["${resource.a.url}"]}})
    lab.apply()
    assert lab.world.calls == [("update", "fake.thing:c"), ("delete", "fake.thing:b")]


def test_a_failure_stops_only_dependents_which_are_told_once(lab: Lab) -> None:
    lab.write({**CHAIN, "d": {}})

    def fails(verb: str, object_id: str) -> None:
        if object_id == "fake.thing:b":
            raise ProviderError("no room for b", remedy="Make room.")

    lab.world.before = fails
    outcome = lab.apply()
    assert outcome is not None
    assert [d.address for d in outcome.failed] == ["resource.b"]
    assert "no room for b" in outcome.failed[0].detail
    assert outcome.skipped == {"resource.c": "resource.b"}
    assert [event for event in lab.events if isinstance(event, NodesSkipped)] == [
        NodesSkipped(("resource.c",), "resource.b")
    ]
    assert set(lab.state().resources) == {"resource.a", "resource.d"}
    lab.world.before = lambda verb, object_id: None
    assert set(lab.actions()) == {"resource.b", "resource.c"}
    lab.apply()
    assert lab.plan().empty


def test_a_secret_reaches_the_object_and_nothing_else(lab: Lab) -> None:
    lab.write({"a": {"password": "hunter2"}})
    plan = lab.plan()
    assert "hunter2" not in plan.to_json()
    lab.apply()
    assert lab.world.objects["fake.thing:a"]["password"] == "hunter2"
    assert lab.plan().empty
    for path in (lab.folder / ".mlinfra").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes(), path
    lab.world.objects["fake.thing:a"]["password"] = "other"
    plan = lab.plan()
    assert [c.path for n in plan.nodes for c in n.changes] == ["password"]
    assert "other" not in json.dumps(json.loads(plan.to_json()))


def test_a_secret_that_another_resource_refers_to_is_concealed_there_too(lab: Lab) -> None:
    lab.write({"a": {"password": "hunter2"}, "b": {"tags": {"login": "me:${resource.a.password}"}}})
    lab.apply()
    assert lab.world.objects["fake.thing:b"]["tags"] == {"login": "me:hunter2"}
    assert lab.plan().empty
    for path in (lab.folder / ".mlinfra").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes(), path


def test_somebody_elses_object_is_refused_with_the_way_to_take_it_over(lab: Lab) -> None:
    lab.world.objects["fake.thing:a"] = {"name": "a", "size": 1, "owner": {"someone": "else"}}
    lab.write({"a": {}})
    outcome = lab.apply()
    assert outcome is not None
    assert "--adopt resource.a" in outcome.failed[0].remedy
    assert lab.world.objects["fake.thing:a"]["owner"] == {"someone": "else"}
    assert lab.apply(adopt=("resource.a",)).succeeded  # type: ignore[union-attr]
    assert lab.plan().empty


def test_an_unreadable_object_is_an_error_unless_what_holds_it_is_being_mended(lab: Lab) -> None:
    lab.write({"a": {}, "b": {"uses": ["${resource.a.url}"]}})
    lab.apply()
    lab.world.unreachable.add("fake.thing:b")
    with pytest.raises(DiagnosticError, match="does not answer"):
        lab.plan()
    lab.world.objects["fake.thing:a"]["size"] = 9
    assert lab.actions() == {"resource.a": "update"}


class TestSavedPlans:
    def test_applies_exactly_what_was_shown(self, lab: Lab) -> None:
        lab.write(CHAIN)
        outcome = lab.apply_saved(lab.plan())
        assert outcome is not None
        assert outcome.succeeded
        assert lab.plan().empty

    def test_with_secrets(self, lab: Lab) -> None:
        lab.write({"a": {"password": "hunter2"}})
        lab.apply_saved(lab.plan())
        assert lab.world.objects["fake.thing:a"]["password"] == "hunter2"

    def test_is_refused_after_the_blueprint_changed(self, lab: Lab) -> None:
        lab.write(CHAIN)
        plan = lab.plan()
        lab.write({**CHAIN, "d": {}})
        with pytest.raises(DiagnosticError, match="blueprint"):
            lab.apply_saved(plan)
        assert not lab.world.calls

    def test_is_refused_after_the_state_changed(self, lab: Lab) -> None:
        lab.write(CHAIN)
        lab.apply()
        lab.world.objects["fake.thing:a"]["size"] = 9
        plan = lab.plan()
        lab.apply()
        with pytest.raises(DiagnosticError, match="state has changed"):
            lab.apply_saved(plan)

    def test_is_refused_after_a_live_object_that_it_touches_changed(self, lab: Lab) -> None:
        lab.write(CHAIN)
        lab.apply()
        lab.write({**CHAIN, "a": {"size": 3}})
        plan = lab.plan()
        lab.world.objects["fake.thing:c"]["size"] = 50
        calls = list(lab.world.calls)
        lab.world.objects["fake.thing:a"]["size"] = 40
        with pytest.raises(DiagnosticError, match=r"resource\.a has changed"):
            lab.apply_saved(plan)
        assert lab.world.calls == calls

    @pytest.mark.parametrize("text", ["", "{}", "[]", "nonsense", '{"mlinfra_plan": 99}', '{"mlinfra_plan": 1}'])
    def test_nonsense_is_refused(self, text: str) -> None:
        with pytest.raises(DiagnosticError):
            Plan.from_json(text)


class TestDataLoss:
    STORE = {"s": {"type": "fake.store"}}

    def test_a_store_with_data_is_not_lost_unnamed(self, lab: Lab) -> None:
        lab.write(self.STORE)
        lab.apply()
        lab.world.objects["fake.store:s"]["rows"] = 12
        with pytest.raises(Refused, match="12 rows"):
            lab.apply(destroy=True)
        lab.write({"s": {"type": "fake.store", "name": "other"}})
        with pytest.raises(Refused, match=r"Replacing resource\.s would lose 12 rows"):
            lab.apply()
        assert "fake.store:s" in lab.world.objects
        lab.apply(allow=("resource.s",))
        assert set(lab.world.objects) == {"fake.store:other"}

    def test_an_empty_one_goes(self, lab: Lab) -> None:
        lab.write(self.STORE)
        lab.apply()
        lab.apply(destroy=True)
        assert not lab.world.objects

    def test_in_a_disposable_environment_it_goes(self, lab: Lab) -> None:
        lab.environment["disposable"] = True
        lab.write(self.STORE)
        lab.apply()
        lab.world.objects["fake.store:s"]["rows"] = 12
        lab.apply(destroy=True)
        assert not lab.world.objects

    def test_a_protected_environment_is_not_destroyed(self, lab: Lab) -> None:
        lab.environment["protect"] = True
        lab.write({"a": {}})
        lab.apply()
        with pytest.raises(Refused, match="protect"):
            lab.apply(destroy=True)


class TestExternal:
    ALIAS = {"alias": {"type": "fake.alias", "name": "best"}, "user": {"uses": ["${resource.alias.version}"]}}

    def test_waits_for_somebody_outside(self, lab: Lab) -> None:
        lab.write(self.ALIAS)
        assert lab.actions() == {"resource.alias": "wait", "resource.user": "create"}
        outcome = lab.apply()
        assert outcome is not None
        assert [d.address for d in outcome.failed] == ["resource.alias"]
        lab.world.objects["fake.alias:best"] = {"name": "best", "version": 3, "owner": {}}
        outcome = lab.apply()
        assert outcome is not None
        assert outcome.succeeded
        assert lab.world.objects["fake.thing:user"]["uses"] == ["3"]
        assert lab.plan().empty

    def test_follows_what_others_do_and_restores_what_they_remove(self, lab: Lab) -> None:
        lab.world.objects["fake.alias:best"] = {"name": "best", "version": 3, "owner": {}}
        lab.write(self.ALIAS)
        lab.apply()
        lab.world.objects["fake.alias:best"]["version"] = 4
        assert lab.actions() == {"resource.user": "update"}
        lab.apply()
        assert lab.world.objects["fake.thing:user"]["uses"] == ["4"]
        del lab.world.objects["fake.alias:best"]
        assert lab.actions() == {"resource.alias": "create"}
        lab.apply()
        assert lab.world.objects["fake.alias:best"]["version"] == 4


class TestChoosing:
    def test_targets_take_along_what_they_need(self, lab: Lab) -> None:
        lab.write({**CHAIN, "d": {}})
        assert set(lab.actions(targets=("resource.b",))) == {"resource.a", "resource.b"}

    def test_excludes_take_along_what_needs_them(self, lab: Lab) -> None:
        lab.write({**CHAIN, "d": {}})
        assert set(lab.actions(excludes=("resource.b",))) == {"resource.a", "resource.d"}

    def test_an_address_that_matches_nothing_is_an_error(self, lab: Lab) -> None:
        lab.write(CHAIN)
        with pytest.raises(DiagnosticError, match=r'Did you mean "resource\.a"'):
            lab.plan(targets=("resource.aa",))

    def test_replace_is_done_in_any_case(self, lab: Lab) -> None:
        lab.write(CHAIN)
        lab.apply()
        assert lab.actions(replace=("resource.c",)) == {"resource.c": "replace"}


def test_an_interrupt_finishes_what_runs_and_starts_nothing_new(lab: Lab) -> None:
    lab.write(CHAIN)
    interrupt = Interrupt()
    lab.world.after = lambda verb, object_id: interrupt.press()
    outcome = lab.apply(interrupt=interrupt)
    assert outcome is not None
    assert outcome.interrupted
    assert set(lab.state().resources) == {"resource.a"}
    lab.world.after = lambda verb, object_id: None
    lab.apply()
    assert lab.plan().empty


def test_what_is_gone_already_is_tidied_up_without_being_a_change(lab: Lab) -> None:
    lab.write(CHAIN)
    lab.apply()
    lab.world.objects.clear()
    lab.world.calls.clear()
    plan = lab.plan(destroy=True)
    assert plan.empty
    assert all("gone already" in note.text for note in plan.notes)
    outcome = lab.apply(destroy=True)
    assert outcome is not None
    assert outcome.succeeded
    assert sorted(lab.world.calls) == [("delete", f"fake.thing:{name}") for name in "abc"]
    assert not lab.state().resources


def test_drift_beside_a_secret_is_mended(lab: Lab) -> None:
    lab.write({"a": {"size": 1, "password": "hush"}})
    lab.apply()
    lab.world.objects["fake.thing:a"]["size"] = 10
    assert [(c.path, c.reason) for n in lab.plan().nodes for c in n.changes] == [("size", "drift")]
    outcome = lab.apply()
    assert outcome is not None
    assert outcome.succeeded
    assert lab.world.objects["fake.thing:a"]["password"] == "hush"
    assert lab.plan().empty


def test_a_saved_plan_that_only_records_keeps_secrets_as_they_are(lab: Lab) -> None:
    lab.write({"a": {"password": "p", "tags": {"t": "x"}}})
    lab.apply_saved(lab.plan())
    lab.world.objects["fake.thing:a"]["url"] = "fake://elsewhere"
    plan = lab.plan()
    assert plan.empty
    assert plan.records
    lab.apply_saved(plan)
    assert lab.plan().empty
