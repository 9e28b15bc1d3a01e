"""The monitor's configuration: a JSON file that is read again when it changes. Must not act on what it says.

::

    {"monitor": "drift", "of": "endpoint.fraud", "type": "data_drift", "threshold": 0.3, "window": 86400, "every": 3600,
     "reference": "file:///lake/reference.parquet", "variants": ["champion"],
     "labels": {"source": "file:///lake/labels", "key": "request_id", "column": "label", "delay": 604800},
     "places": [{"url": "file:///lake", "path": "/mnt/lake"}]}

Times are seconds. One of ``every`` and ``cron`` (UTC) says when to look; one of ``of`` (an endpoint, by its captured
requests) and ``current`` (a table) at what. ``places`` tells where a URL's start lies for this program.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from .schedule import Cron

TYPES: Final = ("data_drift", "concept_drift", "data_quality", "performance")
METHODS: Final = ("psi", "ks", "wasserstein", "jensenshannon", "chisquare")
FOR_CLASSES: Final = ("accuracy", "precision", "recall", "f1", "roc_auc")
ERRORS: Final = ("mae", "rmse")
"""Metrics that are better the lower they are."""
FOR_NUMBERS: Final = (*ERRORS, "r2")
TIMESTAMP: Final = "event_timestamp"
"""The column of a table that a window goes by where none is named. A table without it is looked at as a whole."""


@dataclass(frozen=True)
class Labels:
    """What turned out to be true: a table with ``key`` and ``column``, complete after ``delay`` seconds."""

    source: str
    column: str = "label"
    key: str = "request_id"
    delay: float = 0.0


@dataclass(frozen=True)
class Config:
    """What to compare, when, where the line is, and when something is done."""

    monitor: str
    type: str
    threshold: float
    of: str | None = None
    current: str | None = None
    timestamp_field: str | None = None
    """None: `TIMESTAMP`, if the table has it."""
    reference: str | None = None
    window: float = 86_400.0
    minimum_rows: int = 100
    every: float | None = None
    cron: str | None = None
    columns: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    method: str | None = None
    column_threshold: float | None = None
    labels: Labels | None = None
    metric: str | None = None
    breaches: int = 1
    cooldown: float = 3_600.0
    keep: float = 30 * 86_400.0
    timeout: float = 600.0
    """What one look may take."""
    places: tuple[tuple[str, str], ...] = ()
    digest: str = field(default="", compare=False)
    """Of the file's text, so that one can see which configuration is in force."""

    @property
    def question(self) -> str:
        """A digest of what decides the score: a score answers this question only. Thresholds and schedules are not in it."""
        asked = {key: value for key, value in asdict(self).items() if key in QUESTION}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def labelled(self) -> bool:
        """Whether the question is how good a model is, so that labels are needed."""
        return self.type in ("concept_drift", "performance")


QUESTION: Final = (
    "of", "current", "timestamp_field", "type", "reference", "window", "minimum_rows", "columns", "variants", "method",
    "column_threshold", "labels", "metric",
)  # fmt: skip


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
    values = _values("", raw, _READ)
    for key in ("monitor", "type", "threshold"):
        if key not in values:
            raise ValueError(f'"{key}" is missing')
    _fits(values)
    return Config(**values, digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _fits(values: Mapping[str, Any]) -> None:
    for key, known in (("type", TYPES), ("method", METHODS), ("metric", (*FOR_CLASSES, *FOR_NUMBERS))):
        if key in values and values[key] not in known:
            raise ValueError(f'"{key}" must be one of {", ".join(known)}, not {values[key]!r}')
    for one, other in (("every", "cron"), ("of", "current")):
        if (one in values) == (other in values):
            raise ValueError(f'one of "{one}" and "{other}" is needed, and not both')
    for key in ("every", "window", "timeout", "minimum_rows", "breaches"):
        if values.get(key, 1) <= 0:
            raise ValueError(f'"{key}" must be above 0')
    if values["type"] in ("data_drift", "concept_drift") and "reference" not in values:
        raise ValueError(f'{values["type"]} needs a "reference"')
    if values["type"] in ("concept_drift", "performance") and "labels" not in values:
        raise ValueError(f'{values["type"]} needs "labels"')


def _values(prefix: str, raw: Mapping[str, Any], read: Mapping[str, Callable[[str, Any], Any]]) -> dict[str, Any]:
    for key in raw:
        if key not in read:
            raise ValueError(f'unknown key "{prefix}{key}"')
    return {key: read[key](prefix + key, value) for key, value in raw.items() if value is not None}


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f'"{key}" must be text, not {value!r}')
    return value


def _number(key: str, value: Any) -> float:
    # A number comes as text where the file was made from a value of that type.
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError(f'"{key}" must be a number, 0 or more, not {value!r}')
    return number


def _whole(key: str, value: Any) -> int:
    return int(_number(key, value))


def _names(key: str, value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in _list(key, value))


def _list(key: str, value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f'"{key}" must be a list, not {value!r}')
    return value


def _cron(key: str, value: Any) -> str:
    try:
        return Cron(_text(key, value)).text
    except ValueError as error:
        raise ValueError(f'"{key}" {error}') from error


def _places(key: str, value: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_text(f"{key}.url", item["url"]), _text(f"{key}.path", item["path"])) for item in _list(key, value))


def _labels(key: str, value: Any) -> Labels:
    if not isinstance(value, Mapping) or "source" not in value:
        raise ValueError(f'"{key}" must be an object with "source"')
    read = {"source": _text, "column": _text, "key": _text, "delay": _number}
    return Labels(**_values(f"{key}.", value, read))


_READ: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    **dict.fromkeys(("monitor", "type", "of", "current", "timestamp_field", "reference", "method", "metric"), _text),
    **dict.fromkeys(("threshold", "window", "every", "column_threshold", "cooldown", "keep", "timeout"), _number),
    **dict.fromkeys(("minimum_rows", "breaches"), _whole),
    **dict.fromkeys(("columns", "variants"), _names),
    "cron": _cron,
    "labels": _labels,
    "places": _places,
}
