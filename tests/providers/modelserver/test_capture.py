"""Captured requests: whole lines, a file a day, nothing kept for longer or larger than asked."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlinfra_tools.modelserver.server import capture
from mlinfra_tools.modelserver.server.capture import CaptureFiles


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def files(folder: Path, clock: Clock, *, days: float = 30, max_bytes: int = 10_000) -> CaptureFiles:
    return CaptureFiles(folder, days=days, max_bytes=max_bytes, clock=clock)


def offer(target: CaptureFiles, *rows: dict[str, Any]) -> None:
    target.offer(len(rows), lambda: rows)


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_written_to_the_file_of_their_day(tmp_path: Path) -> None:
    clock = Clock()
    folder = tmp_path / "champion"
    for _ in range(2):
        writer = files(folder, clock)
        offer(writer, {"row": 0, "inputs": {"land": "ÖÄ"}}, {"row": 1})
        writer.close()
        assert writer.written == 2
        clock.now += timedelta(minutes=2)
    assert sorted(path.name for path in folder.iterdir()) == ["2026-03-01.jsonl", "2026-03-02.jsonl"]
    assert read(folder / "2026-03-02.jsonl") == [{"row": 0, "inputs": {"land": "ÖÄ"}}, {"row": 1}]


def test_half_a_line_of_a_killed_process_spoils_no_other(tmp_path: Path) -> None:
    path = tmp_path / "2026-03-01.jsonl"
    path.write_text('{"row": 0}\n{"row": ')
    writer = files(tmp_path, Clock())
    offer(writer, {"row": 1})
    writer.close()
    assert path.read_text() == '{"row": 0}\n{"row": \n{"row":1}\n'


def test_old_days_go_and_then_the_oldest_until_the_rest_fits(tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-02-26", "2026-02-27", "2026-02-28"):
        (tmp_path / f"{day}.jsonl").write_text("x" * 400)
    (tmp_path / "notes.txt").write_text("not ours")
    writer = files(tmp_path, Clock(), days=7, max_bytes=900)
    offer(writer, {"row": 0})
    writer.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-02-27.jsonl", "2026-02-28.jsonl", "2026-03-01.jsonl", "notes.txt",
    ]  # fmt: skip


def test_capture_pauses_when_today_alone_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "2026-03-01.jsonl").write_text("x" * 999 + "\n")
    writer = files(tmp_path, Clock(), max_bytes=500)
    offer(writer, {"row": 0}, {"row": 1})
    writer.close()
    assert (writer.written, writer.dropped) == (0, 2)
    assert (tmp_path / "2026-03-01.jsonl").stat().st_size == 1000


def test_a_folder_that_cannot_be_written_loses_rows_but_ends_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "champion"
    blocked.write_text("a file where the folder should be")
    writer = files(blocked, Clock())
    offer(writer, {"row": 0})
    writer.close()
    assert (writer.written, writer.dropped) == (0, 1)


def test_a_request_that_cannot_be_made_into_rows_spoils_no_other(tmp_path: Path) -> None:
    def broken() -> list[dict[str, Any]]:
        raise RuntimeError("odd values")

    writer = files(tmp_path, Clock())
    writer.offer(1, broken)
    offer(writer, {"row": 1})
    writer.close()
    assert read(tmp_path / "2026-03-01.jsonl") == [{"row": 1}]


def test_more_rows_than_the_queue_takes_are_counted(tmp_path: Path) -> None:
    writer = files(tmp_path, Clock())
    writer.offer(capture.QUEUE_ROWS + 1, list)
    writer.close()
    assert writer.dropped == capture.QUEUE_ROWS + 1
