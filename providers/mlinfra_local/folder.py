"""`local.folder`: a folder, empty or seeded with files. What users put into it is theirs: left alone, and named before a delete."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import field_validator

from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_local import marks
from mlinfra_local.client import LocalClient
from mlinfra_local.file import octal
from mlinfra_local.paths import forget_made, guard, inside, parents, prune, refused, source, was_made
from mlinfra_local.writing import discard_unfinished, write


class LocalFolder(Resource):
    """A folder below the blueprint's folder.

    Example::

        resource:
          scratch: { type: local.folder, path: data/scratch }
    """

    type: ClassVar[str] = "local.folder"
    holds_data: ClassVar[bool] = True
    looks_outside: ClassVar[bool] = True

    path: Annotated[str, REPLACE]
    """Where it lies, relative to the blueprint's folder."""
    contents: str | None = None
    """A folder of the blueprint whose files are copied in. Files that go missing are put back; edited ones are left alone."""
    mode: str = "0755"
    """Permissions, octal."""
    data: bool = True
    """Whether files in it, other than seeded ones, cannot be made again."""
    files: dict[str, str] = {}
    """The seeded files with their digests. Follows from ``contents``; not to be set."""
    seeded: str | None = None
    """A digest of all of them, so that one that left is noticed as well. Not to be set."""
    url: Annotated[str | None, COMPUTED] = None
    """Its ``file://`` URL."""

    @field_validator("mode", mode="before")
    @classmethod
    def _octal(cls, value: Any) -> str:
        return octal(value)

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        path = inside(fields["path"], place)
        files: dict[str, str] = {}
        contents = fields["contents"]
        if contents is not None:
            seeds = source(contents, place, "contents")
            if not seeds.is_dir():
                raise ProviderError(
                    f"the folder {contents}, which shall be copied to {fields['path']}, is not there",
                    remedy=f"Create {seeds}, or correct the path.",
                )
            if Path(path).is_relative_to(seeds):
                raise ProviderError(
                    f"{fields['path']} lies within its own contents {contents}", remedy="Choose another path."
                )
            files = {str(item.relative_to(seeds)): digest(item) for item in walk(seeds)}
            contents = str(seeds)
        return {
            **fields,
            "path": path,
            "contents": contents,
            "files": files,
            "seeded": _seeded(files) if contents else None,
            "url": Path(path).as_uri(),
        }

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        path = Path(known.id)
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return {"path": known.id} if marks.find(client, known.id) else None
        except OSError as error:
            raise refused(error, path) from error
        if not stat.S_ISDIR(mode):
            raise ProviderError(f"{path} was a folder and is a file now", remedy="Move the file away.")
        notes = _notes(client, known.id)
        seeded: Mapping[str, str] = notes.get("files", {})
        return {
            "path": known.id,
            "contents": notes.get("contents"),
            "mode": f"{stat.S_IMODE(mode):04o}",
            "data": notes.get("data", True),
            "files": {name: seeded[name] for name in seeded if (path / name).is_file()},
            "seeded": _seeded(seeded) if notes.get("contents") else None,
            "url": path.as_uri(),
        }

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        return self.path if marks.ours(marks.find(client, self.path), op) else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        path = Path(self.path)
        if path.is_symlink():
            raise NotOurs(f"{path} is a link", remedy="Remove the link, or choose another path.")
        if path.exists() and not path.is_dir():
            raise NotOurs(f"{path} is a file", remedy="Move it away, or choose another path.")
        there = path.is_dir()
        filled = there and any(path.iterdir())
        marks.claim(client, self.path, op, there=filled and not was_made(client, path))
        try:
            self._fill(client, path, op)
        except ProviderError:
            if not there:
                self.delete(client, Known(op.address, self.path, {}), op)
            elif not filled:
                _empty(path)
                marks.remove(client, self.path)
            raise
        return Created(self.path)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        self._fill(client, Path(known.id), op)
        return None

    def _fill(self, client: LocalClient, path: Path, op: Operation) -> None:
        """Have the folder; copy what is missing or was seeded in an older form; remember what was seeded."""
        mark = marks.find(client, self.path) or marks.Mark(self.path, dict(op.owner))
        before: Mapping[str, str] = mark.notes.get("files", {})
        try:
            with parents(client, path):
                path.mkdir(exist_ok=True)
                forget_made(client, path)
                guard(client, path / "any")
            path.chmod(int(self.mode, 8) | stat.S_IWUSR | stat.S_IXUSR)
            for name, wanted in self.files.items():
                target = path / name
                guard(client, target)
                discard_unfinished(target)
                if target.is_file() and (before.get(name) in (None, wanted) or digest(target) != before[name]):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                assert self.contents is not None
                write(target, Path(self.contents) / name, 0o644)
            for name in before.keys() - self.files.keys():
                _unseed(client, path, name, before[name])
            path.chmod(int(self.mode, 8))
        except OSError as error:
            raise refused(error, path) from error
        notes = {"files": self.files, "contents": self.contents, "data": self.data}
        marks.put(client, replace(mark, owner=dict(op.owner), notes=notes))

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        path = Path(known.id)
        guard(client, path)
        if marks.find(client, known.id) is None and path.exists():
            raise NotOurs(
                f"{path} has no mark of mlinfra any more, so it may be somebody else's",
                remedy="Remove it yourself if it is not needed, then apply again.",
            )
        try:
            if path.is_symlink():
                path.unlink(missing_ok=True)
            elif path.is_dir():
                shutil.rmtree(path, onerror=_unless_gone)
        except OSError as error:
            raise refused(error, path) from error
        prune(client, path)
        marks.remove(client, known.id)

    @classmethod
    def would_lose(cls, client: LocalClient, known: Known) -> str | None:
        notes = _notes(client, known.id)
        if not notes.get("data", known.fields.get("data", True)):
            return None
        path = Path(known.id)
        seeded: Mapping[str, str] = notes.get("files", {})
        count = size = 0
        for item in walk(path):
            name = str(item.relative_to(path))
            if name in seeded and digest(item) == seeded[name]:
                continue
            count += 1
            size += item.lstat().st_size
        return f"{count} file{'' if count == 1 else 's'}, {_size(size)}" if count else None

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        if any(change.path == "mode" and change.old is None for change in changes):
            return "deleted → made again"
        if {change.path.partition(".")[0] for change in changes} - {"files", "seeded"}:
            return None
        files = {change.path.removeprefix("files."): change for change in changes if change.path != "seeded"}
        missing = [name for name, change in files.items() if change.old is None]
        told = []
        if len(files) < len(changes):  # the blueprint's files changed
            told += [f"{_listed(missing)} → copied"] if missing else []
            gone = [name for name, change in files.items() if change.new is None]
            other = [name for name in files if name not in missing and name not in gone]
            told += [f"{_listed(other)} changed → copied again, unless edited"] if other else []
            told += [f"{_listed(gone)} left → removed, unless edited"] if gone or not told else []
            return ", ".join(told)
        if len(missing) < len(files):
            return None
        return f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing → put back"


