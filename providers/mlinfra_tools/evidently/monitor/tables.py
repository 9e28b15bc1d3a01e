"""Reads tables (the reference, labels, current data) from where a URL says, as pandas data frames.

A table is a Parquet, CSV or JSON lines file, or a folder of Parquet files. Must not know what a table is for.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

TIMEOUT = 60.0


class Problem(Exception):
    """Why there is no score: a sentence for people."""


def local_path(url: str, places: Sequence[tuple[str, str]]) -> Path | None:
    """Where a URL's file lies for this program; None if it is no file."""
    for start, path in places:
        if url == start or url.startswith(start.rstrip("/") + "/"):
            return Path(path) / unquote(url[len(start.rstrip("/")) :].lstrip("/"))
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(url) if "://" not in url else None


def look(what: str, url: str, places: Sequence[tuple[str, str]]) -> None:
    """Whether a table may be there, without reading it.

    Errors: Problem.
    """
    path = local_path(url, places)
    if path is None:
        scheme = urlsplit(url).scheme
        if scheme not in ("http", "https"):
            raise Problem(f"{what}: {scheme}:// is not read here, use file://, http:// or https:// ({url})")
    elif path.is_dir():
        if not _within(path):
            raise Problem(f"{what}: there is no Parquet file in {path}")
    elif not path.is_file():
        raise Problem(f"{what}: there is no file {path}")


def load(what: str, url: str, places: Sequence[tuple[str, str]]) -> Any:
    """The table as a data frame.

    Errors: Problem.
    """
    look(what, url, places)
    path = local_path(url, places)
    if path is not None and path.is_dir():
        import pandas

        parts = [_read(what, str(item), item) for item in _within(path)]
        return pandas.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return _read(what, url, path)


def _within(folder: Path) -> list[Path]:
    return sorted(item for item in folder.rglob("*.parquet") if item.is_file() and not item.name.startswith((".", "_")))


def _read(what: str, url: str, path: Path | None) -> Any:
    try:
        if path is not None:
            data = path.read_bytes()
        else:
            with urlopen(url, timeout=TIMEOUT) as answer:
                data = answer.read()
    except (OSError, ValueError) as error:
        raise Problem(f"{what}: {url} cannot be read: {error}") from error
    return _parsed(what, (path.name if path is not None else urlsplit(url).path).lower(), data)


def _parsed(what: str, name: str, data: bytes) -> Any:
    import pandas

    try:
        if data[:4] == b"PAR1":
            return pandas.read_parquet(io.BytesIO(data))
        if name.endswith((".jsonl", ".ndjson")):
            return pandas.read_json(io.BytesIO(data), lines=True, convert_dates=False)
        if name.endswith((".csv", ".csv.gz", ".txt")):
            return pandas.read_csv(io.BytesIO(data), compression="gzip" if name.endswith(".gz") else None)
    except Exception as error:  # each reader has errors of its own for broken files
        raise Problem(f"{what}: {name} cannot be read: {str(error).splitlines()[0] or type(error).__name__}") from error
    raise Problem(f"{what}: {name} is none of Parquet, .csv and .jsonl")
