"""Files for a container, as the archive that the engine unpacks in it: so that a remote engine needs no folder of ours."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

SECRETS: Final = "/run/secrets"
"""Where secrets lie in a container, each under its name, as Compose and Swarm have it."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One file. ``private`` says that it belongs to the container's user alone."""

    path: str
    content: str
    mode: int
    private: bool = False


def folders(files: Iterable[Placed]) -> list[str]:
    """The folders that the files lie in, without those that lie in another of them."""
    found = sorted({str(PurePosixPath(file.path).parent) for file in files})
    return [
        folder
        for folder in found
        if not any(other != folder and PurePosixPath(folder).is_relative_to(other) for other in found)
    ]


def archive(files: Iterable[Placed], below: str, *, user: tuple[int, int]) -> bytes:
    """The tar archive of the files that lie below a folder, by their paths in it. Others belong to root."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        made: set[str] = set()
        for file in files:
            path = PurePosixPath(file.path)
            if not path.is_relative_to(below):
                continue
            inside = path.relative_to(below)
            for parent in reversed(inside.parents):
                name = str(parent)
                # A folder that the image has keeps its owner and permissions: an archive without it leaves it alone, and
                # the engine makes those that are missing. Only that of secrets is made here, since it is ours.
                if name != "." and str(PurePosixPath(below, parent)) == SECRETS and name not in made:
                    made.add(name)
                    tar.addfile(_folder(name))
            data = file.content.encode()
            item = tarfile.TarInfo(str(inside))
            item.size, item.mode = len(data), file.mode
            if file.private:
                item.uid, item.gid = user
            tar.addfile(item, io.BytesIO(data))
    return stream.getvalue()


def _folder(name: str) -> tarfile.TarInfo:
    item = tarfile.TarInfo(name)
    item.type, item.mode = tarfile.DIRTYPE, 0o755
    return item


def account(user: str, passwd: str) -> tuple[int, int] | None:
    """The numbers of a user and group (``name``, ``1000``, ``name:group``, ``1000:1000``) by the text of ``/etc/passwd``.
    None if the file is needed and does not have it. A named group is taken as the user's own."""
    name, _, group = user.partition(":")
    if name.isdigit():
        return int(name), int(group) if group.isdigit() else _gid(int(name), passwd)
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) > 3 and fields[0] == name and fields[2].isdigit() and fields[3].isdigit():
            return int(fields[2]), int(group) if group.isdigit() else int(fields[3])
    return None


def _gid(uid: int, passwd: str) -> int:
    for line in passwd.splitlines():
        fields = line.split(":")
        if len(fields) > 3 and fields[2] == str(uid) and fields[3].isdigit():
            return int(fields[3])
    return 0


def secrets(values: Mapping[str, str]) -> list[Placed]:
    """Secrets as files of the container's user."""
    return [Placed(f"{SECRETS}/{name}", value, 0o400, private=True) for name, value in sorted(values.items())]
