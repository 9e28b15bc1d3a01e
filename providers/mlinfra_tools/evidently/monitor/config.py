"""The monitor's configuration: a JSON file that is read again when it changes. Must not act on what it says.

::

    {"monitor": "drift", "of": "endpoint.fraud", "type": "data_drift", "reference": "file:///lake/reference.parquet",
     "window": 86400, "threshold": 0.3, "minimum_rows": 50, "every": 3600, "cron": null, "columns": [],
     "variants": ["champion"], "labels": {"source": "file:///lake/labels.parquet", "key": "request_id", "column": "label"},
     "places": [{"url": "file:///lake", "path": "/mnt/lake"}], "cooldown": null, "timeout": 600, "keep": 30}

Times are seconds. One of ``every`` and ``cron`` (UTC) says when to look. ``places`` tells where a URL's start lies for this
program.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

TYPES = ("data_drift", "prediction_drift", "concept_drift", "data_quality")


@dataclass(frozen=True)
class Labels:
    """What turned out to be true: a table with ``key`` (``request_id``, or an input column) and ``column``, the label."""

    source: str
    key: str = "request_id"
    column: str = "label"


@dataclass(frozen=True)
class Config:
    """What to compare, when, and where the line is."""

    monitor: str
    of: str
    type: str
    threshold: float
    reference: str | None = None
    window: float = 86_400.0
    minimum_rows: int = 50
    every: float | None = None
    cron: str | None = None
    columns: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    labels: Labels | None = None
    places: tuple[tuple[str, str], ...] = ()
    cooldown: float | None = None
    timeout: float = 600.0
    keep: int = 30
    digest: str = field(default="", compare=False)
    """Of the file's text, so that one can see which configuration is in force."""

    @property
    def question(self) -> str:
        """A digest of what decides the score: a score answers this question only. Thresholds and schedules are not in it."""
        asked = {key: value for key, value in asdict(self).items() if key in QUESTION}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


QUESTION = ("of", "type", "reference", "window", "columns", "variants", "labels")


def parse(text: str) -> Config:
    """The configuration in ``text``.

    Errors: ValueError that names the key.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the configuration is not JSON: {error}") from error
    if not isinstance(raw, Mapping):
        raise ValueError("the configuration must be an object")
    unknown = sorted(set(raw) - set(Config.__dataclass_fields__) | {"digest"} & set(raw))
    if unknown:
        raise ValueError(f'unknown key "{unknown[0]}"')
    values: dict[str, Any] = {key: value for key, value in raw.items() if value is not None}
    for key in ("monitor", "of", "type", "reference", "cron"):
        if key in values:
            values[key] = str(values[key])
    for key in ("threshold", "window", "every", "cooldown", "timeout"):
        if key in values:
            values[key] = _number(key, values[key])
    for key in ("minimum_rows", "keep"):
        if key in values:
            values[key] = int(_number(key, values[key]))
    for key in ("columns", "variants"):
        if key in values:
            values[key] = tuple(str(item) for item in _list(key, values[key]))
    if "labels" in values:
        values["labels"] = _labels(values["labels"])
    if "places" in values:
        values["places"] = tuple((str(item["url"]), str(item["path"])) for item in _list("places", values["places"]))
    for key in ("monitor", "of", "type", "threshold"):
        if key not in values:
            raise ValueError(f'"{key}" is missing')
    if values["type"] not in TYPES:
        raise ValueError(f'"type" must be one of {", ".join(TYPES)}, not {values["type"]!r}')
    if ("every" in values) == ("cron" in values):
        raise ValueError('one of "every" and "cron" is needed, and not both')
    for key in ("every", "window", "timeout", "keep"):
        if key in values and values[key] <= 0:
            raise ValueError(f'"{key}" must be above 0')
    return Config(**values, digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _number(key: str, value: Any) -> float:
    # A number comes as text where the file was made from a value of that type.
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f'"{key}" must be a number, 0 or more, not {value!r}')
    return number


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f'"{key}" must be a list, not {value!r}')
    return value


def _labels(value: Any) -> Labels:
    if not isinstance(value, Mapping) or "source" not in value:
        raise ValueError('"labels" must be an object with "source"')
    unknown = sorted(set(value) - set(Labels.__dataclass_fields__))
    if unknown:
        raise ValueError(f'unknown key "labels.{unknown[0]}"')
    return Labels(**{key: str(item) for key, item in value.items() if item is not None})
