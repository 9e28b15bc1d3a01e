"""Workloads on a real engine: a recipe written in a test, realised by the Docker runtime through the engine of mlinfra."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.engine.apply import Outcome
from mlinfra.engine.catalog import Catalog
from mlinfra.engine.events import Event
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.running import run_job
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.workload import Mount, Port, Probe, Service, Software
from mlinfra_docker import PROVIDER
from tests.providers.docker.lab import Lab

Recipe = Callable[[Lowering], Mapping[str, Any]]
PYTHON = Software("python:3.11-slim")
SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.path.partition("=")[2])
        told = {"host": os.uname().nodename, "env": dict(os.environ), "argv": sys.argv[2:]}
        if self.path.startswith("/read="):
            told = {"text": path.read_text(), "mode": oct(path.stat().st_mode & 0o777)} if path.exists() else {}
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET
    log_message = lambda *_: None

server = ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Handler)
import signal, threading
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
"""
"""Tells what it was given; ``/read=PATH`` tells a file."""


@dataclass
class RuntimeLab(Lab):
    """A laboratory whose component ``storage.x`` becomes what ``recipe`` declares."""

    recipe: Recipe = lambda lowering: {}
    events: list[Event] = field(default_factory=list)

    def open(self) -> Workspace:
        def lower(_: Any, lowering: Lowering) -> Mapping[str, Any]:
            return self.recipe(lowering)

        changed = replace(PROVIDER, recipes={**PROVIDER.recipes, "storage": lower})  # type: ignore[dict-item] - as `load` takes
        return Workspace.open(Selection(self.folder / "blueprint.yaml", environ={}), Catalog([changed]))

    def up(self, recipe: Recipe) -> Mapping[str, Any]:
        """Have a recipe applied, with nothing left to do; gives its outputs."""
        self.recipe = recipe
        self.write({}, storage={"x": {}})
        self.mend()
        return self.outputs()

    def outputs(self) -> Mapping[str, Any]:
        """What the component offers now."""
        from mlinfra.engine.inspect import outputs

        with self.open() as workspace:
            return outputs(workspace)["storage.x"]

    def run(self) -> Outcome:
        """Run the component's job."""
        self.events.clear()
        with self.open() as workspace:
            return run_job(workspace, "storage.x", emit=self.events.append, interrupt=Interrupt())

    def said(self) -> list[str]:
        """The lines that the last run told."""
        return [event.text for event in self.events if hasattr(event, "text")]

    def fields(self, resource: str) -> Mapping[str, Any]:
        """What the state says of a resource of the component."""
        return self.state().resources[f"storage.x/{resource}"].fields


def server(name: str, *mounts: Mount, **more: Any) -> Service:
    """A service that tells what it was given."""
    from mlinfra.sdk.refs import slot

    given: dict[str, Any] = {
        "software": PYTHON,
        "command": (slot("python"), "-c", SERVER, slot("port:http")),
        "ports": {"http": Port(8000)},
        "probe": Probe("http", "/"),
        "mounts": mounts,
        **more,
    }
    return Service(name, **given)


def ask(url: str, path: str = "/", headers: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What a server tells."""
    request = urllib.request.Request(url + path, headers=dict(headers or {}))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found
