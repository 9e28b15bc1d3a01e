"""Reads tables (the reference, labels) from where a URL says: parquet, CSV or JSON lines as a pandas data frame."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import urlopen

TIMEOUT = 60.0


class NoTable(Exception):
    """A table cannot be read; the message says what and why."""


def local_path(url: str, places: Sequence[tuple[str, str]]) -> Path | None:
    """Where a URL's file lies for this program; None if it is no file."""
    for start, path in places:
        if url == start or url.startswith(start.rstrip("/") + "/"):
            return Path(path) / unquote(url[len(start) :].lstrip("/"))
    parts = urlsplit(url)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return Path(url) if "://" not in url else None


def look(what: str, url: str, places: Sequence[tuple[str, str]]) -> None:
    """Whether a table may be there, without reading it.

    Errors: NoTable.
    """
    path = local_path(url, places)
    if path is None:
        scheme = urlsplit(url).scheme
        if scheme not in ("http", "https"):
            raise NoTable(f"{what}: {scheme}:// is not read here, use file://, http:// or https:// ({url})")
    elif not path.is_file():
        raise NoTable(f"{what}: there is no file {path}")


def load(what: str, url: str, places: Sequence[tuple[str, str]]) -> Any:
    """The table as a data frame.

    Errors: NoTable.
    """
    look(what, url, places)
    path = local_path(url, places)
    try:
        if path is not None:
            data = path.read_bytes()
        else:
            with urlopen(url, timeout=TIMEOUT) as answer:
                data = answer.read()
    except OSError as error:
        raise NoTable(f"{what}: {url} cannot be read: {error}") from error
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
    except (ValueError, OSError) as error:
        raise NoTable(f"{what}: {name} cannot be read: {error}") from error
    raise NoTable(f"{what}: {name} is none of parquet, .csv and .jsonl")
