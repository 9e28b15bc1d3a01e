"""Turns what a look found into a verdict, and verdicts in a row into what is to be done. Pure: no clock, no files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .answer import Found
from .config import ERRORS, Config

OK: Final = "ok"
BREACH: Final = "breach"
TOO_LITTLE: Final = "too_little"
ERROR: Final = "error"
VERDICTS: Final = (OK, BREACH, TOO_LITTLE, ERROR)


@dataclass(frozen=True)
class Judgement:
    """A verdict and the sentence that goes with it."""

    verdict: str
    sentence: str


@dataclass(frozen=True)
class Streak:
    """Breaches in a row, and whether there were so many that something is done, until the next ``ok``."""

    breaches: int = 0
    alarm: bool = False


def judge(found: Found, config: Config) -> Judgement:
    """The verdict on what was found. A share or a loss breaches by reaching the threshold, a metric by missing it."""
    if found.problem is not None:
        return Judgement(ERROR, found.problem)
    if found.too_little is not None:
        return Judgement(TOO_LITTLE, found.too_little)
    if found.score is None:
        return Judgement(ERROR, "the look gave no score")
    breach = breaches(found.score, config, found.what)
    return Judgement(BREACH if breach else OK, _sentence(found, found.score, config))


def breaches(score: float, config: Config, what: str) -> bool:
    """Whether a score is on the wrong side. ``what`` is the metric that the score is, for performance."""
    if config.type != "performance":
        return score > 0 and score >= config.threshold
    return score > config.threshold if what in ERRORS else score < config.threshold


def follow(before: Streak, verdict: str, needed: int) -> Streak:
    """The streak after a verdict. What tells nothing (too little, an error) changes nothing."""
    if verdict == OK:
        return Streak()
    if verdict != BREACH:
        return before
    breaches = before.breaches + 1
    return Streak(breaches, before.alarm or breaches >= needed)


def _sentence(found: Found, score: float, config: Config) -> str:
    if config.type == "data_drift":
        drifted = [name for name, column in found.columns.items() if column.get("drifted")]
        some = f": {', '.join(drifted[:6])}{' …' if len(drifted) > 6 else ''}" if drifted else ""
        return f"{len(drifted)} of {len(found.columns)} columns drifted{some}; threshold {config.threshold:g}"
    if config.type == "data_quality":
        worst = max(found.columns.items(), key=lambda item: item[1].get("score") or 0, default=None)
        some = f", most in {worst[0]}" if worst is not None and (worst[1].get("score") or 0) > 0 else ""
        return f"{score:.1%} of the values are bad{some}; threshold {config.threshold:.1%}"
    if config.type == "concept_drift":
        return f"{found.what} {score:.3f} against the reference; threshold {config.threshold:g}"
    return f"{found.what} {score:.3f}; threshold {config.threshold:g}"
