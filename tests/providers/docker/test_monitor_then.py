"""`then` of a monitor on a real engine: a breach starts the training, whose run has its code, data and variables."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from mlinfra.engine.inspect import outputs
from tests.providers.docker.lab import NOTHING, Lab
from tests.providers.docker.runtime_lab import ask

DATA = Path(__file__).parents[3] / "examples" / "quickstart" / "data"
RUN = "http://127.0.0.1:8090/run"
"""Where the monitor looks when it is told to, as its own container has it."""
TRAIN = """
import os, sys
from pathlib import Path
place = Path(os.environ["PLACE"].removeprefix("file://"))
print("training on", sorted(path.name for path in place.glob("*.parquet")), "in", os.environ["MLINFRA_TRAINING"])
with (place / "runs").open("a") as file:
    file.write("run\\n")
sys.exit(3 if (place / "runs").read_text().count("run") > 1 else 0)
"""


@pytest.fixture
def lab(tmp_path: Path, api: APIClient) -> Iterator[Lab]:
    if not api.images(name="python:3.11-slim"):
        pytest.fail("the engine has no python:3.11-slim: run scripts/docker_engine.sh")
    made = Lab(tmp_path, f"lab{uuid.uuid4().hex[:10]}", api, environment={"provider": "docker", "disposable": True})
    yield made
    made.clean()


def until(look: Callable[[], Any], what: str) -> None:
    """Wait for something to hold."""
    clock = threading.Event()
    for _ in range(600):
        if look():
            return
        clock.wait(0.2)
    raise AssertionError(what)


def test_a_breach_starts_the_training(lab: Lab) -> None:
    shutil.copytree(DATA, lab.folder / "data")
    (lab.folder / "code").mkdir()
    (lab.folder / "code" / "train.py").write_text(TRAIN)
    lake = "${storage.lake.url}"
    lab.write(
        {},
        storage={"lake": {"contents": "data"}},
        training={"fraud": {"source": "code", "run": ["python", "train.py"], "env": {"PLACE": lake}}},
        monitor={
            "drift": {
                # Any difference counts, so that there is a breach.
                "type": "data_drift",
                "method": "psi",
                "column_threshold": 1e-9,
                "threshold": 0.1,
                "window": "3650d",
                "reference": f"{lake}/reference.parquet",
                "current": f"{lake}/transactions.parquet",
                "every": "1h",
                "cooldown": 0,
                "then": "training.fraud",
            }
        },
    )
    with lab.open() as workspace:
        assert [note.text for note in workspace.desire.notes if note.unsupported] == []
    lab.mend()
    with lab.open() as workspace:
        url = outputs(workspace)["monitor.drift"]["url"]
    until(lambda: ask(url, "/verdict")["then"]["outcome"] == "ended well", str(ask(url, "/verdict")))
    assert ask(url, "/verdict")["then"]["starts"] == 1
    starter = lab.called("test-training-fraud-train-starter")
    log = lab.api.logs(starter).decode()
    assert "training on ['reference.parquet', 'transactions.parquet', 'user_txn.parquet'] in training.fraud" in log
    made = lab.api.exec_create(starter, ["cat", "/mlinfra/storage/lake/runs"])
    assert lab.api.exec_start(made["Id"]).decode().split() == ["run"]
    # A run that fails is told as such.
    made = lab.api.exec_create(
        lab.called("test-monitor-drift-monitor"),
        ["python3", "-c", f"import urllib.request as u; u.urlopen({RUN!r}, b'')"],
    )
    lab.api.exec_start(made["Id"])
    until(lambda: ask(url, "/verdict")["then"]["outcome"] == "ended with exit code 3", str(ask(url, "/verdict")))
    outcome = lab.apply(destroy=True)
    assert outcome is not None
    assert outcome.succeeded, outcome.failed
    assert lab.owned() == NOTHING
