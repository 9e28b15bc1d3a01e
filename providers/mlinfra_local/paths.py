"""Paths from a blueprint: always below the blueprint's folder or the environment's work folder, whatever is written."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.provider import Place
from mlinfra_local.client import LocalClient, absolute

NAME: Final = re.compile(r"[A-Za-z0-9_@][A-Za-z0-9_.@-]{0,120}")


def inside(path: str, place: Place, what: str = "path") -> str:
    """An absolute path; a relative one starts at the blueprint's folder. Looks at the text only.

    Errors: ProviderError for a path that leaves both folders, or is one of them.
    """
    if not path or "\0" in path:
        raise ProviderError(f"the {what} is empty", remedy="Give a path relative to the blueprint's folder.")
    root, work = absolute(place.root), absolute(place.work)
    found = absolute(root / path)
    if found in (root, work) or work.is_relative_to(found):
        raise ProviderError(
            f'the {what} "{path}" is a folder that mlinfra itself stands on',
            remedy="Choose a folder or file below the blueprint's folder, for example data/scratch.",
        )
    if not (found.is_relative_to(root) or found.is_relative_to(work)):
        raise ProviderError(
            f'the {what} "{path}" leads out of the blueprint\'s folder {root}',
            remedy="Use a path below that folder, without a leading / and without .. that leaves it.",
        )
    return str(found)


def source(path: str, place: Place, what: str) -> Path:
    """A file or folder of the blueprint that is only read: below the blueprint's folder, or that folder itself.

    Errors: ProviderError for a path that leaves it.
    """
    root = absolute(place.root)
    found = absolute(root / path)
    if not found.is_relative_to(root):
        raise ProviderError(
            f'the {what} "{path}" leads out of the blueprint\'s folder {root}', remedy="Use a path below that folder."
        )
    return found


def safe_name(name: str) -> str:
    """A name as part of a path.

    Errors: ValueError for one that could leave its folder.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f'"{name}" cannot be a name here: letters, digits, . _ - @, starting with a letter or digit')
    return name


def guard(client: LocalClient, path: Path) -> None:
    """Make sure that no link on the way leads elsewhere: asked before anything is written or removed.

    Errors: ProviderError if it does.
    """
    real = Path(os.path.realpath(path.parent))
    homes = [Path(os.path.realpath(client.root)), Path(os.path.realpath(client.work))]
    if not any(real.is_relative_to(home) for home in homes):
        raise ProviderError(
            f"{path} leads through a link to {real}, outside the blueprint's folder",
            remedy="Remove the link, or choose another path.",
        )


def make_parents(client: LocalClient, path: Path) -> None:
    """Make the folders above ``path``, and remember which ones, so that the last thing of ours in them takes them along.

    Errors: ProviderError where a folder cannot be made, or a link leads away.
    """
    with client.tree:
        missing = []
        for parent in path.parents:
            if parent.exists():
                break
            missing.append(parent)
        guard(client, path)
        try:
            for parent in reversed(missing):
                # In the work folder all that is empty goes; that folder itself stays.
                if not (parent.is_relative_to(client.work) or client.work.is_relative_to(parent)):
                    record = _made(client, parent)
                    record.parent.mkdir(parents=True, exist_ok=True)
                    record.touch()
                parent.mkdir(exist_ok=True)
        except OSError as error:
            prune(client, path)
            raise refused(error, path.parent) from error


@contextmanager
def parents(client: LocalClient, path: Path) -> Iterator[None]:
    """The folders above ``path`` made, and kept while something is put into them: nobody takes them for empty meanwhile.

    Errors: ProviderError as of `make_parents`.
    """
    with client.tree:
        make_parents(client, path)
        yield


def prune(client: LocalClient, path: Path) -> None:
    """Remove folders above ``path`` that are empty now: those that were made for us, and all of the work folder."""
    with client.tree:
        for parent in path.parents:
            if parent in (client.root, client.work):
                break
            if not (was_made(client, parent) or parent.is_relative_to(client.work)):
                break
            try:
                if parent.exists():  # a disk that is read-only refuses to remove even what is not there
                    parent.rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                break
            forget_made(client, parent)


def was_made(client: LocalClient, folder: Path) -> bool:
    """Whether a folder was made as a parent of something of ours."""
    return _made(client, folder).exists()


def forget_made(client: LocalClient, folder: Path) -> None:
    """Leave a folder alone from now on: it is gone, or a resource of its own."""
    record = _made(client, folder)
    if record.exists():
        record.unlink()
        prune(client, record)


def _made(client: LocalClient, folder: Path) -> Path:
    """The record of it."""
    return client.work / "parents" / hashlib.sha256(str(folder).encode()).hexdigest()[:24]


def refused(error: OSError, path: Path) -> ProviderError:
    """What the file system said, as an error that people understand."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ProviderError(
            f"no space left for {path}", remedy="Free some disk space, then run `mlinfra apply` again."
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ProviderError(
            f"{path} cannot be written ({error.strerror})",
            remedy=f"Give yourself the right to write to {path.parent}, then run `mlinfra apply` again.",
        )
    if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
        return ProviderError(
            f"{path} cannot be made: {error.strerror}: {error.filename}",
            remedy="Move away what is in the way, or choose another path.",
        )
    return ProviderError(f"{path}: {error.strerror or error}", remedy="Mend the cause, then run `mlinfra apply` again.")
