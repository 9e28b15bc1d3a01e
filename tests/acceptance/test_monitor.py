"""The monitor with real Evidently: what it tells of drifted and of same data, what a breach sets off, what outlives a restart."""

from __future__ import annotations

import json
import re
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlinfra_tools.evidently.check import verdict as check

from .conftest import ToolEnv
from .monitor_server import MonitorServer

Rows = list[dict[str, Any]]


@pytest.fixture
def server(tool_env: ToolEnv, tmp_path: Path) -> Iterator[MonitorServer]:
    made = MonitorServer(tool_env("evidently"), tmp_path)
    made.table(made.reference, seed=0)
    yield made
    made.close()


@pytest.fixture
def rows(server: MonitorServer) -> Rows:
    """Rows that are distributed as the reference is."""
    return server.table(server.folder / "rows.parquet", seed=1, rows=300)


@pytest.fixture
def hook() -> Iterator[tuple[str, Rows]]:
    """A webhook's URL, and what it was told. It does not take the first notice."""
    heard: Rows = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            heard.append(json.loads(body))
            self.send_response(503 if len(heard) == 1 else 204)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            return None

    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}/notify?key=s3cret", heard
    listening.shutdown()
    listening.server_close()
    thread.join()


def drifted(rows: Rows) -> Rows:
    return [{**row, "amount": row["amount"] * 3 + 50, "country": "US"} for row in rows]


def test_same_data_is_ok_and_drifted_data_a_breach(server: MonitorServer, rows: Rows) -> None:
    server.capture(rows)
    server.start(threshold=0.3)
    same = server.look()
    assert (same["verdict"], same["rows"], same["reference_rows"]) == ("ok", 300, 400), same
    assert set(same["columns"]) == {"amount", "txn_count", "country", "prediction"}
    assert not any(column["drifted"] for column in same["columns"].values())

    (server.captures / "champion").rename(server.captures / "before")
    server.capture(drifted(rows))
    server.reconfigure(threshold=0.3, variants=["champion"], method="psi", column_threshold=0.2)
    server.until(lambda: server.verdict()["verdict"] == "breach")
    found = server.verdict()
    assert found["score"] == 0.5
    assert [name for name, column in found["columns"].items() if column["drifted"]] == ["amount", "country"]
    assert found["columns"]["amount"] | {"score": 0} == {"drifted": True, "score": 0, "method": "psi", "threshold": 0.2}
    assert found["variants"] == {"champion": 300}

    told = server.http.get("/metrics").text
    place = '{monitor="drift",of="endpoint.fraud",type="data_drift"}'
    assert f"mlinfra_monitor_score{place} 0.5" in told
    assert f"mlinfra_monitor_breach{place} 1" in told
    assert f"mlinfra_monitor_rows{place} 300" in told

    # The report is Evidently's, whole: nothing in it is loaded from elsewhere.
    report = server.http.get(found["report"]).text
    assert len(report) > 3_000_000
    assert "amount" in report
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!data:)', report)
    assert "{{shared:" not in report
    kept = sum(path.stat().st_size for path in (server.state / "runs").rglob("*"))
    assert kept < 1_000_000
    page = server.http.get("/").text
    assert f'href="runs/{found["run"]}/report"' in page
    assert "2 of 4 columns drifted" in page


def test_a_threshold_judges_the_last_score_anew_without_a_look(server: MonitorServer, rows: Rows) -> None:
    server.capture(drifted(rows))
    server.start(threshold=0.9)
    first = server.look()
    assert (first["verdict"], first["score"]) == ("ok", 0.5)
    assert server.process is not None
    pid = server.process.pid
    server.reconfigure(threshold=0.4)
    server.until(lambda: server.verdict()["verdict"] == "breach")
    found = server.verdict()
    assert (found["run"], found["score"], found["threshold"]) == (first["run"], 0.5, 0.4)
    assert server.process.pid == pid
    (server.folder / "config.json").write_text("{")
    server.until(lambda: server.verdict()["config_problem"] is not None)
    assert server.verdict()["threshold"] == 0.4
    assert not check(server.url).passed


