"""Types whose fields stand for something outside: a file of the blueprint that changes is a change, though no field differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.fake import FakeResource, World, provider
from mlinfra.sdk.refs import Sensitive
from mlinfra.sdk.resource import Fields


class Copy(FakeResource):
    """A copy of a file of the blueprint."""

    type: ClassVar[str] = "fake.copy"
    looks_outside: ClassVar[bool] = True

    source: str
    text: str | None = None

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        return {**fields, "text": (place.root / fields["source"]).read_text()}


@pytest.fixture
def world() -> World:
    return World()


def opened(folder: Path, world: World) -> Workspace:
    base = provider(world)
    types = {**base.resources, "fake.copy": f"{__name__}:Copy"}
    made = type(base)("fake", "1", resources=types, connect=base.connect)
    return Workspace.open(Selection(folder / "blueprint.yaml", environ={}), Catalog([made]))


def test_a_changed_file_is_a_change_and_not_a_drift(tmp_path: Path, world: World) -> None:
    (tmp_path / "greeting").write_text("hello")
    blueprint = {
        "blueprint": "lab",
        "environments": {"test": {"provider": "fake"}},
        "resource": {"copy": {"type": "fake.copy", "name": "copy", "source": "greeting"}},
    }
    (tmp_path / "blueprint.yaml").write_text(yaml.safe_dump(blueprint))
    with opened(tmp_path, world) as workspace:
        workspace.apply(Options())
        assert workspace.plan().empty
    (tmp_path / "greeting").write_text("good morning")
    with opened(tmp_path, world) as workspace:
        (node,) = workspace.plan().nodes
        assert [(c.path, c.before, c.after, c.reason) for c in node.changes] == [
            ("text", "hello", "good morning", "changed")
        ]
        workspace.apply(Options())
        assert workspace.plan().empty
    world.objects["fake.copy:copy"]["text"] = "edited"
    with opened(tmp_path, world) as workspace:
        (node,) = workspace.plan().nodes
        assert [(c.before, c.after, c.reason) for c in node.changes] == [("edited", "good morning", "drift")]


def test_a_secret_that_is_concealed_twice_is_still_itself() -> None:
    secret = Sensitive(Sensitive("s3cret"))
    assert secret.reveal() == "s3cret"
    assert str(secret) == repr(secret) == f"{secret}" == "(sensitive)"
