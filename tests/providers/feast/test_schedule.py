"""When rows go online by themselves: intervals and cron expressions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlinfra_tools.feast.server.schedule import Schedule, matches

NIGHT = datetime(2026, 3, 1, 2, 59, 30, tzinfo=UTC)
"""A Sunday."""


@pytest.mark.parametrize(
    ("cron", "at", "named"),
    [
        ("* * * * *", "2026-03-01T02:59", True),
        ("0 3 * * *", "2026-03-01T03:00", True),
        ("0 3 * * *", "2026-03-01T03:01", False),
        ("*/15 * * * *", "2026-03-01T03:45", True),
        ("*/15 * * * *", "2026-03-01T03:50", False),
        ("5/20 * * * *", "2026-03-01T03:45", True),
        ("10-20/5,59 * * * *", "2026-03-01T03:15", True),
        ("10-20/5,59 * * * *", "2026-03-01T03:59", True),
        ("10-20/5,59 * * * *", "2026-03-01T03:25", False),
        ("0 0 * 2,3 *", "2026-03-02T00:00", True),
        ("0 0 * 4-6 *", "2026-03-02T00:00", False),
        ("0 0 * * 0", "2026-03-01T00:00", True),
        ("0 0 * * 7", "2026-03-01T00:00", True),
        ("0 0 * * 1-5", "2026-03-01T00:00", False),
        # Either day is enough if both are given; with a star both must hold.
        ("0 0 13 * 0", "2026-03-01T00:00", True),
        ("0 0 13 * 5", "2026-03-13T00:00", True),
        ("0 0 13 * 1", "2026-03-01T00:00", False),
        ("0 0 1 * *", "2026-03-01T00:00", True),
        ("0 0 2 * *", "2026-03-01T00:00", False),
    ],
)
def test_a_cron_expression_names_minutes(cron: str, at: str, named: bool) -> None:
    assert matches(cron, datetime.fromisoformat(at)) is named


def test_an_interval_is_due_once_it_has_passed_since_the_last_time() -> None:
    schedule = Schedule(100.0, NIGHT)
    assert not schedule.due({"every": 60.0}, 159.0, NIGHT)
    assert schedule.due({"every": 60.0}, 160.0, NIGHT)
    # Something else ran: it stays due until it is done.
    assert schedule.due({"every": 60.0}, 170.0, NIGHT)
    schedule.done(170.0)
    assert not schedule.due({"every": 60.0}, 229.0, NIGHT)
    assert not schedule.due({}, 10_000.0, NIGHT)


def test_a_cron_minute_is_due_once_also_if_it_was_slept_through() -> None:
    cron = {"cron": "0 3 * * *"}
    schedule = Schedule(0.0, NIGHT)
    assert not schedule.due(cron, 1.0, NIGHT + timedelta(seconds=1))
    assert schedule.due(cron, 31.0, NIGHT + timedelta(seconds=31))
    schedule.done(31.0)
    assert not schedule.due(cron, 32.0, NIGHT + timedelta(seconds=32))
    assert schedule.due(cron, 9e6, NIGHT + timedelta(days=90, minutes=5))
    schedule.done(9e6)
    assert not schedule.due(cron, 9e6, NIGHT + timedelta(days=90, minutes=10))


def test_a_new_cron_expression_does_not_look_back() -> None:
    schedule = Schedule(0.0, NIGHT)
    later = NIGHT + timedelta(hours=5)
    assert not schedule.due({"every": 1e9}, 1.0, later)
    assert not schedule.due({"cron": "0 3 * * *"}, 2.0, later + timedelta(seconds=5))
