"""A real feature server for acceptance tests, started with the command of its workload, and the engine's steps on it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import httpx

from mlinfra.engine.desired import form
from mlinfra.engine.diff import changes
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import fill
from mlinfra.sdk.resource import FieldChange, Fields, Known, Operation
from mlinfra.sdk.workload import VolumeHandle
from mlinfra_tools.client import ToolsClient
from mlinfra_tools.feast.repository import FeastRepository
from mlinfra_tools.feast.service import SCRIPT, server_service

from .servers import free_port

WRITE = """
import sys, pandas
path, factor, stamp = sys.argv[1], float(sys.argv[2]), sys.argv[3]
rows = [{"user_id": f"u{i:04d}", "txn_count_7d": i, "avg_amount": i * factor, "country": "DE",
         "event_timestamp": pandas.Timestamp(stamp, tz="UTC")} for i in range(5)]
pandas.DataFrame(rows).to_parquet(path)
"""


class FeatureServerProcess:
    """A feature server, started with the command of its workload. May be started again: folder and port stay."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python = python
        self.store = folder / "store"
        self.log = folder / "log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = ToolsClient(Place("fraud", "test", folder, folder))
        self._service = server_service(VolumeHandle("feature_store.fraud/volume.store", "", ""))
        self.script = folder / SCRIPT
        self.script.write_text(self._service.files[0].content, "utf-8")
        self._slots = {
            "python": str(python),
            "host": "127.0.0.1",
            "port:http": str(self.port),
            "path:store": str(self.store),
            f"path:{SCRIPT}": str(self.script),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.parquet = folder / "made.parquet"

    def rows(self, path: Path, factor: float, stamp: str) -> None:
        """Write five users' features as of ``stamp``."""
        subprocess.run([str(self.python), "-c", WRITE, str(path), str(factor), stamp], check=True)

    def start(self) -> None:
        command = [fill(word, self._slots) for word in self._service.command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **self._service.env}, stdout=log, stderr=log, start_new_session=True
            )
        probe, clock = self._service.probe, threading.Event()
        assert probe is not None
        for _ in range(600):
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if self.client.request("GET", self.url + probe.path).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                clock.wait(0.2)
        raise AssertionError(f"no answer\n{self.log.read_text()[-3000:]}")

    def stop(self, how: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(30)

    def operation(self, said: list[str] | None = None) -> Operation:
        heard: list[str] = [] if said is None else said
        return Operation("feature_store.fraud/repository.fraud", {}, "t", self.store, say=heard.append)

    def apply(self, wanted: FeastRepository, live: Fields | None = None, said: list[str] | None = None) -> Fields:
        """Create or update as the engine does: the call, the wait, the look."""
        op = self.operation(said)
        known = Known(op.address, wanted.project, live or wanted.model_dump())
        if live is None:
            wanted.create(self.client, op)
        else:
            wanted.update(self.client, known, differences(wanted, live), op)
        FeastRepository.ready(self.client, known, op)
        return self.read(wanted)

    def read(self, wanted: FeastRepository) -> Fields:
        known = Known("feature_store.fraud/repository.fraud", wanted.project, wanted.model_dump())
        live = FeastRepository.read(self.client, known)
        assert live is not None
        return live

    def line(self, wanted: FeastRepository) -> str | None:
        """What a plan says of the live repository."""
        return FeastRepository.explain(differences(wanted, self.read(wanted)))

    def features(self, view: str = "user_txn", user: str = "u0002", feature: str = "avg_amount") -> httpx.Response:
        body = {"features": [f"{view}:{feature}"], "entities": {"user_id": [user]}}
        return self.client.request("POST", f"{self.url}/get-online-features", json=body)

    def value(self, **which: str) -> Any:
        response = self.features(**which)
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()["results"][-1]["values"][0]


def differences(wanted: FeastRepository, live: Fields) -> list[FieldChange]:
    """What the engine's diff finds, the blueprint being as last applied."""
    desired = form(FeastRepository, wanted.model_dump(exclude_none=True), None, "a").fields  # type: ignore[arg-type]
    return [FieldChange(c.path, c.before, c.after) for c in changes(FeastRepository, desired, desired, live, "salt")]
