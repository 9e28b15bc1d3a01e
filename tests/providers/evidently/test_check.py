"""What `mlinfra check` says of a monitor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from mlinfra_tools.evidently.check import verdict


class Monitor:
    """A monitor, as it answers: ``told`` before a look is asked for, ``after`` after it."""

    def __init__(self, word: str | None, ago: float = 60.0, after: str = "ok", **told: Any) -> None:
        self.told = {**self.run(word, ago), "in_force": "c1", "config_problem": None, **told}
        self.after = httpx.Response(200, json=self.run(after, 0))
        self.asked = 0

    def run(self, word: str | None, ago: float) -> dict[str, Any]:
        when = (datetime.now(UTC) - timedelta(seconds=ago)).isoformat()
        score = 0.25 if word in ("ok", "breach") else None
        return {"verdict": word, "sentence": "so it is", "score": score, "rows": 300, "when": when, "config": "c1"}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            assert request.url.path == "/run"
            assert float(request.url.params["wait"]) > 600
            self.asked += 1
            return self.after
        return httpx.Response(200, json=self.told)


def check(monitor: Monitor, every: float | None = 3600.0) -> tuple[bool, str]:
    result = verdict("http://monitor", every, httpx.MockTransport(monitor))
    return result.passed, result.summary


@pytest.mark.parametrize("word", ["ok", "breach"])
def test_a_verdict_of_late_passes_without_a_look(word: str) -> None:
    monitor = Monitor(word)
    assert check(monitor) == (True, f"{word}, score 0.25 on 300 rows: so it is")
    assert monitor.asked == 0


@pytest.mark.parametrize(
    "monitor",
    [Monitor(None), Monitor("ok", ago=4000), Monitor("too_little"), Monitor("error"), Monitor("ok", in_force="c2")],
)
def test_what_tells_nothing_now_is_looked_at_again(monitor: Monitor) -> None:
    assert check(monitor) == (True, "ok, score 0.25 on 300 rows: so it is")
    assert monitor.asked == 1


def test_too_little_works_and_an_error_does_not() -> None:
    assert check(Monitor(None, after="too_little")) == (True, "too little: so it is")
    assert check(Monitor(None, after="error")) == (False, "it cannot tell: so it is")


def test_a_cron_schedule_has_an_hour() -> None:
    young, old = Monitor("ok", ago=3000), Monitor("ok", ago=4000)
    assert check(young, None)[0]
    assert check(old, None)[0]
    assert (young.asked, old.asked) == (0, 1)


def test_what_does_not_answer_as_a_monitor_fails() -> None:
    broken = Monitor("ok", config_problem='"threshold" is missing')
    assert check(broken) == (False, 'its changed configuration is not in force: "threshold" is missing')
    late = Monitor(None)
    late.after = httpx.Response(202, json={})
    assert check(late) == (False, "it did not end a look within 660 s")
    failing = Monitor(None)
    failing.after = httpx.Response(500, text="boom")
    assert check(failing) == (False, "it does not look when asked: 500 boom")
    other = verdict("http://m", transport=httpx.MockTransport(lambda request: httpx.Response(200, text="hello")))
    assert other.summary == "what answers at http://m is not a monitor"

    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused")

    assert "does not answer: connection refused" in verdict("http://m", transport=httpx.MockTransport(down)).summary
