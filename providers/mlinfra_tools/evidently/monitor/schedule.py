"""When to look next: by an interval, or by a cron expression of five fields in UTC. Must not know the time by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_ITEM: Final = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")
_DAYS: Final = 366 * 8 + 1
"""After so many days every date was there, the 29th of February included, however the century ends."""


class Cron:
    """A cron expression: minute, hour, day of the month, month, day of the week (0 and 7: Sunday); ``* , - /`` and numbers.

    If both days are restricted (neither begins with ``*``), one of them is enough, as in every cron.
    """

    def __init__(self, text: str) -> None:
        """Errors: ValueError, a clause that goes on from the name of the key."""
        fields = text.split()
        if len(fields) != len(_RANGES):
            raise ValueError(f"must have five fields, not {text!r}")
        self.text = " ".join(fields)
        minutes, hours, days, months, weekdays = (
            {number for item in field.split(",") for number in _numbers(item, low, high)}
            for field, (low, high) in zip(fields, _RANGES, strict=True)
        )
        self._times = [(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)]
        self._days, self._months = days, months
        self._weekdays = {day % 7 for day in weekdays}
        self._either = not fields[2].startswith("*") and not fields[4].startswith("*")

    def after(self, moment: datetime) -> datetime | None:
        """The first time after ``moment``, or None if there is none (the 30th of February)."""
        start = moment.astimezone(UTC)
        for ahead in range(_DAYS):
            day = start.date() + timedelta(days=ahead)
            if day.month not in self._months:
                continue
            by_date, by_week = day.day in self._days, day.isoweekday() % 7 in self._weekdays
            if not ((by_date or by_week) if self._either else (by_date and by_week)):
                continue
            for hour, minute in self._times:
                found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                if found > start:
                    return found
        return None


def _numbers(item: str, low: int, high: int) -> Iterator[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise ValueError(f"must have numbers and * , - / only, not {item!r}")
    first, last, step = (None if group is None else int(group) for group in match.groups())
    top = 7 if high == 6 else high
    begin = low if first is None else first
    end = last if last is not None else high if first is None or step is not None else first
    if not low <= begin <= end <= top or step == 0:
        raise ValueError(f"{item!r} is out of the range {low}-{top} of its field")
    return iter(range(begin, end + 1, step or 1))


def next_look(every: float | None, cron: str | None, last: datetime | None, since: datetime) -> datetime | None:
    """When to look next. ``last`` is when the last look began, ``since`` when the monitor first ran.

    It may lie in the past: a time that was missed is made good once. An interval begins with a look.
    """
    if every is not None:
        return since if last is None else last + timedelta(seconds=every)
    return None if cron is None else Cron(cron).after(last or since)
