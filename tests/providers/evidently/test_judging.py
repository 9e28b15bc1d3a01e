"""Verdicts, and what they mean in a row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlinfra_tools.evidently.monitor.answer import Found
from mlinfra_tools.evidently.monitor.config import Config, parse
from mlinfra_tools.evidently.monitor.judging import Streak, follow, judge


def config(type: str = "data_drift", threshold: float = 0.5) -> Config:
    told = {"monitor": "m", "of": "endpoint.e", "type": type, "threshold": threshold, "reference": "r", "every": 60}
    return parse(json.dumps({**told, "labels": {"source": "l"}}))


@pytest.mark.parametrize(
    ("type", "what", "score", "threshold", "verdict"),
    [
        ("data_drift", "", 0.49, 0.5, "ok"),
        ("data_drift", "", 0.5, 0.5, "breach"),
        ("data_drift", "", 0.0, 0.0, "ok"),
        ("data_drift", "", 0.1, 0.0, "breach"),
        ("data_quality", "", 0.05, 0.05, "breach"),
        ("concept_drift", "relative loss of f1", 0.2, 0.1, "breach"),
        ("performance", "f1", 0.8, 0.8, "ok"),
        ("performance", "f1", 0.79, 0.8, "breach"),
        ("performance", "mae", 2.0, 2.0, "ok"),
        ("performance", "mae", 2.1, 2.0, "breach"),
        ("performance", "rmse", 1.9, 2.0, "ok"),
        ("performance", "r2", 0.5, 0.9, "breach"),
    ],
)
def test_where_the_line_is(type: str, what: str, score: float, threshold: float, verdict: str) -> None:
    assert judge(Found(score=score, what=what), config(type, threshold)).verdict == verdict


def test_what_is_wrong_comes_before_what_is_little() -> None:
    assert judge(Found(problem="no file", too_little="3 rows"), config()).verdict == "error"
    assert judge(Found(too_little="3 rows", score=1.0), config()).verdict == "too_little"
    assert judge(Found(), config()).verdict == "error"


def test_the_sentence_names_what_drifted_and_what_is_worst() -> None:
    columns: dict[str, dict[str, Any]] = {"a": {"drifted": True}, "b": {"drifted": False}}
    assert judge(Found(score=0.5, columns=columns), config()).sentence == "1 of 2 columns drifted: a; threshold 0.5"
    bad = {"a": {"score": 0.0}, "b": {"score": 0.4}}
    told = judge(Found(score=0.2, columns=bad), config("data_quality", 0.05)).sentence
    assert told == "20.0% of the values are bad, most in b; threshold 5.0%"


def test_an_alarm_takes_breaches_in_a_row_and_lasts_until_ok() -> None:
    streak, seen = Streak(), []
    for verdict in ("breach", "ok", "breach", "too_little", "error", "breach", "breach", "error", "ok"):
        streak = follow(streak, verdict, 2)
        seen.append((streak.breaches, streak.alarm))
    assert seen == [
        (1, False), (0, False), (1, False), (1, False), (1, False), (2, True), (3, True), (3, True), (0, False),
    ]  # fmt: skip
