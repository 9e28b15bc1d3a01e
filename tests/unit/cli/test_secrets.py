"""A secret never reaches state, plan, journal, log or screen (promise P8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import HEAD, Project

BLUEPRINT = (
    HEAD
    + """\
secret:
  token: { generate: { length: 40 } }
resource:
  copy:
    type: local.file
    path: copy.txt
    content: "token=${secret.token.value}\\nmore\\n"
"""
)


@pytest.fixture
def secret(project: Project) -> str:
    """The blueprint applied; the secret that it made."""
    project.write(BLUEPRINT)
    project.env["MLINFRA_DEBUG"] = ""
    project.done("apply", "-y")
    return (project.folder / project.done("output", "secret.token.path").out.strip()).read_text()


def holders(folder: Path, secret: str) -> set[Path]:
    """The files below a folder whose bytes hold the secret, plain or as a database or an archive would hold text."""
    forms = {secret.encode(form) for form in ("utf-8", "utf-16-le", "utf-16-be")}
    return {path for path in folder.rglob("*") if path.is_file() and any(form in path.read_bytes() for form in forms)}


def test_it_is_in_its_file_and_where_the_blueprint_puts_it_and_nowhere_else(project: Project, secret: str) -> None:
    assert len(secret) == 40
    path = Path(project.done("output", "secret.token.path").out.strip())
    (project.folder / "copy.txt").write_text("edited")
    project.done("plan", "--out", "p")
    project.done("apply", "p")
    project.done("plan", "--out", "p", "--replace", "resource.copy")
    copy = project.folder / "copy.txt"
    assert copy.read_text() == f"token={secret}\nmore\n"
    assert holders(project.folder, secret) == {path, copy}
    assert path.stat().st_mode & 0o777 == 0o600


def test_no_command_prints_it_unless_it_is_asked_to(project: Project, secret: str) -> None:
    (project.folder / "copy.txt").write_text("edited\nin two lines\n")
    for arguments in (
        ("plan", "--details"),
        ("plan", "--json"),
        ("plan", "--destroy", "--details"),
        ("show",),
        ("show", "secret.token"),
        ("show", "resource.copy", "--json"),
        ("output",),
        ("output", "--json"),
        ("output", "secret.token.value"),
        ("status", "--json"),
        ("graph", "--resources"),
        ("apply", "-y", "--json"),
        ("plan",),
    ):
        told = project.done(*arguments)
        assert secret not in told.out + told.err, arguments
    assert project.done("output", "secret.token.value", "--reveal").out.strip() == secret
    assert secret in project.done("output", "--reveal").out


def test_one_from_outside_stays_outside(project: Project) -> None:
    project.write(HEAD + "secret:\n  token: { env: OUTSIDE }\n")
    missing = project.call("apply", "-y")
    assert missing.code == 1
    assert "OUTSIDE" in missing.err
    project.env["OUTSIDE"] = "correct horse battery staple"
    told = project.done("apply", "-y", "--json")
    assert "correct horse" not in told.out
    path = Path(project.done("output", "secret.token.path").out.strip())
    assert holders(project.folder, "correct horse battery staple") == {path}
    project.env["OUTSIDE"] = "another one altogether"
    changed = project.done("plan", "--details")
    assert "Plan: 0 to add, 1 to change" in changed.out
    assert "another one" not in changed.out
    assert "correct horse" not in changed.out
