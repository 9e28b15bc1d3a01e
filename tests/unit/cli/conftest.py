"""A project in a folder of its own, and the command line over it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlinfra.cli.app import run

HEAD = """\
blueprint: demo
environments:
  laptop: { provider: local, default: true, disposable: true }
  prod: { provider: local }
"""
LIGHT = (
    HEAD
    + """\
storage:
  lake: {}
resource:
  box: { type: local.folder, path: box }
  note: { type: local.file, path: "${resource.box.path}/note.txt", content: hello }
"""
)
"""A storage, a folder and a file in it: three resources, none of which runs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Project:
    """A folder with a blueprint. ``call`` runs a command within this process, which is quick; ``spawn`` as a user does."""

    folder: Path
    capture: pytest.CaptureFixture[str]
    patch: pytest.MonkeyPatch
    env: dict[str, str] = field(default_factory=dict)

    def write(self, text: str | bytes, name: str = "blueprint.yaml") -> Path:
        """Write a file, the blueprint if no other is named."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def call(self, *arguments: str) -> Ended:
        """Run a command here; stdin, stdout and stderr are no terminals."""
        self.capture.readouterr()
        with self.patch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr(sys, "argv", ["mlinfra", *arguments])
            for name, value in self.env.items():
                patch.setenv(name, value)
            code = run()
        told = self.capture.readouterr()
        return Ended(code, told.out, told.err)

    def done(self, *arguments: str) -> Ended:
        """A command that must succeed."""
        ended = self.call(*arguments)
        assert ended.code == 0, ended.out + ended.err
        return ended

    def spawn(self, *arguments: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Ended:
        """Run a command as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.folder,
            env={**os.environ, **self.env, **(env or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def names(self) -> list[str]:
        """What lies in the folder."""
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def project(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with the light blueprint, in an environment without variables that change the output."""
    for name in ("NO_COLOR", "CI", "COLUMNS", "TERM", "MLINFRA_ENV", "MLINFRA_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    made = Project(folder, capsys, monkeypatch)
    made.write(LIGHT)
    return made
