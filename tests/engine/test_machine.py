"""Random edits, failures, out-of-band changes and crashes; afterwards state = world, plan is pure, a second plan is empty."""

from __future__ import annotations

import copy
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from mlinfra.engine.interrupt import Interrupt
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import ProviderError

from .lab import Lab

NAMES = ["a", "b", "c", "d", "e"]
TWINS = {"b", "d"}
"""Those whose successor comes to be beside them."""


class Crash(BaseException):
    """The process is gone: nothing that runs afterwards in it counts."""


def _type(name: str) -> str:
    return "twin" if name in TWINS else "thing"


class Platform(RuleBasedStateMachine):
    """A blueprint of up to five things that refer to one another, in a world where everything may happen."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mlinfra-machine-"))
        self.lab = Lab(self.folder)
        self.things: dict[str, dict[str, Any]] = {}

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize()
    def begin(self) -> None:
        self.lab.write(self.things)

    @rule(
        name=st.sampled_from(NAMES),
        size=st.integers(1, 3),
        tag=st.sampled_from(["x", "y", None]),
        used=st.sets(st.sampled_from(NAMES)),
        renamed=st.booleans(),
        password=st.sampled_from([None, "p", "q"]),
    )
    def edit(self, name: str, size: int, tag: str | None, used: set[str], renamed: bool, password: str | None) -> None:
        uses = [f"${{resource.{other}.url}}" for other in sorted(used) if other < name and other in self.things]
        self.things[name] = {
            "type": f"fake.{_type(name)}",
            "size": size,
            "uses": uses,
            "name": f"{name}2" if renamed else name,
        }
        if tag:
            self.things[name]["tags"] = {"t": tag}
        if password:
            self.things[name]["password"] = password
        self.lab.write(self.things)

    @rule(name=st.sampled_from(NAMES))
    def remove(self, name: str) -> None:
        self.things.pop(name, None)
        for fields in self.things.values():
            fields["uses"] = [use for use in fields["uses"] if f".{name}." not in use]
        self.lab.write(self.things)

    @precondition(lambda self: self.lab.world.objects)
    @rule(data=st.data())
    def delete_behind_its_back(self, data: st.DataObject) -> None:
        del self.lab.world.objects[data.draw(st.sampled_from(sorted(self.lab.world.objects)))]

    @precondition(lambda self: self.lab.world.objects)
    @rule(data=st.data(), size=st.integers(10, 12))
    def change_behind_its_back(self, data: st.DataObject, size: int) -> None:
        self.lab.world.objects[data.draw(st.sampled_from(sorted(self.lab.world.objects)))]["size"] = size

    @rule()
    def plan(self) -> None:
        before = copy.deepcopy(self.lab.world.objects)
        first = self.lab.plan()
        second = self.lab.plan()
        assert [(n.id, n.action) for n in first.nodes] == [(n.id, n.action) for n in second.nodes]
        assert self.lab.world.objects == before

    @rule(after=st.integers(0, 6))
    def apply_with_a_failure(self, after: int) -> None:
        self._apply_until(after, ProviderError("no"))
        self._whole()

    @rule(after=st.integers(0, 6), late=st.booleans())
    def apply_and_crash(self, after: int, late: bool) -> None:
        self._apply_until(after, Crash(), late=late)

    @rule(gone=st.booleans())
    def apply(self, gone: bool) -> None:
        outcome = self.lab.apply(destroy=gone)
        assert outcome is None or outcome.succeeded
        self._whole()
        if gone:
            assert not self.lab.world.objects
            return
        assert self.lab.plan().empty
        wanted = {f"fake.{_type(name)}:{fields['name']}" for name, fields in self.things.items()}
        assert set(self.lab.world.objects) == wanted

    @rule(edited=st.booleans())
    def apply_a_saved_plan(self, edited: bool) -> None:
        plan = self.lab.plan()
        if not edited:
            outcome = self.lab.apply_saved(plan)
            assert outcome is None or outcome.succeeded
            assert self.lab.plan().empty
            return
        before = copy.deepcopy(self.lab.world.objects)
        self.lab.write(self.things, variables={"more": {"default": plan.serial}})
        with pytest.raises(DiagnosticError, match="Nothing was changed"):
            self.lab.apply_saved(plan)
        assert self.lab.world.objects == before
        self.lab.write(self.things)

    @precondition(lambda self: self.things)
    @rule(data=st.data())
    def apply_only_one(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.things)))
        outcome = self.lab.apply(targets=(f"resource.{name}",))
        assert outcome is None or outcome.succeeded
        assert f"fake.{_type(name)}:{self.things[name]['name']}" in self.lab.world.objects
        self._whole()

    @rule(started=st.integers(1, 4))
    def interrupt(self, started: int) -> None:
        """Ctrl-C while the n-th call is made: it is finished and recorded."""
        interrupt = Interrupt()
        left = started

        def call(verb: str, object_id: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                interrupt.press()

        self.lab.world.before = call
        try:
            self.lab.apply(interrupt=interrupt)
        finally:
            self.lab.world.before = lambda verb, object_id: None
        self._whole()

    def _apply_until(self, after: int, error: BaseException, *, late: bool = False) -> None:
        left = after

        def call(verb: str, object_id: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise error

        world = self.lab.world
        setattr(world, "after" if late else "before", call)
        try:
            self.lab.apply()
        except Crash:
            pass
        finally:
            world.before = world.after = lambda verb, object_id: None

    def _whole(self) -> None:
        """The state and the world hold the same objects, each once."""
        entries = self.lab.state().resources.values()
        ids = [entry.id for entry in entries]
        assert len(ids) == len(set(ids))
        assert set(self.lab.world.objects) <= set(ids)


TestPlatform = Platform.TestCase
TestPlatform.settings = settings(
    max_examples=80,
    stateful_step_count=14,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
