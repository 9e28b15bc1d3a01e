"""Where the parts of a repository stand below its folder, and the record of what was applied last. Changes nothing but that."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

ELSEWHERE = "elsewhere"
"""The state of a source that is not on this machine's disks."""

Definition = Mapping[str, Any]
"""``project``, ``entities``, ``views`` and ``materialise``, as `mlinfra_tools.feast.repository` sends them."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of one repository, named as Feast's own templates name them."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "feature_store.yaml"

    @property
    def registry(self) -> Path:
        return self.folder / "data" / "registry.db"

    @property
    def online(self) -> Path:
        return self.folder / "data" / "online.db"

    @property
    def record(self) -> Path:
        return self.folder / "data" / "applied.json"


@dataclass(slots=True)
class Record:
    """What the last apply did. ``status`` is ``applying``, ``applied`` or ``failed``; ``files`` maps a rendered file to its
    SHA-256; ``views`` maps a view to ``materialised`` (ISO time or None), ``filled`` (whether rows were online then) and
    ``source`` (the `source_state` that was read)."""

    definition: Definition
    status: str = "applying"
    reason: str = ""
    files: dict[str, str] = field(default_factory=dict)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_record(layout: Layout) -> Record | None:
    """The record, or None if there is none that can be read."""
    try:
        return Record(**json.loads(layout.record.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_record(layout: Layout, record: Record) -> None:
    """Replace the record in one step."""
    layout.record.parent.mkdir(parents=True, exist_ok=True)
    text = {name: getattr(record, name) for name in Record.__slots__}
    replace_text(layout.record, json.dumps(text, indent=1))


def replace_text(path: Path, text: str) -> None:
    """Write a file so that it is the old one or the new one at any time."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text, "utf-8")
    os.replace(fresh, path)  # noqa: PTH105 - said in one word


def digest(path: Path) -> str | None:
    """The SHA-256 of a file, or None if it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def local_source(source: str) -> Path | None:
    """The path of a source on this machine, or None for one elsewhere (``s3://``)."""
    if "://" not in source:
        return Path(source)
    parts = urlsplit(source)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def source_state(source: str) -> str | None:
    """A text that is another one once a source's files have changed; `ELSEWHERE`; or None if there is nothing."""
    path = local_source(source)
    if path is None:
        return ELSEWHERE
    try:
        found = [file.stat() for file in (sorted(path.rglob("*")) if path.is_dir() else [path])]
    except OSError:
        return None
    text = ",".join(f"{file.st_mtime_ns}:{file.st_size}" for file in found)
    return hashlib.sha256(text.encode()).hexdigest() if found else None
