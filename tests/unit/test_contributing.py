"""The examples in CONTRIBUTING.md work: the resource type and the provider that it shows are run through the engine."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.planner import Options
from mlinfra.engine.workspace import Selection, Workspace

TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text("utf-8")
BLUEPRINT = """
blueprint: links
environments: {{ here: {{ provider: acme }} }}
resource:
  latest: {{ type: acme.link, path: latest, target: {target} }}
"""


@pytest.fixture
def provider() -> Iterator[Any]:
    """The provider that the two blocks of Python make."""
    link, table = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    made: dict[str, types.ModuleType] = {}
    for name, code in (("mlinfra_acme.link", link), ("mlinfra_acme", table)):
        made[name] = types.ModuleType(name)
        sys.modules[name] = made[name]
        exec(compile(code, name, "exec"), made[name].__dict__)  # the text of our own document is what is tested
    yield made["mlinfra_acme"].PROVIDER
    for name in made:
        del sys.modules[name]


def test_the_example_makes_changes_and_removes_a_link(provider: Any, tmp_path: Path) -> None:
    link = tmp_path / "latest"

    def apply(target: str, **options: Any) -> list[str]:
        (tmp_path / "blueprint.yaml").write_text(BLUEPRINT.format(target=target), "utf-8")
        with Workspace.open(Selection(tmp_path / "blueprint.yaml", environ={}), Catalog([provider])) as workspace:
            plan, outcome = workspace.apply(Options(**options))
            assert outcome is None or outcome.succeeded
            return [node.action for node in plan.nodes]

    assert apply("v1") == ["create"]
    assert link.readlink() == Path("v1")
    assert apply("v1") == []
    assert apply("v2") == ["update"]
    assert link.readlink() == Path("v2")
    link.unlink()
    link.symlink_to("elsewhere")
    assert apply("v2") == ["update"]
    assert apply("v2", destroy=True) == ["delete"]
    assert not link.is_symlink()
