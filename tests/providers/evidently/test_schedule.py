"""When a monitor looks next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlinfra_tools.evidently.monitor.schedule import Cron, next_look

MONDAY = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "expected"),
    [
        ("0 3 * * *", datetime(2026, 3, 3, 3)),
        ("30 10 * * *", datetime(2026, 3, 3, 10, 30)),
        ("*/20 * * * *", datetime(2026, 3, 2, 10, 40)),
        ("5,35 9-11 * * *", datetime(2026, 3, 2, 10, 35)),
        ("10/25 * * * *", datetime(2026, 3, 2, 10, 35)),
        ("0 0 1 */3 *", datetime(2026, 4, 1)),
        ("0 0 * * 7", datetime(2026, 3, 8)),
        ("0 0 * * 0", datetime(2026, 3, 8)),
        ("0 0 * * 5-7", datetime(2026, 3, 6)),
        ("0 0 29 2 *", datetime(2028, 2, 29)),
        ("0 0 20 * 3", datetime(2026, 3, 4)),  # both days are restricted: one is enough
        ("0 0 20 * */2", datetime(2026, 6, 20)),  # a Saturday, which is 6 and even
    ],
)
def test_the_next_time_of_a_cron_expression(cron: str, expected: datetime) -> None:
    assert Cron(cron).after(MONDAY) == expected.replace(tzinfo=UTC)


def test_a_date_that_never_comes() -> None:
    assert Cron("0 0 30 2 *").after(MONDAY) is None


@pytest.mark.parametrize("wrong", ["", "* * * *", "60 * * * *", "* * 0 * *", "5-1 * * * *", "*/0 * * * *", "a * * * *"])
def test_what_is_no_cron_expression(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"must have|out of the range"):
        Cron(wrong)


def test_every_minute_of_a_day_comes_once() -> None:
    cron, moment, seen = Cron("* * 3 3 *"), MONDAY, []
    while (found := cron.after(moment)) is not None and found.year == 2026:
        moment = found
        seen.append(moment)
    assert len(seen) == len(set(seen)) == 24 * 60


def test_an_interval_begins_with_a_look_and_a_cron_expression_waits() -> None:
    assert next_look(3600, None, None, MONDAY) == MONDAY
    assert next_look(3600, None, MONDAY, MONDAY) == MONDAY + timedelta(hours=1)
    assert next_look(None, "0 3 * * *", None, MONDAY) == datetime(2026, 3, 3, 3, tzinfo=UTC)
    # Down for days: the time that was missed is in the past, and is made good once.
    assert next_look(None, "0 3 * * *", MONDAY - timedelta(days=5), MONDAY) == datetime(2026, 2, 26, 3, tzinfo=UTC)
