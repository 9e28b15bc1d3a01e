"""A real monitor for acceptance tests, started with what the recipe makes of the kind, over data that a test writes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from mlinfra.kinds.monitor import Monitor
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import fill
from mlinfra.sdk.workload import JobHandle, Service, ServiceHandle, Volume, VolumeHandle
from mlinfra_tools.evidently import recipe

from .servers import free_port

WRITE = """
import json, sys
import numpy, pandas
path, seed, rows = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
chance = numpy.random.default_rng(seed)
amount, count = chance.lognormal(3, 1, rows), chance.poisson(4, rows)
label = (amount > 30).astype("int64")
table = pandas.DataFrame({
    "amount": amount, "txn_count": count.astype("int64"), "country": chance.choice(["DE", "FR", "IT"], rows),
    "prediction": numpy.where(chance.random(rows) < 0.95, label, 1 - label), "label": label,
})
table.to_parquet(path)
if path.endswith("rows.parquet"):
    print(table.to_json(orient="records"))
"""


class Lowered:
    """A lowering that keeps the service, on a runtime that has everything."""

    component = "monitor.drift"
    capabilities: frozenset[str] = frozenset()

    def __init__(self, root: Path, then: JobHandle | None) -> None:
        self.place = Place("fraud", "test", root, root)
        self.services: list[Service] = []
        self.notes: dict[str, str] = {}
        self._then = then

    def volume(self, volume: Volume) -> VolumeHandle:
        return VolumeHandle(volume.name, "", "")

    def shared(self, component: str, name: str) -> Any:
        offered = {
            ("endpoint.fraud", "capture"): VolumeHandle("endpoint.fraud/folder.capture", "", ""),
            ("endpoint.fraud", "variants"): ("champion", "challenger"),
            ("training.fraud", "job"): self._then,
        }
        return offered.get((component, name))

    def service(self, service: Service) -> ServiceHandle:
        self.services.append(service)
        return ServiceHandle(service.name, {"http": "http://monitor"})

    def check(self, name: str, function: str, **arguments: Any) -> None:
        return None

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes[field] = why


class MonitorServer:
    """A monitor with its folders. May be started again: state, captures and port stay."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.folder = folder
        self.captures = folder / "capture"
        self.state = folder / "state"
        self.log = folder / "log"
        self.reference = folder / "reference.parquet"
        self.process: subprocess.Popen[bytes] | None = None
        self._python = python
        self._port = free_port()
        self._clock = threading.Event()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self._port}", timeout=120, trust_env=False)
        for path in (self.captures, self.state):
            path.mkdir()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self._port}"

    def table(self, path: Path, seed: int, rows: int = 400) -> list[dict[str, Any]]:
        """Write a table of ``rows`` rows; gives the rows if it is called rows.parquet."""
        told = subprocess.run(
            [str(self._python), "-c", WRITE, str(path), str(seed), str(rows)],
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(told.stdout) if told.stdout else []

    def parquet(self, path: Path, rows: list[dict[str, Any]]) -> None:
        """Write rows as Parquet."""
        code = "import json, sys, pandas; pandas.DataFrame(json.load(sys.stdin)).to_parquet(sys.argv[1])"
        subprocess.run([str(self._python), "-c", code, str(path)], input=json.dumps(rows), check=True, text=True)

    def capture(self, rows: list[dict[str, Any]], variant: str = "champion", ago: float = 60.0) -> None:
        """Write rows as the model server captures them: ``prediction`` is the answer, ``label`` is not asked with."""
        moment = datetime.now(UTC) - timedelta(seconds=ago)
        path = self.captures / variant / f"{moment:%Y-%m-%d}.jsonl"
        path.parent.mkdir(exist_ok=True)
        with path.open("a") as lines:
            for number, row in enumerate(rows):
                inputs = {key: value for key, value in row.items() if key not in ("prediction", "label")}
                told = {
                    "timestamp": moment.isoformat(), "request_id": f"r{number}", "endpoint": "fraud", "variant": variant,
                    "model": "fraud", "version": "1", "row": 0, "inputs": inputs, "prediction": row["prediction"],
                }  # fmt: skip
                lines.write(json.dumps(told) + "\n")

    def start(self, script: Path | None = None, **fields: Any) -> None:
        """Start it as the recipe says for a monitor with these fields, and wait until it answers."""
        service, slots = self._written(script, fields)
        command = [fill(word, slots) for word in service.command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **service.env}, stdout=log, stderr=log, start_new_session=True
            )
        assert service.probe is not None
        path = service.probe.path
        self.until(lambda: self.http.get(path).status_code == httpx.codes.OK)

    def reconfigure(self, **fields: Any) -> None:
        """Change the file that it reads again, and nothing else."""
        self._written(None, fields, only="config.json")

    def _written(
        self, script: Path | None, fields: Mapping[str, Any], only: str = ""
    ) -> tuple[Service, dict[str, Any]]:
        wanted = {"reference": str(self.reference), "minimum_rows": 50, "window": "1d", "cron": "0 0 1 1 *", **fields}
        if "current" not in wanted:
            wanted["of"] = "endpoint.fraud"
        lowering = Lowered(self.folder, JobHandle("training.fraud/job.train", (str(script),)) if script else None)
        recipe.lower(Monitor.model_validate(wanted), lowering)  # type: ignore[arg-type]  # what the recipe uses of a lowering
        (service,) = lowering.services
        slots = {
            "python": str(self._python), "host": "127.0.0.1", "port:http": str(self._port), "trigger:then": str(script),
            "path:state": str(self.state), "path:capture": str(self.captures),
            **{f"path:{file.name}": str(self.folder / file.name) for file in service.files},
            **{f"secret:{name}": str(self.folder / name) for name in service.secrets},
        }  # fmt: skip
        for file in service.files:
            if only in ("", file.name):
                part = self.folder / f".{file.name}"
                part.write_text(fill(file.content, slots))
                part.replace(self.folder / file.name)
        for name, text in service.secrets.items():
            (self.folder / name).write_text(text)
        return service, slots

    def look(self) -> dict[str, Any]:
        """Have it look now; gives the run."""
        answer = self.http.post("/run", params={"wait": 110})
        assert answer.status_code == httpx.codes.OK, answer.text + self.log.read_text()[-2000:]
        found: dict[str, Any] = answer.json()
        return found

    def verdict(self) -> dict[str, Any]:
        """What it says now."""
        found: dict[str, Any] = self.http.get("/verdict").json()
        return found

    def until(self, there: Callable[[], bool], tries: int = 600) -> None:
        """Wait until something is so.

        Errors: AssertionError with its last words if that does not happen.
        """
        for _ in range(tries):
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                if there():
                    return
            except httpx.TransportError:
                pass
            self._clock.wait(0.1)
        raise AssertionError(f"it does not happen\n{self.log.read_text()[-3000:]}")

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End it; gives its exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process = None
        return code

    def close(self) -> None:
        """End it if it runs, and give the connections back."""
        if self.process is not None:
            self.stop()
        self.http.close()