def test_a_breach_starts_the_training_and_tells_the_webhook_and_its_end_is_told(
    server: MonitorServer, rows: Rows, hook: tuple[str, Rows]
) -> None:
    url, heard = hook
    started = server.folder / "started"
    then = server.folder / "train it"
    then.write_text(f'#!/bin/sh\necho run >> "{started}"\nexit 3\n')
    then.chmod(0o700)
    server.capture(drifted(rows))
    wanted: dict[str, Any] = {"threshold": 0.3, "breaches": 2, "then": "training.fraud", "notify": {"webhook": url}}
    server.start(then, **wanted)
    assert server.look()["verdict"] == "breach"
    assert server.verdict()["alarm"] is False
    assert not heard
    server.look()
    server.look()
    server.until(lambda: server.verdict()["then"]["outcome"] == "ended with exit code 3")
    assert started.read_text() == "run\n"  # the third breach was within the cooldown
    # The first notice was not taken: it comes again.
    server.until(lambda: server.verdict()["notices"] == {"failed": 1, "sent": 1})
    assert [notice["event"] for notice in heard] == ["breach", "breach"]
    assert heard[0]["text"].startswith("drift: breach, 2 of 4 columns drifted")
    assert server.http.get(heard[0]["report"]).status_code == httpx.codes.OK
    assert "s3cret" not in (server.folder / "config.json").read_text() + server.log.read_text()

    assert server.stop() == 0
    server.start(then, **{**wanted, "threshold": 0.9})
    server.until(lambda: len(heard) == 3)
    assert (heard[2]["event"], heard[2]["verdict"]) == ("recovered", "ok")
    assert server.verdict()["then"]["starts"] == 1


def test_bad_values_are_counted(server: MonitorServer, rows: Rows) -> None:
    bad = [{**row, "amount": None if number < 60 else row["amount"]} for number, row in enumerate(rows)]
    bad = [{**row, "country": "XX" if number < 30 else row["country"]} for number, row in enumerate(bad)]
    bad = [{**row, "txn_count": -5 if number < 3 else row["txn_count"]} for number, row in enumerate(bad)]
    server.capture(bad)
    server.start(type="data_quality", columns=["amount", "country", "txn_count"])
    found = server.look()
    assert found["columns"]["amount"]["missing"] == 60, found
    assert found["columns"]["country"]["out_of_set"] == 30
    assert found["columns"]["txn_count"]["out_of_range"] >= 3
    assert found["verdict"] == "breach"
    assert found["score"] == pytest.approx(93 / 900, abs=0.005)
    assert server.http.get(found["report"]).status_code == httpx.codes.OK


def test_performance_and_concept_drift_need_labels_and_use_them(server: MonitorServer, rows: Rows) -> None:
    labels = server.folder / "labels.parquet"
    wrong = [
        {**row, "prediction": 1 - row["label"] if number < 120 else row["label"]} for number, row in enumerate(rows)
    ]
    server.capture(wrong)
    told = [{"request_id": f"r{number}", "label": row["label"]} for number, row in enumerate(wrong)]
    server.parquet(labels, told[:20])
    wanted: dict[str, Any] = {
        "type": "performance",
        "labels": {"source": str(labels)},
        "metric": "accuracy",
        "threshold": 0.7,
    }
    server.start(**wanted)
    few = server.look()
    assert (few["verdict"], few["sentence"]) == ("too_little", "20 of 300 rows have a label between "
        f"{few['since'][:16]} and {few['until'][:16]} UTC; 50 are needed")  # fmt: skip

    server.parquet(labels, told)
    found = server.look()
    assert (found["verdict"], found["score"], found["rows"]) == ("breach", pytest.approx(0.6), 300)
    assert "Accuracy" in server.http.get(found["report"]).text

    server.reconfigure(**{**wanted, "type": "concept_drift", "metric": "f1", "threshold": 0.2})
    server.until(lambda: server.verdict()["type"] == "concept_drift" and "reference_f1" in server.verdict()["metrics"])
    drift = server.verdict()
    assert drift["verdict"] == "breach", drift
    assert drift["score"] == pytest.approx(1 - drift["metrics"]["f1"] / drift["metrics"]["reference_f1"])


