"""Replacements beside what is there: the new one first, then what stands on it, then the old one goes."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.sdk.errors import ProviderError
from mlinfra.state.aside import home

from .lab import Lab

TWIN = {"type": "fake.twin"}


class Crash(BaseException):
    """The end of the process, at this very call."""


def pair(name: str, **fields: Any) -> dict[str, dict[str, Any]]:
    """A twin with this name, and a thing that uses it."""
    return {"a": {**TWIN, "name": name, **fields}, "b": {"uses": ["${resource.a.name}"]}}


def calls(lab: Lab) -> list[tuple[str, str]]:
    """The calls since the last look."""
    found = list(lab.world.calls)
    lab.world.calls.clear()
    return found


@pytest.fixture
def served(lab: Lab) -> Lab:
    """A laboratory with a twin called x and its user."""
    lab.write(pair("x"))
    lab.apply()
    calls(lab)
    return lab


def failing(lab: Lab, verb: str, error: BaseException, *, when: str = "before") -> None:
    """Have the next call of this verb fail."""

    def call(called: str, object_id: str) -> None:
        if called == verb:
            setattr(lab.world, when, lambda verb, object_id: None)
            raise error

    setattr(lab.world, when, call)


SWAP = [("create", "fake.twin:y"), ("update", "fake.thing:b"), ("delete", "fake.twin:x")]


def test_the_successor_comes_first_and_the_old_one_goes_last(served: Lab) -> None:
    served.write(pair("y"))
    plan = served.plan()
    assert plan.counts() == {"add": 1, "change": 1, "destroy": 1, "run": 0, "wait": 0}
    assert served.actions() == {"resource.a": "replace", "resource.b": "update"}
    served.apply()
    assert calls(served) == SWAP
    assert served.plan().empty
    assert set(served.state().resources) == {"resource.a", "resource.b"}


def test_a_saved_plan_does_the_same(served: Lab) -> None:
    served.write(pair("y"))
    served.apply_saved(served.plan())
    assert calls(served) == SWAP


def test_a_saved_plan_is_refused_if_what_it_replaces_has_changed(served: Lab) -> None:
    served.write(pair("y"))
    plan = served.plan()
    served.world.objects["fake.twin:x"]["size"] = 7
    with pytest.raises(Exception, match=r"resource\.a has changed"):
        served.apply_saved(plan)


def test_what_cannot_be_told_apart_is_deleted_first(served: Lab) -> None:
    served.apply(replace=("resource.a",))
    assert calls(served)[:2] == [("delete", "fake.twin:x"), ("create", "fake.twin:x")]


@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_a_failure_leaves_the_old_one_until_the_next_apply(served: Lab, verb: str) -> None:
    served.write(pair("y"))
    failing(served, verb, ProviderError("no"))
    outcome = served.apply()
    assert outcome is not None
    assert not outcome.succeeded
    assert "fake.twin:x" in served.world.objects
    kept = [entry.id for address, entry in served.state().resources.items() if home(address) != address]
    assert kept == ["fake.twin:x"]
    assert not served.plan().empty
    served.apply()
    assert set(served.world.objects) == {"fake.twin:y", "fake.thing:b"}
    assert served.plan().empty


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", ["create", "update", "delete"])
def test_a_crash_anywhere_loses_nothing_and_makes_nothing_twice(served: Lab, verb: str, when: str) -> None:
    served.write(pair("y"))
    failing(served, verb, Crash(), when=when)
    with pytest.raises(Crash):
        served.apply()
    ids = [entry.id for entry in served.state().resources.values()]
    assert len(ids) == len(set(ids))
    assert set(served.world.objects) <= set(ids)
    served.apply()
    assert set(served.world.objects) == {"fake.twin:y", "fake.thing:b"}
    assert calls(served).count(("create", "fake.twin:y")) == 1
    assert served.plan().empty


def test_the_blueprint_goes_back_to_what_is_still_there(served: Lab) -> None:
    served.write(pair("y"))
    failing(served, "update", ProviderError("no"))
    served.apply()
    served.write(pair("x"))
    served.apply()
    assert set(served.world.objects) == {"fake.twin:x", "fake.thing:b"}
    assert served.plan().empty
    assert set(served.state().resources) == {"resource.a", "resource.b"}


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_on_the_way_back_is_seen_once(served: Lab, when: str) -> None:
    served.write(pair("y"))
    failing(served, "update", ProviderError("no"))
    served.apply()
    served.write(pair("x"))
    failing(served, "create", Crash(), when=when)
    with pytest.raises(Crash):
        served.apply()
    ids = [entry.id for entry in served.state().resources.values()]
    assert len(ids) == len(set(ids))
    served.apply()
    assert set(served.world.objects) == {"fake.twin:x", "fake.thing:b"}
    assert served.plan().empty


def test_two_in_a_row_go_in_the_order_of_their_use(lab: Lab) -> None:
    def chain(name: str) -> dict[str, dict[str, Any]]:
        return {
            "model": {**TWIN, "name": f"model-{name}"},
            "config": {**TWIN, "name": f"config-{name}", "uses": ["${resource.model.name}"]},
            "endpoint": {"uses": ["${resource.config.name}"]},
        }

    lab.write(chain("1"))
    lab.apply()
    calls(lab)
    lab.write(chain("2"))
    lab.apply()
    assert calls(lab) == [
        ("create", "fake.twin:model-2"),
        ("create", "fake.twin:config-2"),
        ("update", "fake.thing:endpoint"),
        ("delete", "fake.twin:config-1"),
        ("delete", "fake.twin:model-1"),
    ]


def test_destroy_takes_what_was_set_aside_along(served: Lab) -> None:
    served.write(pair("y"))
    failing(served, "update", ProviderError("no"))
    served.apply()
    served.apply(destroy=True)
    assert not served.world.objects
    assert not served.state().resources


def test_what_stands_on_something_that_goes_first_goes_before_it(lab: Lab) -> None:
    """A network that has to make room for its successor cannot do so under what hangs on it."""

    def hung(network: str, name: str) -> dict[str, dict[str, Any]]:
        return {
            "network": {"name": network},
            "server": {**TWIN, "name": name, "uses": ["${resource.network.url}"]},
        }

    lab.write(hung("n1", "s1"))
    lab.apply()
    calls(lab)
    lab.write(hung("n2", "s2"))
    lab.apply()
    assert calls(lab) == [
        ("delete", "fake.twin:s1"),
        ("delete", "fake.thing:n1"),
        ("create", "fake.thing:n2"),
        ("create", "fake.twin:s2"),
    ]


def test_what_is_left_out_stays_and_what_is_aimed_at_goes(served: Lab) -> None:
    served.write(pair("y"))
    failing(served, "update", ProviderError("no"))
    served.apply()
    spare = next(address for address in served.state().resources if home(address) != address)
    excluded = {node.address for node in served.plan(excludes=("resource.a",)).nodes}
    assert spare not in excluded
    assert spare in {node.address for node in served.plan(targets=("resource.a",)).nodes}


def test_what_leaves_between_two_that_stay_does_not_stop_the_plan(lab: Lab) -> None:
    """The last of three went over from the middle one to the first, which has to make room for its successor."""
    lab.write({"a": {"name": "a1"}, "b": {"uses": ["${resource.a.url}"]}, "c": {"uses": ["${resource.b.url}"]}})
    lab.apply()
    lab.write({"a": {"name": "a2"}, "c": {"uses": ["${resource.a.url}"]}})
    lab.apply()
    assert set(lab.world.objects) == {"fake.thing:a2", "fake.thing:c"}
    assert lab.plan().empty
