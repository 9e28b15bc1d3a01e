"""Brings files into a folder that is in use: run as a program in a container that has the folder, standard library only.

``python3 seeding.py STAGE FOLDER``. ``STAGE/wanted.json`` names the files with their digests, ``STAGE/new/`` holds those that
may be missing. A file that somebody edited since is left alone; one that is no longer wanted goes, unless it was edited.
What was brought is remembered in ``STAGE/brought.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path


def digest(path: Path) -> str:
    """A short digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:16]


def main(stage: Path, folder: Path) -> None:
    """Make the folder hold what is wanted."""
    wanted: dict[str, str] = json.loads((stage / "wanted.json").read_text("utf-8"))
    record = stage / "brought.json"
    before: dict[str, str] = json.loads(record.read_text("utf-8")) if record.exists() else {}
    for name, content in wanted.items():
        target, fresh = folder / name, stage / "new" / name
        edited = target.is_file() and before.get(name) not in (None, content) and digest(target) != before[name]
        if not fresh.is_file() or edited or (target.is_file() and before.get(name) in (None, content)):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        arriving = target.with_name(f".{target.name}.mlinfra")
        shutil.copyfile(fresh, arriving)
        os.replace(arriving, target)  # noqa: PTH105 - readers see the old file or the new one
    for name in before.keys() - wanted.keys():
        target = folder / name
        if target.is_file() and digest(target) == before[name]:
            target.unlink()
            for parent in target.parents:
                if parent == folder or any(parent.iterdir()):
                    break
                parent.rmdir()
    record.write_text(json.dumps(wanted), "utf-8")
    shutil.rmtree(stage / "new", ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
