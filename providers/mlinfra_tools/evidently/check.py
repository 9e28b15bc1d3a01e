"""The proof that a monitor works: it has looked at the data lately and could tell something. A breach is a working monitor too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import httpx

from mlinfra.sdk.lowering import CheckResult

ANSWER: Final = 20.0
"""Seconds that an answer may take."""
LOOK: Final = 660.0
"""Seconds that a look may take: what the monitor itself allows one, and a little."""
OLD: Final = 3_600.0
"""Seconds after which a verdict is old where the schedule tells none."""
SLACK: Final = 60.0


def verdict(url: str, every: float | None = None, transport: httpx.BaseTransport | None = None) -> CheckResult:
    """Ask the monitor at ``url`` for its verdict, after a look if there was none lately or none that told anything.

    ``every`` is the seconds between its looks, None if a cron expression says when. ``transport`` takes the place of the
    network in tests.
    """
    with httpx.Client(timeout=httpx.Timeout(ANSWER), transport=transport, trust_env=False) as http:
        try:
            told = _json(http.get(f"{url}/verdict"))
            if told is None or "verdict" not in told:
                return CheckResult(False, f"what answers at {url} is not a monitor")
            if told.get("config_problem"):
                return CheckResult(False, f"its changed configuration is not in force: {told['config_problem']}", told)
            if _is_old(told, float(every or OLD)):
                asked = http.post(
                    f"{url}/run", params={"wait": LOOK}, timeout=httpx.Timeout(ANSWER, read=LOOK + ANSWER)
                )
                told = _json(asked)
                if asked.status_code == httpx.codes.ACCEPTED:
                    return CheckResult(False, f"it did not end a look within {LOOK:.0f} s")
                if asked.status_code != httpx.codes.OK or told is None:
                    return CheckResult(False, f"it does not look when asked: {asked.status_code} {asked.text[:200]}")
        except httpx.HTTPError as error:
            return CheckResult(False, f"{url} does not answer: {error or type(error).__name__}")
    return _result(told)


def _is_old(told: dict[str, Any], every: float) -> bool:
    if told["verdict"] not in ("ok", "breach") or told.get("config") != told.get("in_force"):
        return True
    return (datetime.now(UTC) - datetime.fromisoformat(told["when"])).total_seconds() > every + SLACK


def _result(told: dict[str, Any]) -> CheckResult:
    word = str(told["verdict"]).replace("_", " ")
    if told["verdict"] == "error":
        return CheckResult(False, f"it cannot tell: {told['sentence']}", told)
    score = f", score {told['score']:.3g} on {told['rows']} rows" if told.get("score") is not None else ""
    return CheckResult(True, f"{word}{score}: {told['sentence']}", told)


def _json(answer: httpx.Response) -> dict[str, Any] | None:
    try:
        body = answer.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
