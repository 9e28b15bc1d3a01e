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
