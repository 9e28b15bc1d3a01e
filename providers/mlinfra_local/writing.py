"""Files that are either as they were or as they shall be, whenever the power fails: temporary file, fsync, rename."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mlinfra_local.paths import refused


def write(
    path: Path, content: bytes | Path, mode: int = 0o600, *, within: AbstractContextManager[None] | None = None
) -> None:
    """Replace a file's content atomically, with these bytes or those of another file. The folder must be there, or
    ``within`` makes it: it is held while the file is put there.

    Errors: ProviderError for a full disk or a folder that cannot be written.
    """
    temporary = _temporary(path)
    try:
        with within or contextlib.nullcontext():
            temporary.unlink(missing_ok=True)  # of a writer that was killed
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as stream:
                if isinstance(content, bytes):
                    stream.write(content)
                else:
                    with content.open("rb") as origin:
                        shutil.copyfileobj(origin, stream)
                stream.flush()
                os.fchmod(stream.fileno(), mode)
                os.fsync(stream.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise refused(error, path) from error


def write_json(path: Path, value: Any) -> None:
    """A JSON file, 0600."""
    write(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> Any:
    """The value of a JSON file, or None if there is none or it cannot be understood."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _temporary(path: Path) -> Path:
    """Where the next content of a file is written. Always the same, so that one that stays behind is found again."""
    return path.with_name(f".{path.name}.mlinfra-new")


def discard_unfinished(path: Path) -> None:
    """Remove what a writer of ``path`` left when it was killed."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        _temporary(path).unlink()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some file systems cannot sync a folder; the rename itself is still atomic
        pass
    finally:
        os.close(handle)
