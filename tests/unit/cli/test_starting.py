"""How the command line starts: what it imports, what --help says, init and the schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from mlinfra.cli.app import app

from .conftest import LIGHT, Project

HEAVY = ("pydantic", "rich", "yaml", "yaml_rs", "jinja2", "boto3", "botocore", "docker", "httpx")
COMMANDS = sorted(info.callback.__name__ for info in app.registered_commands if info.callback is not None)
LISTED = """
import sys
sys.argv = ["mlinfra", *sys.argv[1:]]
before = set(sys.modules)
from mlinfra.__main__ import main
try:
    main()
except SystemExit:
    pass
sys.stderr.write(" ".join(sorted(set(sys.modules) - before)))
"""


def imported(*arguments: str) -> set[str]:
    """The modules that a command has imported at its end."""
    done = subprocess.run([sys.executable, "-c", LISTED, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--help",), ("plan", "--help"), ("--version",)])
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    found = imported(*arguments)
    # Newer versions of typer read a command's parameters with pydantic; every command but these needs it anyway.
    allowed = {"pydantic"} if arguments[0] == "plan" else set()
    assert {name.partition(".")[0] for name in found}.isdisjoint({*HEAVY} - allowed)
    assert not [name for name in found if name.startswith(("mlinfra.engine", "mlinfra.views", "mlinfra_"))]


def test_the_version_imports_nothing_of_ours_but_the_package() -> None:
    found = {name for name in imported("--version") if name.startswith(("mlinfra", "typer"))}
    assert found == {"mlinfra", "mlinfra.__main__"}


def test_a_plan_imports_only_the_providers_in_use(project: Project) -> None:
    project.write(LIGHT)
    done = subprocess.run(
        [sys.executable, "-c", LISTED, "plan"], cwd=project.folder, capture_output=True, text=True, check=True
    )
    found = set(done.stderr.split())
    assert "mlinfra_local" in found
    assert "rich" not in found
    assert not [name for name in found if name.startswith("mlinfra_tools.")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(project: Project, command: str) -> None:
    told = project.done(command, "--help")
    assert told.out.startswith(f"Usage: mlinfra {command} ")
    lines = told.out.splitlines()
    assert lines[2].strip()
    for number, line in enumerate(lines):
        # Whatever can be given is explained, on its line or the next.
        if line.startswith("  -"):
            rest = line.split("  ")[2:]
            assert any(part.strip() for part in rest) or lines[number + 1].startswith("     "), line
    assert project.done("-h").out.count(f"\n  {command} ") == 1


def test_init_then_plan(project: Project) -> None:
    (project.folder / "blueprint.yaml").unlink()
    told = project.done("init", "made")
    assert "Next: cd made && mlinfra plan" in told.out
    made = project.folder / "made"
    assert (made / "blueprint.yaml").exists()
    assert (made / ".gitignore").read_text() == ".mlinfra/\n"
    planned = project.done("plan", "-f", "made/blueprint.yaml")
    assert "registry.models" in planned.out
    assert "0 to destroy" in planned.out


def test_init_leaves_what_is_there_alone(project: Project) -> None:
    project.write("mine")
    told = project.call("init")
    assert told.code == 1
    assert "[file-exists]" in told.err
    assert (project.folder / "blueprint.yaml").read_text() == "mine"
    assert project.names() == ["blueprint.yaml"]
    wrong = project.call("init", "--from", "startr", "other")
    assert wrong.code == 1
    assert 'Did you mean "starter"?' in wrong.err


def test_the_schema_accepts_good_blueprints_and_refuses_bad_ones(project: Project) -> None:
    schema = json.loads(project.done("schema").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    starter = Path(__file__).parents[3] / "blueprints" / "starter" / "blueprint.yaml"
    for text in (LIGHT, starter.read_text("utf-8")):
        assert [error.message for error in validator.iter_errors(yaml.safe_load(text))] == []
    for wrong in ("storage:\n  lake: { versionin: true }\n", "storage:\n  lake: { versioning: 3 }\n", "nope: {}\n"):
        assert list(validator.iter_errors(yaml.safe_load(LIGHT.replace("storage:\n  lake: {}\n", "") + wrong)))
