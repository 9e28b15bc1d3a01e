"""The monitor's configuration: what it takes, what it refuses by name, and which question it asks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlinfra_tools.evidently.monitor.config import Labels, parse


def text(**changed: Any) -> str:
    plain = {
        "monitor": "drift",
        "of": "endpoint.fraud",
        "type": "data_drift",
        "threshold": 0.3,
        "reference": "file:///lake/reference.parquet",
        "every": 3600,
    }
    return json.dumps({key: value for key, value in {**plain, **changed}.items() if value is not ...})


def test_what_is_left_out_or_null_has_its_default() -> None:
    config = parse(text(cron=None, labels={"source": "file:///lake/labels", "delay": 60}))
    assert (config.window, config.minimum_rows, config.keep) == (86_400.0, 100, 30 * 86_400.0)
    assert config.labels == Labels("file:///lake/labels", "label", "request_id", 60.0)


def test_a_number_may_come_as_text() -> None:
    assert parse(text(threshold="0.25")).threshold == 0.25


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"thresold": 1}, 'unknown key "thresold"'),
        ({"threshold": ...}, '"threshold" is missing'),
        ({"threshold": -1}, '"threshold" must be a number'),
        ({"threshold": True}, '"threshold" must be a number'),
        ({"type": "prediction_drift"}, '"type" must be one of'),
        ({"method": "magic"}, '"method" must be one of'),
        ({"cron": "0 3 * * *"}, 'one of "every" and "cron"'),
        ({"every": None}, 'one of "every" and "cron"'),
        ({"every": None, "cron": "0 25 * * *"}, '"cron" .*out of the range'),
        ({"every": 0}, '"every" must be above 0'),
        ({"current": "file:///x"}, 'one of "of" and "current"'),
        ({"reference": None}, 'data_drift needs a "reference"'),
        ({"type": "performance"}, 'performance needs "labels"'),
        ({"labels": {"column": "x"}}, '"labels" must be an object with "source"'),
        ({"labels": {"source": "x", "joined": "y"}}, 'unknown key "labels.joined"'),
    ],
)
def test_what_is_wrong_is_named(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text(**changed))


def test_only_what_decides_the_score_is_part_of_the_question() -> None:
    asked = parse(text()).question
    same = {"threshold": 0.9, "every": 60, "breaches": 3, "cooldown": 5, "keep": 86_400, "timeout": 60}
    assert parse(text(**same)).question == asked
    other: list[dict[str, Any]] = [
        {"window": 60}, {"minimum_rows": 5}, {"columns": ["a"]}, {"variants": ["b"]}, {"method": "psi"},
        {"reference": "file:///other"}, {"type": "data_quality"}, {"column_threshold": 0.2},
    ]  # fmt: skip
    assert len({asked, *(parse(text(**changed)).question for changed in other)}) == len(other) + 1
