"""References that come from the code are as the code is; every diagnostic's code is explained."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _script()


@pytest.mark.parametrize("name", sorted(reference.PAGES))
def test_a_page_is_as_the_code_is(name: str) -> None:
    told = (ROOT / name).read_text("utf-8")
    assert told == reference.PAGES[name](), "run: python scripts/reference.py"


def test_every_code_is_explained_once_and_none_is_that_is_gone() -> None:
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \|$", (ROOT / "docs" / "errors.md").read_text("utf-8"), re.M)
    explained = [code for code, *_ in rows]
    assert sorted(explained) == sorted(reference.codes())
    assert all(what.strip() and remedy.strip() for _, what, remedy in rows)


def test_codes_are_found_wherever_a_diagnostic_is_made(tmp_path: Path) -> None:
    for folder in ("mlinfra", "providers"):
        (tmp_path / folder).mkdir()
    (tmp_path / "mlinfra" / "a.py").write_text(
        'raise fail("one-code", "A summary", f"{x}")\n'
        'Diagnostic("two" if x else "three", "Another", "d")\n'
        'problems.add("four", f"No {x}", "d", "r")\n'
        'code, summary = ("fi-ve", "In a pair")\n'
        'told.get("detail", "Not found")\n'
        'print("no-code", "lower case", "x")\n'
    )
    assert reference.codes(tmp_path) == {
        "one-code": {"A summary"},
        "two": {"Another"},
        "three": {"Another"},
        "four": {"No "},
        "fi-ve": {"In a pair"},
    }


def test_every_command_and_kind_is_in_its_page() -> None:
    pages = {name: (ROOT / name).read_text("utf-8") for name in reference.PAGES}
    for kind in reference.KINDS:
        assert f"\n## {kind}\n" in pages["docs/kinds.md"]
    for command in ("plan", "apply", "destroy", "check"):
        assert f"\n## `mlinfra {command}" in pages["docs/cli.md"]
    assert "\n## feast.repository\n" in pages["docs/resources.md"]
