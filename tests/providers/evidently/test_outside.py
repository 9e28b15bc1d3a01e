"""Looks as processes, trainings, webhooks; and reports on the disk."""

from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mlinfra_tools.evidently.monitor import report_file
from mlinfra_tools.evidently.monitor.outside import Ended, Looks, Training, Webhook

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def looks(tmp_path: Path, body: str) -> Looks:
    """Looks whose process runs ``body``, with ``folder`` set."""
    script = tmp_path / "look.py"
    script.write_text(f"import sys, pathlib\nfolder = pathlib.Path(sys.argv[sys.argv.index('--folder') + 1])\n{body}\n")
    return Looks([sys.executable, str(script)], tmp_path / "captures", tmp_path / "shared")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("sys.exit(3)", "the process of the look ended with exit code 3"),
        ("raise ValueError('odd')", "the process of the look ended with exit code 1: ValueError: odd"),
        ("import os; os.kill(os.getpid(), 9)", "the process of the look was killed by signal 9"),
        ("(folder / 'found.json').write_text('{')", "the process of the look ended with exit code 0"),
        ("import time; time.sleep(600)", "the look took longer than 0.5 s and was stopped"),
    ],
)
def test_a_look_that_goes_wrong_is_a_problem(tmp_path: Path, body: str, said: str) -> None:
    assert looks(tmp_path, body)("{}", NOW, tmp_path, 0.5 if "sleep" in body else 60).problem == said


def test_what_a_look_finds_is_read(tmp_path: Path) -> None:
    body = """(folder / "found.json").write_text('{"rows": 7, "score": 0.5, "of_a_newer_version": 1}')"""
    found = looks(tmp_path, body)("{}", NOW, tmp_path, 60)
    assert (found.rows, found.score, found.problem) == (7, 0.5, None)


def test_the_end_of_the_monitor_ends_a_look(tmp_path: Path) -> None:
    runner = looks(tmp_path, "print('up', flush=True); import time; time.sleep(600)")
    ended = threading.Event()

    def look() -> None:
        try:
            runner("{}", NOW, tmp_path, 600)
        except Ended:
            ended.set()

    thread = threading.Thread(target=look)
    thread.start()
    clock = threading.Event()
    for _ in range(1000):
        if (tmp_path / "log").exists() and (tmp_path / "log").read_bytes():
            break
        clock.wait(0.02)
    runner.close()
    thread.join(30)
    assert ended.is_set()
    with pytest.raises(Ended):
        runner("{}", NOW, tmp_path, 600)


def test_a_training_is_not_started_twice_at_once_and_its_end_is_told_once(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    script = (
        f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\nraise SystemExit(2)"
    )
    training = Training([sys.executable, "-c", script])
    assert training.ended() is None
    assert training.start() == ""
    assert training.running
    first = training._child
    assert training.start() == ""
    assert training._child is first
    gate.touch()
    assert first is not None
    first.wait(30)
    assert training.ended() == "ended with exit code 2"
    assert training.ended() is None
    assert "cannot be started" in Training([str(tmp_path / "nothing")]).start()


def test_a_webhook_that_nobody_hears_is_an_oserror_without_its_url() -> None:
    for url in ("http://127.0.0.1:9/secret", "no url"):
        with pytest.raises(OSError, match=r"refused|cannot be told") as caught:
            Webhook(url)({"event": "breach"})
        assert "secret" not in str(caught.value)


def test_reports_share_their_scripts_and_come_back_as_they_were(tmp_path: Path) -> None:
    large = "x = '\\n{{shared:no}}';" * 10_000
    html = f"<style>a</style><script>{large}</script>\r\n<script>data = %s</script>"
    shared = tmp_path / "shared"
    paths = [tmp_path / "1.html", tmp_path / "2.html"]
    for number, path in enumerate(paths):
        report_file.keep(html % number, path, shared)
        assert report_file.read(path, shared) == html % number
        assert path.stat().st_size < 300
    (part,) = shared.iterdir()
    report_file.tidy(paths[:1], shared)
    assert part.exists()
    report_file.tidy([], shared)
    assert not part.exists()
    with pytest.raises(OSError, match="No such file"):
        report_file.read(paths[0], shared)
