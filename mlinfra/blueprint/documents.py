"""The files of a blueprint, merged to one tree: sections are joined name by name, and a name stands in one file only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlinfra.blueprint.overrides import from_override
from mlinfra.blueprint.source import At, Source, read
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, Position

SUFFIXES = (".yaml", ".yml")


@dataclass(slots=True)
class Documents:
    """The sources of a blueprint and their merged tree. ``root`` is the folder that paths in it are relative to."""

    root: Path
    sources: list[Source]
    tree: dict[str, Any] = field(default_factory=dict)
    environment: str | None = None
    """Set when one is chosen: places of values that its overrides give are then found there."""

    def locate(self, path: Sequence[Any], at: At = "value", needle: str = "") -> Position:
        """The place of a path of the merged tree, overrides of the chosen environment considered."""
        if self.environment is not None:
            prefix = ("environments", self.environment, "overrides")
            above: Any = self.tree
            for step in prefix:
                above = above.get(step) if isinstance(above, dict) else None
            if isinstance(above, dict) and path and from_override(self.tree, above, path):
                path = (*prefix, *path)
        best = max(self.sources, key=lambda source: source.depth(path))
        return best.position(path, at, needle)


def open_documents(path: Path) -> Documents:
    """Read a file, or all YAML files of a folder but variable files.

    Errors: DiagnosticError with all mistakes of all files that keep them from being read.
    """
    folder = path.is_dir()
    files = _files(path) if folder else [path]
    sources: list[Source] = []
    problems: list[Diagnostic] = []
    for file in files:
        try:
            sources.append(read(file))
        except DiagnosticError as error:
            if not (folder and len(files) > 1 and all(d.code == "file-empty" for d in error.diagnostics)):
                problems += error.diagnostics
    if problems:
        raise DiagnosticError(problems)
    documents = Documents((path if folder else path.parent).resolve(), sources)
    if len(sources) == 1:
        documents.tree = sources[0].data
        return documents
    for source in sources:
        problems += _join(documents.tree, source, sources)
    if problems:
        raise DiagnosticError(problems)
    return documents


def _files(folder: Path) -> list[Path]:
    try:
        found = sorted(
            path
            for path in folder.iterdir()
            if path.suffix in SUFFIXES
            and not path.name.startswith(".")
            and not path.stem.endswith(".vars")
            and path.is_file()
        )
    except OSError as error:
        raise DiagnosticError(
            [
                Diagnostic(
                    "file-unreadable",
                    "Folder cannot be read",
                    f'"{folder}" cannot be read: {error.strerror}.',
                    "Check its permissions.",
                )
            ]
        ) from None
    if not found:
        raise DiagnosticError(
            [
                Diagnostic(
                    "file-missing",
                    "No blueprint in the folder",
                    f'There is no *.yaml file in the folder "{folder}".',
                    "Name a blueprint, or make a first one with `mlinfra init`.",
                )
            ]
        )
    return found


def _join(tree: dict[str, Any], source: Source, sources: Sequence[Source]) -> list[Diagnostic]:
    problems = []
    for section, content in source.data.items():
        if section not in tree:
            tree[section] = dict(content) if isinstance(content, dict) else content
            continue
        present = tree[section]
        if isinstance(present, dict) and isinstance(content, dict):
            for name, value in content.items():
                if name in present:
                    problems.append(_twice((section, name), source, sources))
                else:
                    present[name] = value
        elif content is not None and present is not None:
            problems.append(_twice((section,), source, sources))
        elif content is not None:
            tree[section] = content
    return problems


def _twice(path: tuple[str, ...], source: Source, sources: Sequence[Source]) -> Diagnostic:
    first = next(other for other in sources if other.depth(path) == len(path)).position(path, "key")
    return Diagnostic(
        "key-duplicate",
        "Declared twice",
        f'"{".".join(path)}" is already declared in {first.file}, line {first.line}.',
        "Keep one of the two. All YAML files of the folder are parts of one blueprint; to read only one, name it.",
        source.position(path, "key"),
    )
