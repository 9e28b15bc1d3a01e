"""Ready blueprints, copied by `init`."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlinfra
from mlinfra.sdk.diagnostics import did_you_mean, fail

_IGNORED = ".mlinfra/\n"


def starters_folder() -> Path:
    """Where the ready blueprints are: within the package in a wheel, beside it in a checkout."""
    package = Path(mlinfra.__file__).parent
    inside = package / "blueprints"
    return inside if inside.is_dir() else package.parent / "blueprints"


def copy_starter(name: str, folder: Path) -> list[Path]:
    """Copy a ready blueprint into a folder; returns the files written. Nothing that exists is overwritten.

    Errors: DiagnosticError for an unknown name, or a file that exists.
    """
    known = sorted(path.name for path in starters_folder().iterdir() if path.is_dir())
    if name not in known:
        raise fail(
            "starter-unknown",
            "Unknown blueprint",
            f'There is no ready blueprint "{name}".{did_you_mean(name, known)}',
            f"There are: {', '.join(known)}.",
        )
    source = starters_folder() / name
    files = [path for path in sorted(source.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    for path in files:
        target = folder / path.relative_to(source)
        if target.exists():
            raise fail("file-exists", "File exists", f"{target} exists and is left alone.", "Choose another folder.")
    written = []
    try:
        for path in files:
            target = folder / path.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            written.append(target)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text(_IGNORED, encoding="utf-8")
            written.append(ignore)
    except OSError as error:
        raise fail(
            "file-unwritable",
            "File cannot be written",
            f"{folder}: {error.strerror or error}.",
            "Choose another folder.",
        ) from error
    return written
