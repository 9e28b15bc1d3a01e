"""Files that commands read and write."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (0600), whole or not at all.

    Errors: DiagnosticError.
    """
    from mlinfra.sdk.diagnostics import fail

    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise fail(
            "file-unwritable", "File cannot be written", f"{path}: {error.strerror or error}.", "Name another file."
        ) from error


def read_text(path: Path, what: str) -> str:
    """The text of a file.

    Errors: DiagnosticError.
    """
    from mlinfra.sdk.diagnostics import fail

    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise fail(
            "file-unreadable", f"No {what}", f"{path}: {error.strerror or error}.", "Check the file's name."
        ) from error
    except UnicodeDecodeError as error:
        raise fail("file-unreadable", f"No {what}", f"{path} is not a text file.", "Check the file's name.") from error
