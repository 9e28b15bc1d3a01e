"""Real servers for acceptance tests, started with the commands that the recipes give. Each has a port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import httpx

from mlinfra.sdk.refs import fill
from mlinfra.sdk.workload import Service, VolumeHandle
from mlinfra_tools.mlflow.registry import server_service


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class MlflowServer:
    """An MLflow server as the registry's recipe describes it, or as ``service`` does, with its data in ``folder``. May be
    started again: data and port stay."""

    def __init__(self, python: Path, folder: Path, service: Service | None = None) -> None:
        self.folder = folder
        self.log = folder / "log"
        self._port = free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._service = service or server_service(VolumeHandle("registry.models/volume.data", str(folder), ""))
        self._slots = {
            "python": str(python),
            "host": "127.0.0.1",
            "port:http": str(self._port),
            "path:data": str(folder / "data"),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers later."""
        (self.folder / "data").mkdir(exist_ok=True)
        command = [fill(word, self._slots) for word in self._service.command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self._service.env},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def until_healthy(self, http: httpx.Client, clock: threading.Event, tries: int = 600) -> None:
        """Wait until our own process answers.

        Errors: AssertionError with its last words if it ends or never answers.
        """
        probe = self._service.probe
        assert probe is not None
        for _ in range(tries):
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()[-3000:]
            try:
                if http.get(f"{self.uri}{probe.path}").status_code < 400:
                    return
            except httpx.TransportError:
                pass
            clock.wait(0.25)
        raise AssertionError(f"no answer\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        """End it and its workers."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None
