"""What the work folder tells of an environment: marks of files and folders, and the records of processes, jobs and Python
environments, each with the address of what it is of. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlinfra.sdk.discovery import Found, Scope
from mlinfra_local.client import LocalClient
from mlinfra_local.writing import read_json

RECORDS: Final = (
    ("processes", "process.json", "local.process"),
    ("jobs", "process.json", "local.job"),
    ("envs", "env.json", "local.python_env"),
)
"""Folders with a folder for each object, the file in it that says whose it is, and the type."""
FILES: Final = {"file": "local.file", "secret_file": "local.secret_file", "route": "local.route"}
"""Types that are one file with a mark, which does not tell the type. Removing one is the same for all of them."""
FOLDERS: Final = {"folder": "local.folder"}


def discover(client: LocalClient, scope: Scope) -> Iterator[Found]:
    """Everything that has a mark or a record."""
    for told in map(read_json, _files(client.work / "marks", "*.json")):
        if isinstance(told, dict) and scope.mine(told.get("owner")):
            address = _address(told)
            types, otherwise = (FOLDERS, "local.folder") if _is_folder(told) else (FILES, "local.file")
            yield Found(scope.type_at(address, types, otherwise), told["path"], address)
    for folder, file, type_name in RECORDS:
        for path in _files(client.work / folder, f"*/{file}"):
            told = read_json(path)
            if isinstance(told, dict) and scope.mine(told.get("owner")):
                yield Found(type_name, path.parent.name, _address(told))


def _files(folder: Path, pattern: str) -> list[Path]:
    return sorted(folder.glob(pattern)) if folder.is_dir() else []


def _is_folder(told: dict[str, Any]) -> bool:
    """Whether a mark is a folder's: by what stands there, or, if that was deleted, by what is remembered of it."""
    path = Path(told["path"])
    return path.is_dir() if path.exists() else "files" in told.get("notes", {})


def _address(told: dict[str, Any]) -> str:
    return str(told["owner"]["mlinfra:address"])
