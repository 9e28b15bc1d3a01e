"""The proof that a Prometheus watches: every target answers, and all rules are in force."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import httpx

from mlinfra.sdk.lowering import CheckResult
from mlinfra_tools.prometheus.rules import answers

PATIENCE: Final = 40
"""Looks until each target was asked once: it asks each four times a minute."""
LOOK: Final = 1.0


def watches(url: str, alerts: Sequence[str], look: float = LOOK) -> CheckResult:
    """Ask what it watches; one that was just started is given time to ask its targets."""
    pause = threading.Event()
    with httpx.Client(base_url=url, timeout=10.0, trust_env=False) as http:
        for _ in range(PATIENCE):
            targets = _asked(http, "/api/v1/targets")["activeTargets"]
            if targets and all(target["health"] != "unknown" for target in targets):
                break
            pause.wait(look)
        groups = _asked(http, "/api/v1/rules")["groups"]
    if not targets:
        return CheckResult(False, "it watches nothing")
    down = [target for target in targets if target["health"] != "up"]
    if down:
        first = down[0]
        reason = first["lastError"] or "it was not asked yet"
        return CheckResult(
            False, f"{len(down)} of {len(targets)} targets do not answer: {first['scrapeUrl']}: {reason}"
        )
    loaded = [(group["name"], rule) for group in groups for rule in group["rules"]]
    ill = [rule for _, rule in loaded if rule["health"] == "err"]
    if ill:
        return CheckResult(False, f"the rule {ill[0]['name']} fails: {ill[0].get('lastError', '')}")
    different = sorted({f"{group}/{rule['name']}" for group, rule in loaded} ^ set(alerts))
    if different:
        return CheckResult(False, f"other rules are in force than there should be: {different[0]}")
    firing = sorted({rule["name"] for _, rule in loaded if rule.get("state") == "firing"})
    said = f"targets that answer: {len(targets)}, rules in force: {len(loaded)}" + (
        f", firing: {', '.join(firing)}" if firing else ""
    )
    return CheckResult(True, said, {"firing": firing})


def _asked(http: httpx.Client, path: str) -> Any:
    return answers(http.get(path).json())
