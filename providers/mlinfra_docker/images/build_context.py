"""What an image is built from: the files that ``.dockerignore`` leaves of a folder, their digest, and the archive of them.

The same files give the same digest and the same archive on every machine: times, owners and order do not count.
"""

from __future__ import annotations

import hashlib
import io
import json
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from mlinfra.sdk.errors import ProviderError


@dataclass(frozen=True, slots=True)
class Context:
    """``folder`` is absolute, ``shown`` is what the blueprint calls it."""

    folder: Path
    dockerfile: str
    args: Mapping[str, str]
    target: str | None
    shown: str

    def files(self) -> list[str]:
        """The paths of all files and links, in order.

        Errors: ProviderError if the folder or its Dockerfile is not there, or lies elsewhere.
        """
        if not self.folder.is_dir():
            raise ProviderError(
                f"the folder {self.shown}, which an image is built from, is not there",
                remedy=f"Create {self.folder}, or correct the path.",
            )
        recipe = (self.folder / self.dockerfile).resolve()
        if not recipe.is_relative_to(self.folder.resolve()):
            raise ProviderError(
                f"the Dockerfile {self.dockerfile} lies outside of {self.shown}", remedy="Move it into the folder."
            )
        if not recipe.is_file():
            raise ProviderError(
                f"the folder {self.shown} has no {self.dockerfile}", remedy="Create it, or name another as dockerfile."
            )
        ignore = self.folder / ".dockerignore"
        patterns = []
        if ignore.is_file():
            lines = (line.strip() for line in ignore.read_text("utf-8").splitlines())
            patterns = [line for line in lines if line and not line.startswith("#")]
        from docker.utils import exclude_paths

        found = exclude_paths(str(self.folder), patterns, dockerfile=self.dockerfile)
        return sorted(path for path in found if _counts(self.folder / path))

    def digest(self) -> str:
        """A digest of all that a build is given, 32 hexadecimal digits."""
        total = hashlib.sha256(json.dumps([self.dockerfile, dict(sorted(self.args.items())), self.target]).encode())
        for name in self.files():
            path = self.folder / name
            total.update(f"\0{name}\0{_mode(path):o}\0".encode())
            if path.is_symlink():
                total.update(str(path.readlink()).encode())
            else:
                with path.open("rb") as stream:
                    total.update(hashlib.file_digest(stream, "sha256").digest())
        return total.hexdigest()[:32]

    @contextmanager
    def archive(self) -> Iterator[IO[bytes]]:
        """The tar archive that a build is sent. It is a file: a context may be larger than memory."""
        with tempfile.TemporaryFile() as spool:
            with tarfile.open(mode="w", fileobj=spool) as tar:
                for name in self.files():
                    _add(tar, name, self.folder / name)
            spool.seek(0)
            yield spool


def _counts(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _mode(path: Path) -> int:
    """What of the permissions is the same on every machine: whether it is a program."""
    return 0o755 if path.lstat().st_mode & stat.S_IXUSR else 0o644


def _add(tar: tarfile.TarFile, name: str, path: Path) -> None:
    item = tarfile.TarInfo(name)
    item.mode = _mode(path)
    if path.is_symlink():
        item.type, item.linkname = tarfile.SYMTYPE, str(path.readlink())
        tar.addfile(item)
    else:
        data = path.read_bytes()
        item.size = len(data)
        tar.addfile(item, io.BytesIO(data))
