"""A run that is cut off in the middle of an update."""

from __future__ import annotations

import pytest

from .lab import Lab


class Crash(BaseException):
    """The end of the process, at this very call."""


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_update_that_was_cut_off_is_finished(lab: Lab, when: str) -> None:
    lab.write({"a": {"size": 1}})
    lab.apply()

    def crash(verb: str, object_id: str) -> None:
        if verb == "update":
            raise Crash

    lab.write({"a": {"size": 2}})
    setattr(lab.world, when, crash)
    with pytest.raises(Crash):
        lab.apply()
    setattr(lab.world, when, lambda verb, object_id: None)
    (node,) = lab.plan().nodes
    assert (node.address, node.action) == ("resource.a", "update")
    # Made already, it is not made again: only the wait for it is left.
    assert node.summary == ("finish what an earlier run began" if when == "after" else "")
    calls = len(lab.world.calls)
    lab.apply()
    assert len(lab.world.calls) - calls == (0 if when == "after" else 1)
    assert lab.world.objects["fake.thing:a"]["size"] == 2
    assert lab.plan().empty


def test_a_create_of_which_nothing_can_be_told_is_told(lab: Lab) -> None:
    lab.write({"a": {}})

    def crash(verb: str, object_id: str) -> None:
        raise Crash

    lab.world.after = crash
    with pytest.raises(Crash):
        lab.apply()
    lab.world.after = lambda verb, object_id: None
    lab.world.unreachable.add("fake.thing:a")
    (note,) = lab.plan(destroy=True).notes
    assert note.component == "resource.a"
    assert "whether an earlier run made resource.a cannot be told now" in note.text
    lab.world.unreachable.clear()
    lab.apply(destroy=True)
    assert not lab.world.objects
