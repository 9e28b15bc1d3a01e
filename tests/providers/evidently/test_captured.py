"""Reading what an endpoint captured."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlinfra_tools.evidently.monitor.captured import read

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def write(folder: Path, variant: str, *lines: dict[str, Any] | str, day: str = "2026-03-02") -> None:
    path = folder / variant / f"{day}.jsonl"
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as stream:
        for line in lines:
            stream.write((line if isinstance(line, str) else json.dumps(line)) + "\n")


def line(at: datetime, request: str = "", **more: Any) -> dict[str, Any]:
    return {"timestamp": at.isoformat(), "request_id": request, "row": 0, "inputs": {"a": 1}, "prediction": 1, **more}


def test_rows_of_the_window_only_across_days(tmp_path: Path) -> None:
    write(tmp_path, "champion", line(NOON - timedelta(days=1)), line(NOON - timedelta(hours=20), "y"), day="2026-03-01")
    write(tmp_path, "champion", line(NOON), line(NOON + timedelta(minutes=1)))
    found = read(tmp_path, NOON - timedelta(days=1), NOON)
    assert [row.timestamp for row in found.rows] == [NOON - timedelta(hours=20), NOON]


def test_named_variants_only_and_a_shadowed_request_counts_once(tmp_path: Path) -> None:
    for variant in ("a", "b", "c"):
        write(tmp_path, variant, line(NOON, "same"), line(NOON, f"only-{variant}"))
    found = read(tmp_path, NOON - timedelta(hours=1), NOON, ["b", "a"])
    assert found.by_variant == {"b": 2, "a": 1}
    assert sorted(row.request_id for row in found.rows) == ["only-a", "only-b", "same"]


def test_lines_that_do_not_parse_are_counted(tmp_path: Path) -> None:
    write(tmp_path, "a", line(NOON), '{"timestamp": "2026', "[]", {"timestamp": "x", "inputs": {}})
    found = read(tmp_path, NOON - timedelta(hours=1), NOON)
    assert (found.total, found.unreadable) == (1, 3)


def test_several_rows_in_a_line(tmp_path: Path) -> None:
    several = line(NOON, "r", inputs={"a": [1, 2], "b": ["x", "y"]}, predictions=[0, 1], probabilities=[[1, 0], [0, 1]])
    write(tmp_path, "a", several)
    rows = read(tmp_path, NOON - timedelta(hours=1), NOON).rows
    assert [(row.row, dict(row.inputs), row.prediction, row.probabilities) for row in rows] == [
        (0, {"a": 1, "b": "x"}, 0, [1, 0]),
        (1, {"a": 2, "b": "y"}, 1, [0, 1]),
    ]


def test_a_sample_is_of_the_size_asked_for_and_the_same_each_time(tmp_path: Path) -> None:
    write(tmp_path, "a", *(line(NOON, f"r{number}") for number in range(500)))
    first, again = (read(tmp_path, NOON - timedelta(hours=1), NOON, sample=50) for _ in range(2))
    assert (first.total, len(first.rows)) == (500, 50)
    assert first.rows == again.rows
    assert max(int(row.request_id[1:]) for row in first.rows) > 50


def test_no_folder_is_no_rows(tmp_path: Path) -> None:
    assert read(tmp_path / "nothing", NOON - timedelta(hours=1), NOON).total == 0
