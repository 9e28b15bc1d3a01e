"""What a resource takes from outside of its fields: a file that is edited shows in the plan though no field changed."""

from __future__ import annotations

from pathlib import Path

from mlinfra.engine.workspace import Selection, Workspace

BLUEPRINT = """
blueprint: outside
environments: { here: { provider: local } }
resource:
  greeting: { type: local.file, path: out/hello.txt, template: hello.j2, values: { name: Ada } }
  seeded: { type: local.folder, path: out/seeded, contents: seeds }
"""


def test_an_edited_template_and_an_edited_seed_are_changes(tmp_path: Path) -> None:
    (tmp_path / "blueprint.yaml").write_text(BLUEPRINT)
    (tmp_path / "hello.j2").write_text("Hello {{ name }}\n")
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "a").write_text("one")

    def opened() -> Workspace:
        return Workspace.open(Selection(tmp_path / "blueprint.yaml", environ={}))

    with opened() as workspace:
        workspace.apply()
    with opened() as workspace:
        assert workspace.plan().empty
    (tmp_path / "hello.j2").write_text("Good morning {{ name }}\n")
    (tmp_path / "seeds" / "a").write_text("two")
    with opened() as workspace:
        actions = {node.address: node.action for node in workspace.plan().shown()}
    assert actions == {"resource.greeting": "update", "resource.seeded": "update"}
