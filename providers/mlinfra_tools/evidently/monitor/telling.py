"""What the monitor tells: its verdict and runs as JSON values, and its metrics as Prometheus reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from .archive import Run
from .judging import BREACH, VERDICTS
from .watch import View

NONE_YET: Final = "it has not looked yet"


def verdict(view: View) -> dict[str, Any]:
    """The last verdict and how things stand."""
    config = view.config
    last: dict[str, Any] = {"verdict": None, "sentence": NONE_YET, "threshold": config.threshold, "when": None}
    return {
        "monitor": config.monitor,
        "of": config.of or config.current,
        "type": config.type,
        **(run(view.runs[-1]) if view.runs else last),
        "breaches_in_a_row": view.streak,
        "alarm": view.alarm,
        "next": view.due.isoformat() if view.due else None,
        "running": view.running,
        "then": {"at": view.then_at or None, "starts": view.then_starts, "outcome": view.then_outcome or None},
        "notices": dict(view.notices),
        "in_force": config.digest,
        "config_problem": view.config_problem or None,
    }


def run(item: Run) -> dict[str, Any]:
    """One run, whole."""
    found = item.found
    return {
        "run": item.id,
        "verdict": item.verdict,
        "sentence": item.sentence,
        "score": found.score,
        "what": found.what or None,
        "threshold": item.threshold,
        "rows": found.rows,
        "looked_at": found.looked_at,
        "reference_rows": found.reference_rows,
        "columns": found.columns,
        "left_out": found.left_out,
        "metrics": found.metrics,
        "variants": found.by_variant,
        "notes": found.notes,
        "since": found.since or None,
        "until": found.until or None,
        "when": item.began,
        "seconds": round(item.seconds, 3),
        "judged": item.judged,
        "config": item.config,
        "report": f"/runs/{item.id}/report" if found.report else None,
    }


def brief(item: Run) -> dict[str, Any]:
    """One run, for a list."""
    told = run(item)
    keys = ("run", "verdict", "sentence", "score", "threshold", "rows", "when", "seconds", "report")
    return {key: told[key] for key in keys}


def metrics(view: View) -> str:
    """The text of ``/metrics``."""
    return "\n".join(_lines(view)) + "\n"


def _lines(view: View) -> Iterator[str]:
    config = view.config
    place = {"monitor": config.monitor, "of": config.of or "", "type": config.type}
    yield from _metric("threshold", "gauge", "The score at which there is a breach.", [(place, config.threshold)])
    yield from _metric("breaches_in_a_row", "gauge", "Breaches since the last verdict ok.", [(place, view.streak)])
    yield from _metric(
        "alarm", "gauge", "1 from the breaches that are acted on until the next ok.", [(place, view.alarm)]
    )
    counts = [({**place, "verdict": word}, view.counts.get(word, 0)) for word in VERDICTS]
    yield from _metric("runs_total", "counter", "Looks by verdict.", counts)
    yield from _metric("then_starts_total", "counter", "Starts of the training.", [(place, view.then_starts)])
    notices = [({**place, "outcome": word}, view.notices.get(word, 0)) for word in ("sent", "failed")]
    yield from _metric("notices_total", "counter", "Requests to the webhook by outcome.", notices)
    if view.due is not None:
        due = view.due.timestamp()
        yield from _metric("next_run_timestamp_seconds", "gauge", "When the next look is due.", [(place, due)])
    broken = bool(view.config_problem)
    yield from _metric("config_problem", "gauge", "1 if a changed configuration is not taken over.", [(place, broken)])
    if not view.runs:
        return
    last = view.runs[-1]
    began = datetime.fromisoformat(last.began).timestamp()
    verdicts = [({**place, "verdict": word}, last.verdict == word) for word in VERDICTS]
    yield from _metric("verdict", "gauge", "1 for the last verdict.", verdicts)
    yield from _metric("breach", "gauge", "1 if the last verdict is a breach.", [(place, last.verdict == BREACH)])
    yield from _metric("rows", "gauge", "Rows in the window of the last look.", [(place, last.found.rows)])
    yield from _metric("last_run_timestamp_seconds", "gauge", "When the last look began.", [(place, began)])
    yield from _metric("run_seconds", "gauge", "What the last look took.", [(place, last.seconds)])
    if last.found.score is not None:
        yield from _metric("score", "gauge", "The score of the last look.", [(place, last.found.score)])
    columns = [
        ({**place, "column": name}, column["score"])
        for name, column in last.found.columns.items()
        if column.get("score") is not None
    ]
    if columns:
        yield from _metric("column_score", "gauge", "The score of a column in the last look.", columns)


def _metric(name: str, kind: str, about: str, samples: Sequence[tuple[dict[str, str], float]]) -> Iterator[str]:
    full = f"mlinfra_monitor_{name}"
    yield f"# HELP {full} {about}"
    yield f"# TYPE {full} {kind}"
    for labels, value in samples:
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{full}{{{told}}} {float(value):.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