def test_numbers_are_measured_as_numbers(server: MonitorServer, rows: Rows) -> None:
    current, labels = server.folder / "current", server.folder / "labels.parquet"
    current.mkdir()
    rows = [{**row, "id": number, "prediction": row["amount"] + 2.0} for number, row in enumerate(rows)]
    server.parquet(current / "a.parquet", rows[:100])
    server.parquet(current / "b.parquet", rows[100:])
    server.parquet(labels, [{"id": row["id"], "amount": row["amount"]} for row in rows])
    wanted: dict[str, Any] = {
        "type": "performance", "current": str(current), "threshold": 1.5, "reference": None,
        "labels": {"source": str(labels), "key": "id", "column": "amount"},
    }  # fmt: skip
    server.start(**wanted)
    found = server.look()
    assert (found["what"], found["score"], found["verdict"]) == ("mae", pytest.approx(2.0), "breach"), found
    assert found["report"] is not None
    server.reconfigure(**{**wanted, "threshold": 2.5})
    server.until(lambda: server.verdict()["verdict"] == "ok")


@pytest.mark.parametrize("broken", ["gone", "rubbish", "columns"])
def test_bad_data_is_a_verdict_with_a_sentence(server: MonitorServer, rows: Rows, broken: str) -> None:
    server.capture(rows)
    if broken == "gone":
        server.reference.unlink()
    elif broken == "rubbish":
        server.reference.write_bytes(b"PAR1" + b"x" * 100)
    else:
        server.parquet(server.reference, [{"something": 1.0, "else": "x"}])
    server.start()
    found = server.look()
    said = {"gone": "there is no file", "rubbish": "cannot be read", "columns": "no column is in both"}[broken]
    assert found["verdict"] == "error"
    assert said in found["sentence"]
    assert server.http.get("/health").status_code == httpx.codes.OK
    assert not check(server.url).passed
    if broken == "gone":
        server.table(server.reference, seed=0)
        result = check(server.url)
        assert result.passed, result
        assert result.summary.startswith("ok, score 0 on 300 rows")


def test_history_outlives_a_kill_and_a_missed_look_is_made_good(server: MonitorServer, rows: Rows) -> None:
    server.start(every="1h", cron=None)
    server.until(lambda: server.verdict()["verdict"] == "too_little")  # an interval begins with a look
    server.capture(rows)
    seen = server.look()
    server.stop(signal.SIGKILL)
    # A run that was under way when it was killed leaves a folder without a result.
    (server.state / "runs" / "99").mkdir()
    server.start(every="1h", cron=None)
    assert [run["run"] for run in server.http.get("/runs").json()["runs"]] == [seen["run"], 1]
    assert server.http.get(f"/runs/{seen['run']}/report").status_code == httpx.codes.OK
    assert server.verdict()["next"] > seen["when"]
    server.stop()
    server.start(every="1s", cron=None)
    server.until(lambda: server.verdict()["run"] > seen["run"])
    assert server.verdict()["verdict"] == "ok"


def test_it_ends_at_once_in_the_middle_of_a_look(server: MonitorServer, rows: Rows) -> None:
    server.capture(rows)
    server.start()
    asked = server.http.post("/run")
    assert asked.status_code == httpx.codes.ACCEPTED
    server.until(lambda: (server.state / "runs" / "1" / "config.json").exists())
    assert server.http.get(asked.json()["url"]).json()["state"] == "running"
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()
    server.start()
    assert server.verdict()["verdict"] is None
    other = server.http.post("/run", headers={"origin": "https://elsewhere.example"})
    assert other.status_code == httpx.codes.FORBIDDEN
