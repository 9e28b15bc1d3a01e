"""When a monitor looks, and how far back, as SageMaker can: each so many hours, at most a day apart. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Lowering

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor

HOUR: Final = 3600
DAY: Final = 24
"""Hours between two looks at most; a window has no more either."""
_DAILY: Final = re.compile(r"(\d+) (?:(\*)|(\d+))(?:/(\d+))? \* \* \*")
_OFTEN: Final = "SageMaker looks each hour, each so many hours, or once a day"


@dataclass(frozen=True, slots=True)
class Times:
    """``expression``: in SageMaker's words. ``hours``: between two looks. ``window``: hours that each looks back."""

    expression: str
    hours: int
    window: int


def times(monitor: Monitor, lowering: Lowering) -> Times:
    """What comes next to what the blueprint says; what is otherwise is told."""
    start, hours = _cron(monitor, lowering) if monitor.cron is not None else (0, _every(monitor, lowering))
    if hours == 1:
        expression = "cron(0 * ? * * *)"
    elif hours == DAY:
        expression = f"cron(0 {start} ? * * *)"
    else:
        expression = f"cron(0 {start}/{hours} ? * * *)"
    return Times(expression, hours, _window(monitor, lowering))


def _every(monitor: Monitor, lowering: Lowering) -> int:
    if monitor.every is None or opaque(monitor.every):
        lowering.unsupported("every", "it must be known when it is planned: it looks each hour")
        return 1
    hours = min(DAY, max(1, -(-int(monitor.every) // HOUR)))
    if hours * HOUR != monitor.every:
        lowering.unsupported("every", f"{_OFTEN}: each {'hour' if hours == 1 else f'{hours} hours'}")
    return hours


def _cron(monitor: Monitor, lowering: Lowering) -> tuple[int, int]:
    """The hour that it begins with, and the hours between two looks."""
    found = None if opaque(monitor.cron) else _DAILY.fullmatch(str(monitor.cron))
    if found is None:
        lowering.unsupported("cron", f"{_OFTEN}: at midnight")
        return 0, DAY
    minute, each, hour, step = found.groups()
    if int(minute) != 0:
        lowering.unsupported("cron", "SageMaker begins at the full hour, up to 20 minutes late")
    hours = min(DAY, int(step)) if step else 1 if each else DAY
    return int(hour or 0), hours


def _window(monitor: Monitor, lowering: Lowering) -> int:
    if opaque(monitor.window):
        lowering.unsupported("window", "it must be known when it is planned: it is a day")
        return DAY
    hours = min(DAY, max(1, -(-int(monitor.window) // HOUR)))
    if hours * HOUR != monitor.window:
        lowering.unsupported("window", f"SageMaker looks back 1 to 24 full hours: {hours}")
    return hours
