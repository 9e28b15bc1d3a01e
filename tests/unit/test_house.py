"""The house itself: who imports whom, what the wheel holds, that an installed one works, and how files look."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [path for folder in ("mlinfra", "providers") for path in sorted((ROOT / folder).rglob("*.py"))]
LONGEST = 400
"""Lines of a source file: above it wants to be two."""


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in paths]


def test_imports_go_one_way() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("folder", ["mlinfra", "providers", "tests", "scripts", "benchmarks", "examples"])
def test_every_module_says_what_it_is_for(folder: str) -> None:
    silent = [path for path in (ROOT / folder).rglob("*.py") if ".mlinfra" not in path.parts and not _says(path)]
    assert names(silent) == []


def _says(path: Path) -> bool:
    text = path.read_text("utf-8")
    # An empty file is there to be a package.
    return not text.strip() or bool(ast.get_docstring(ast.parse(text)))


def test_no_source_file_is_long() -> None:
    long = [path for path in SOURCES if len(path.read_text("utf-8").splitlines()) > LONGEST]
    assert names(long) == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout with the hatchling that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = archive.namelist()
    tops = {name.partition("/")[0] for name in held}
    packages = {"mlinfra", "mlinfra_aws", "mlinfra_docker", "mlinfra_emulator", "mlinfra_local", "mlinfra_tools"}
    assert {top for top in tops if not top.endswith(".dist-info")} == packages
    assert len(tops) == len(packages) + 1
    assert "mlinfra/blueprints/starter/blueprint.yaml" in held
    assert not [name for name in held if "__pycache__" in name or name.endswith(".pyc")]


def test_the_wheel_holds_every_file_that_is_read_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    data = [
        path.relative_to(ROOT / "providers").as_posix()
        for ending in ("lock", "j2", "json")
        for path in (ROOT / "providers").rglob(f"*.{ending}")
    ]
    assert "mlinfra_tools/feast/requirements.lock" in data
    assert "mlinfra_tools/feast/templates/features.py.j2" in data
    assert sorted(set(data) - held) == []
    modules = {path.relative_to(ROOT / "providers").as_posix() for path in (ROOT / "providers").rglob("*.py")}
    assert sorted(modules - held) == []


def test_an_installed_wheel_works_far_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "uv", "--quiet", "venv", "--python", sys.executable, str(venv)], check=True)
    python = venv / "bin" / "python"
    install = [sys.executable, "-m", "uv", "--quiet", "pip", "install", "--python", str(python), str(wheel)]
    subprocess.run(install, check=True)
    command = str(venv / "bin" / "mlinfra")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments: str) -> str:
        done = subprocess.run([command, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run("--version").startswith("mlinfra ")
    run("init", "made")
    assert run("validate", "-f", "made").startswith("Valid: first in laptop")
    assert "0 to destroy" in run("plan", "-f", "made")
    providers = run("providers")
    assert "local" in providers
    assert "tools" in providers
