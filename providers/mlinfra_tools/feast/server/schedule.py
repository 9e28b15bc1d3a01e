"""When a schedule is due: so many seconds after the last time, or at the minutes that a cron expression names. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

_LONGEST = timedelta(days=1)
"""How far back minutes are looked at that passed while nobody looked (a machine that slept)."""


@dataclass(slots=True)
class Schedule:
    """``last`` is when it was done last, on a monotonic clock; ``looked`` the last minute that was compared with a cron
    expression. A time that passed while something else ran is made up for once."""

    last: float
    looked: datetime
    waiting: bool = False

    def due(self, materialise: Mapping[str, Any], now: float, at: datetime) -> bool:
        """Whether it is to be done now, by ``every`` (seconds) or ``cron``. ``at`` is the same moment as ``now``, in UTC."""
        every, cron = materialise.get("every"), materialise.get("cron")
        if cron:
            minute = max(_minute(self.looked), _minute(at) - _LONGEST)
            while minute < _minute(at):
                minute += timedelta(minutes=1)
                self.waiting = self.waiting or matches(cron, minute)
            self.looked = at
            return self.waiting
        self.looked, self.waiting = at, False
        return every is not None and now - self.last >= float(every)

    def done(self, now: float) -> None:
        """It is being done."""
        self.last, self.waiting = now, False


def matches(cron: str, at: datetime) -> bool:
    """Whether a cron expression (minute, hour, day of the month, month, day of the week; 0 and 7: Sunday) names this minute.

    As in every cron: if both days are given, either is enough.
    """
    minute, hour, day, month, weekday = cron.split()
    sunday = at.isoweekday() % 7
    days = _has(day, at.day, 1, 31)
    weekdays = _has(weekday, sunday, 0, 7) or (sunday == 0 and _has(weekday, 7, 0, 7))
    either = not day.startswith("*") and not weekday.startswith("*")
    return (
        _has(minute, at.minute, 0, 59)
        and _has(hour, at.hour, 0, 23)
        and _has(month, at.month, 1, 12)
        and (days or weekdays if either else days and weekdays)
    )


def _has(field: str, value: int, low: int, high: int) -> bool:
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        start = low if first == "*" else int(first)
        # "5/10" counts on from 5; "5" is 5 alone.
        end = int(last) if last else high if first == "*" or step else start
        if start <= value <= end and (value - start) % int(step or 1) == 0:
            return True
    return False


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
