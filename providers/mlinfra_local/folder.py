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
from mlinfra_local.paths import inside, prune, refused, source
from mlinfra_local.writing import write


class LocalFolder(Resource):
    """A folder below the blueprint's folder.

    Example::

        resource:
          scratch: { type: local.folder, path: data/scratch }
    """

    type: ClassVar[str] = "local.folder"
    holds_data: ClassVar[bool] = True

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
        return {**fields, "path": path, "contents": contents, "files": files, "url": Path(path).as_uri()}

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        path = Path(known.id)
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
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
            "url": path.as_uri(),
        }

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        mine = marks.ours(marks.find(client, self.path), op)
        return self.path if mine and Path(self.path).is_dir() else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        path = Path(self.path)
        if path.exists() and not path.is_dir():
            raise NotOurs(f"{path} is a file", remedy="Move it away, or choose another path.")
        filled = path.is_dir() and any(path.iterdir())
        marks.claim(client, self.path, op, there=filled)
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise refused(error, path) from error
        self._fill(client, path, op)
        return Created(self.path)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        self._fill(client, Path(known.id), op)
        return None

    def _fill(self, client: LocalClient, path: Path, op: Operation) -> None:
        """Copy what is missing or was seeded in an older form; remember what was seeded."""
        mark = marks.find(client, self.path) or marks.Mark(self.path, dict(op.owner))
        before: Mapping[str, str] = mark.notes.get("files", {})
        try:
            for name, wanted in self.files.items():
                target = path / name
                if target.is_file() and (before.get(name) in (None, wanted) or digest(target) != before[name]):
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                assert self.contents is not None
                write(target, (Path(self.contents) / name).read_bytes(), 0o644)
            for name in before.keys() - self.files.keys():
                target = path / name
                if target.is_file() and digest(target) == before[name]:
                    target.unlink()
            path.chmod(int(self.mode, 8))
        except OSError as error:
            raise refused(error, path) from error
        notes = {"files": self.files, "contents": self.contents, "data": self.data}
        marks.put(client, replace(mark, owner=dict(op.owner), notes=notes))

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        path = Path(known.id)
        mark = marks.find(client, known.id)
        if mark is None and path.exists():
            raise NotOurs(
                f"{path} has no mark of mlinfra any more, so it may be somebody else's",
                remedy="Remove it yourself if it is not needed, then apply again.",
            )
        try:
            if path.is_symlink():
                path.unlink()
            elif path.exists():
                shutil.rmtree(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise refused(error, path) from error
        prune(client, path, mark.parents if mark else ())
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
        missing = [c.path.removeprefix("files.") for c in changes if c.path.startswith("files.") and c.old is None]
        if missing and len(missing) == len(changes):
            listed = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
            return f"{listed} {'is' if len(missing) == 1 else 'are'} missing → put back"
        return None


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, links to files included, in a fixed order. Linked folders are not entered."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(where) / name for name in sorted(names))


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
