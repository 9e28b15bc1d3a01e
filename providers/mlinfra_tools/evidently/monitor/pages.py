"""The page that people read: the verdict, the scores so far, links to the reports. Pure; whole in one file, no scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, Final

from .archive import Run
from .telling import NONE_YET
from .watch import View

SHOWN: Final = 200
"""Runs in the list; all that are kept are at ``/runs``."""
_WORDS: Final = {"ok": "ok", "breach": "breach", "too_little": "too little to tell", "error": "error"}
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --ok: #2e8540; --breach: #c9302c; --error: #b36b00; --too_little: #777; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin-bottom: 0; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.verdict { font-weight: 700; } .quiet { opacity: .7; } svg { width: 100%; height: 120px; }
.ok { color: var(--ok); } .breach { color: var(--breach); } .error { color: var(--error); }
.too_little { color: var(--too_little); }
"""


def index(view: View) -> str:
    """The page."""
    config = view.config
    last = view.runs[-1] if view.runs else None
    about = f"{config.type.replace('_', ' ')} of {config.of or config.current}"
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="30">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(config.monitor)}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{escape(config.monitor)}</h1><div class="quiet">{escape(about)}</div>',
        *_standing(view, last),
        *_chart(view.runs),
        *(_columns(last) if last is not None else ()),
        *_history(view.runs),
        '<p class="quiet"><a href="verdict">verdict as JSON</a> · <a href="runs">runs as JSON</a> · '
        '<a href="metrics">metrics</a></p></body></html>',
    ]
    return "\n".join(parts)


def _standing(view: View, last: Run | None) -> Iterable[str]:
    if last is None:
        yield f"<p>{escape(NONE_YET.capitalize())}.</p>"
    else:
        yield f"<p>{_verdict(last)} {escape(last.sentence)}"
        if last.found.report:
            yield f' · <a href="runs/{last.id}/report">report</a>'
        yield "</p>"
        for note in last.found.notes:
            yield f'<p class="quiet">{escape(note)}</p>'
    facts = [f"last look {_time(last.began)}, {last.found.rows} rows, {last.seconds:.1f} s"] if last is not None else []
    if view.running is not None:
        facts.append(f"run {view.running} is under way")
    facts.append(f"next look {_time(view.due.isoformat())}" if view.due else "no further look on schedule")
    if view.streak:
        facts.append("1 breach" if view.streak == 1 else f"{view.streak} breaches in a row")
    if view.then_at:
        facts.append(f"training started {_time(view.then_at)}: {view.then_outcome}")
    yield f'<p class="quiet">{escape(" · ".join(facts))}</p>'
    if view.config_problem:
        yield f'<p class="error">The changed configuration is not in force: {escape(view.config_problem)}</p>'


def _chart(runs: Sequence[Run]) -> Iterable[str]:
    """The scores of the runs that have one, with the threshold of each."""
    scored = [(run, run.found.score) for run in runs if run.found.score is not None][-SHOWN:]
    if len(scored) < 2:
        return
    top = max([*(score for _, score in scored), *(run.threshold for run, _ in scored)]) * 1.1 or 1.0
    low = min(0.0, *(score for _, score in scored))

    def at(place: int, value: float) -> str:
        return f"{place / (len(scored) - 1) * 980 + 10:.1f},{110 - (value - low) / (top - low) * 100:.1f}"

    line = " ".join(at(place, score) for place, (_, score) in enumerate(scored))
    threshold = " ".join(at(place, run.threshold) for place, (run, _) in enumerate(scored))
    yield '<h2>Score</h2><svg viewBox="0 0 1000 120" preserveAspectRatio="none" role="img" aria-label="scores over time">'
    for points, style in ((threshold, 'stroke="#c9302c" stroke-dasharray="6 4"'), (line, 'stroke="currentColor"')):
        yield f'<polyline points="{points}" fill="none" {style} stroke-width="2" vector-effect="non-scaling-stroke"/>'
    yield "</svg>"


def _columns(run: Run) -> Iterable[str]:
    if not run.found.columns:
        return
    yield "<h2>Columns</h2><table><tr><th>column</th><th>score</th><th></th></tr>"
    ordered = sorted(
        run.found.columns.items(), key=lambda item: (not item[1].get("drifted"), -(item[1].get("score") or 0))
    )
    for name, column in ordered:
        yield f'<tr><td>{escape(name)}</td><td class="n">{_number(column.get("score"))}</td><td>{_about(column)}</td></tr>'
    for name, reason in run.found.left_out.items():
        yield f'<tr class="quiet"><td>{escape(name)}</td><td class="n">-</td><td>left out: {escape(reason)}</td></tr>'
    yield "</table>"


def _about(column: dict[str, Any]) -> str:
    if "drifted" in column:
        word = '<span class="breach">drifted</span>' if column["drifted"] else "same"
        limit = f", threshold {_number(column['threshold'])}" if column.get("threshold") is not None else ""
        return f"{word} ({escape(str(column.get('method')))}{limit})"
    counts = (("missing", "missing"), ("out_of_range", "out of range"), ("out_of_set", "not in the set"))
    return ", ".join(f"{column[key]} {words}" for key, words in counts if column.get(key)) or "good"


def _history(runs: Sequence[Run]) -> Iterable[str]:
    if not runs:
        return
    yield "<h2>Runs</h2><table><tr><th>when (UTC)</th><th>verdict</th><th>score</th><th>rows</th><th></th><th></th></tr>"
    for run in list(reversed(runs))[:SHOWN]:
        report = f'<a href="runs/{run.id}/report">report</a>' if run.found.report else ""
        yield (
            f'<tr><td><a href="runs/{run.id}">{_time(run.began)}</a></td><td>{_verdict(run)}</td>'
            f'<td class="n">{_number(run.found.score)}</td><td class="n">{run.found.rows}</td>'
            f"<td>{escape(run.sentence)}</td><td>{report}</td></tr>"
        )
    yield "</table>"


def _verdict(run: Run) -> str:
    return f'<span class="verdict {escape(run.verdict)}">{escape(_WORDS.get(run.verdict, run.verdict))}</span>'


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _time(text: str) -> str:
    return escape(text[:19].replace("T", " "))
