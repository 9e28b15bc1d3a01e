"""The state machine of `test_machine`, whose state is lost now and then: in the middle of what runs left behind, too."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mlinfra.engine.rebuild import rebuild

from .test_machine import Platform


class Lossy(Platform):
    """A platform whose state is made anew from what is there."""

    @rule(lost=st.booleans())
    def rebuild(self, lost: bool) -> None:
        if lost:
            for path in (self.folder / ".mlinfra" / "test").glob("state.db*"):
                path.unlink()
        calls = len(self.lab.world.calls)
        with self.lab.open() as workspace:
            made, done = rebuild(workspace, force=True)
        assert done
        assert len(self.lab.world.calls) == calls
        assert {row.id for row in made.rows} == set(self.lab.world.objects)
        self._whole()


TestLossy = Lossy.TestCase
TestLossy.settings = settings(
    max_examples=80,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