def _unless_gone(_function: object, _path: str, error: tuple[type[BaseException], BaseException, object]) -> None:
    """Goes on removing a tree where something vanished by itself meanwhile."""
    if not isinstance(error[1], FileNotFoundError):
        raise error[1]


def _empty(path: Path) -> None:
    """Remove what was put into a folder that was empty before."""
    for item in path.iterdir() if path.is_dir() else ():
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item, ignore_errors=True)
        else:
            item.unlink(missing_ok=True)


def _unseed(client: LocalClient, folder: Path, name: str, seeded: str) -> None:
    """Remove a file that is no longer to be seeded, unless it was edited; and subfolders that are empty then."""
    target = folder / name
    guard(client, target)
    if not target.is_file() or digest(target) != seeded:
        return
    target.unlink()
    for parent in target.parents:
        if parent == folder or any(parent.iterdir()):
            break
        parent.rmdir()


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, links to files included, in a fixed order. Linked folders are not entered."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(where) / name for name in sorted(names))


def _listed(names: Sequence[str]) -> str:
    """The first names of files, or what stands for them where a diff does not name them."""
    if not names:
        return "files"
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _seeded(files: Mapping[str, str]) -> str:
    told = "\n".join(f"{name} {files[name]}" for name in sorted(files))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def digest(path: Path) -> str:
    """A short digest of a file's bytes; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:16]
    except OSError:
        return ""


def _notes(client: LocalClient, path: str) -> Mapping[str, Any]:
    mark = marks.find(client, path)
    return mark.notes if mark else {}


def _size(count: int) -> str:
    """Bytes as people read them: ``812 B``, ``3.4 MB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
