"""Captured requests: whole lines, a file a day, nothing kept for longer or larger than asked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlinfra_tools.modelserver.server import capture
from mlinfra_tools.modelserver.server.capture import CaptureFiles

DAY = 86_400.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A variant's folder in a volume that is the test's own."""
    folder = tmp_path / "captures" / "champion"
    folder.mkdir(parents=True)
    return folder


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def files(folder: Path, clock: Clock, *, keep: float = 30 * DAY, max_bytes: int = 10_000) -> CaptureFiles:
    return CaptureFiles(folder, keep=keep, max_bytes=max_bytes, clock=clock)


def offer(target: CaptureFiles, *rows: dict[str, Any]) -> None:
    target.offer(len(rows), lambda: rows)


def read(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_rows_are_written_to_the_file_of_their_day(folder: Path) -> None:
    clock = Clock()
    for _ in range(2):
        writer = files(folder, clock)
        offer(writer, {"row": 0, "inputs": {"land": "ÖÄ"}}, {"row": 1})
        writer.close()
        assert writer.written == 2
        clock.now += timedelta(minutes=2)
    assert sorted(path.name for path in folder.iterdir()) == ["2026-03-01.jsonl", "2026-03-02.jsonl"]
    assert read(folder / "2026-03-02.jsonl") == [{"row": 0, "inputs": {"land": "ÖÄ"}}, {"row": 1}]


def test_half_a_line_of_a_killed_process_spoils_no_other(folder: Path) -> None:
    path = folder / "2026-03-01.jsonl"
    path.write_text('{"row": 0}\n{"row": ')
    writer = files(folder, Clock())
    offer(writer, {"row": 1})
    writer.close()
    assert path.read_text() == '{"row": 0}\n{"row": \n{"row":1}\n'


def test_old_days_go_and_then_the_oldest_until_the_rest_fits(folder: Path) -> None:
    for day in ("2026-01-01", "2026-02-26", "2026-02-27", "2026-02-28"):
        (folder / f"{day}.jsonl").write_text("x" * 400)
    (folder / "notes.txt").write_text("not ours")
    writer = files(folder, Clock(), keep=7 * DAY, max_bytes=900)
    offer(writer, {"row": 0})
    writer.close()
    assert sorted(path.name for path in folder.iterdir()) == [
        "2026-02-27.jsonl", "2026-02-28.jsonl", "2026-03-01.jsonl", "notes.txt",
    ]  # fmt: skip


def test_old_days_of_a_variant_that_is_gone_go_too_but_only_by_their_age(folder: Path) -> None:
    gone = folder.parent / "challenger"
    gone.mkdir()
    for day in ("2026-01-01", "2026-02-28"):
        (gone / f"{day}.jsonl").write_text("x" * 5000)
    files(folder, Clock(), keep=7 * DAY, max_bytes=900).close()
    assert [path.name for path in gone.iterdir()] == ["2026-02-28.jsonl"]


def test_replicas_of_a_variant_write_one_file_and_every_line_is_whole(folder: Path) -> None:
    program = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from mlinfra_tools.modelserver.server.capture import CaptureFiles\n"
        "clock = lambda: datetime(2026, 3, 1, tzinfo=UTC)\n"
        "for part in range(40):\n"
        "    writer = CaptureFiles(Path(sys.argv[1]), keep=1e6, max_bytes=1 << 30, clock=clock)\n"
        "    for row in range(5):\n"
        "        writer.offer(1, lambda: [{'who': sys.argv[2], 'inputs': 'x' * 20_000}])\n"
        "    writer.close()\n"
    )
    replicas = [subprocess.Popen([sys.executable, "-c", program, str(folder), name]) for name in ("a", "b", "c")]
    assert [replica.wait() for replica in replicas] == [0, 0, 0]
    rows = read(folder / "2026-03-01.jsonl")
    assert Counter(row["who"] for row in rows) == {"a": 200, "b": 200, "c": 200}


def test_capture_pauses_when_today_alone_is_too_large(folder: Path) -> None:
    (folder / "2026-03-01.jsonl").write_text("x" * 999 + "\n")
    writer = files(folder, Clock(), max_bytes=500)
    offer(writer, {"row": 0}, {"row": 1})
    writer.close()
    assert (writer.written, writer.dropped) == (0, 2)
    assert (folder / "2026-03-01.jsonl").stat().st_size == 1000


def test_a_folder_that_cannot_be_written_loses_rows_but_ends_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "captures" / "champion"
    blocked.parent.mkdir()
    blocked.write_text("a file where the folder should be")
    writer = files(blocked, Clock())
    offer(writer, {"row": 0})
    writer.close()
    assert (writer.written, writer.dropped) == (0, 1)


def test_a_request_that_cannot_be_made_into_rows_spoils_no_other(folder: Path) -> None:
    def broken() -> list[dict[str, Any]]:
        raise RuntimeError("odd values")

    writer = files(folder, Clock())
    writer.offer(1, broken)
    offer(writer, {"row": 1})
    writer.close()
    assert read(folder / "2026-03-01.jsonl") == [{"row": 1}]


def test_more_rows_than_the_queue_takes_are_counted(folder: Path) -> None:
    writer = files(folder, Clock())
    writer.offer(capture.QUEUE_ROWS + 1, list)
    writer.close()
    assert writer.dropped == capture.QUEUE_ROWS + 1
