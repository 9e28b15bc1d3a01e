"""Types that say themselves which of their changes need a replacement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.fake import Thing, provider
from mlinfra.sdk.resource import FieldChange

from .lab import Lab


class Growing(Thing):
    """A thing whose list grows in place and does not shrink."""

    @classmethod
    def replaces(cls, changes: Sequence[FieldChange]) -> Sequence[str]:
        return [c.path for c in changes if c.path == "uses" and not set(c.old or ()) <= set(c.new or ())]


@dataclass
class GrowingLab(Lab):
    """A laboratory whose things are growing ones."""

    kind = "Growing"

    def open(self) -> Workspace:
        selection = Selection(self.folder / "blueprint.yaml", environ={})
        base = provider(self.world)
        types = {**base.resources, "fake.thing": f"{__name__}:{self.kind}"}
        return Workspace.open(selection, Catalog([replace(base, resources=types)]))


def test_a_list_that_grows_is_updated_and_one_that_shrinks_is_replaced(tmp_path: Path) -> None:
    lab = GrowingLab(tmp_path)
    lab.write({"a": {"uses": ["x"], "size": 1}})
    lab.apply()
    lab.write({"a": {"uses": ["x", "y"], "size": 1}})
    assert lab.actions() == {"resource.a": "update"}
    lab.apply()
    lab.write({"a": {"uses": ["y"], "size": 2}})
    (node,) = lab.plan().shown()
    assert (node.action, node.summary) == ("replace", "uses forces replacement")
    assert {change.path: change.forces_replacement for change in node.changes} == {"uses": True, "size": False}
    lab.apply()
    assert lab.plan().empty


class Breaking(Thing):
    """A thing that is of no use once its size is 13."""

    @classmethod
    def broken(cls, live: Mapping[str, Any]) -> str | None:
        return "thirteen is no size" if live.get("size") == 13 else None


class BreakingLab(GrowingLab):
    """A laboratory whose things can break."""

    kind = "Breaking"


def test_what_is_of_no_use_is_made_anew_whatever_its_fields_are(tmp_path: Path) -> None:
    lab = BreakingLab(tmp_path)
    lab.write({"a": {"size": 13}, "b": {"size": 1}})
    lab.apply()
    for _ in range(2):  # it is the same when nothing changed since it was looked at last
        (node,) = lab.plan().shown()
        assert (node.address, node.action, node.summary) == ("resource.a", "replace", "thirteen is no size")
        lab.apply()
    lab.write({"a": {"size": 12}, "b": {"size": 1}})
    assert lab.actions() == {"resource.a": "replace"}
    lab.apply()
    assert lab.plan().empty
