"""One look: reads the data, measures, writes ``found.json`` and the report into the run's folder. A process of its own.

pandas and Evidently are imported only once there is enough to look at: an endpoint that nobody asks costs next to nothing.
Whatever is wrong with the data ends as a sentence in ``found.json``; must not judge.
"""

from __future__ import annotations

import json
import logging
import math
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from . import report_file
from .answer import Found
from .captured import Captured, read
from .config import Config, parse
from .tables import Problem, look

log = logging.getLogger("driftmonitor.evaluation")
FOUND: Final = "found.json"
REPORT: Final = "report.html"


def evaluate(config: Config, captures: Path | None, moment: datetime, folder: Path, shared: Path) -> Found:
    """Look once, as of ``moment``."""
    found = Found()
    try:
        _look(config, captures, moment, folder, shared, found)
    except Problem as problem:
        found.problem = str(problem)
    except MemoryError:
        found.problem = (
            "the memory that the monitor may use is not enough: raise resources.memory, or narrow the window"
        )
    except Exception as error:  # a bad table may break any library: that is a verdict with a sentence, not a crash
        traceback.print_exc()
        found.problem = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"
    if found.problem is None and found.score is not None and not math.isfinite(found.score):
        found.problem, found.score = f"the {found.what} is not a number", None
    return found


def _look(config: Config, captures: Path | None, moment: datetime, folder: Path, shared: Path, found: Found) -> None:
    delay = timedelta(seconds=config.labels.delay) if config.labelled and config.labels else timedelta(0)
    until = moment - delay
    since = until - timedelta(seconds=min(config.window, (until - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()))
    found.since, found.until = since.isoformat(), until.isoformat()
    for what, url in (("reference", config.reference), ("current", config.current)):
        if url is not None:
            look(what, url, config.places)
    if config.labelled and config.labels is not None:
        look("labels", config.labels.source, config.places)
    requests: Captured | None = None
    if config.of is not None:
        if captures is None:
            raise Problem(f"the captured requests of {config.of} are not within reach")
        requests = read(captures, since, until, config.variants)
        found.rows, found.looked_at = requests.total, len(requests.rows)
        found.by_variant = dict(requests.by_variant)
        if _too_little(found, config, "requests were captured"):
            return
    # From here on it takes seconds.
    from . import drift, frames, goodness, quality

    frame = frames.of_requests(requests) if requests is not None else frames.of_table(config, since, until)
    found.notes += frame.notes
    found.rows, found.looked_at = frame.total, len(frame.data)
    if _too_little(found, config, "rows are there"):
        return
    normal: Any = frames.reference(config) if config.reference is not None else None
    if config.labelled:
        data = goodness.labelled(frame.data, config, found)
        found.rows, found.looked_at = len(data), len(data)
        if _too_little(found, config, f"of {frame.total} rows have a label"):
            return
        if normal is not None and (config.type == "concept_drift" or _has_both(normal, config)):
            normal = goodness.of_reference(normal, config)
        else:
            normal = None
        found.reference_rows = 0 if normal is None else len(normal)
        if normal is not None and not len(normal):
            raise Problem("the reference has no row with a label and a prediction")
        snapshot = goodness.measure(normal, data, config, found)
    elif config.type == "data_quality":
        found.reference_rows = 0 if normal is None else len(normal)
        snapshot = quality.measure(normal, frame.data, config, found)
    else:
        found.reference_rows = len(normal)
        snapshot = drift.measure(normal, frame.data, config, found)
    if snapshot is not None:
        html = folder / "whole.html"
        snapshot.save_html(str(html))
        report_file.keep(html.read_bytes().decode(), folder / REPORT, shared)
        html.unlink()
        found.report = True


def _has_both(normal: Any, config: Config) -> bool:
    return config.labels is not None and {config.labels.column, "prediction"} <= set(normal.columns)


def _too_little(found: Found, config: Config, what: str) -> bool:
    if found.rows >= config.minimum_rows:
        return False
    span = "" if config.of is None else f" between {found.since[:16]} and {found.until[:16]} UTC"
    found.too_little = f"{found.rows} {what}{span}; {config.minimum_rows} are needed"
    return True


def main(config: Path, captures: Path | None, moment: str, folder: Path, shared: Path) -> int:
    """The program of the short-lived process. Returns the exit code."""
    logging.basicConfig(level=logging.WARNING)
    found = evaluate(parse(config.read_text("utf-8")), captures, datetime.fromisoformat(moment), folder, shared)
    part = folder / f".{FOUND}"
    part.write_text(json.dumps(_jsonable(found.told())), "utf-8")
    part.replace(folder / FOUND)
    return 0


def _jsonable(value: Any) -> Any:
    """JSON has no word for not-a-number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    return value
