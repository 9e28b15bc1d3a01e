"""A blueprint in a folder whose registry is a real MLflow server that runs already, with the engine and the local provider
around it: what a user does with plan, apply and run, without a server of its own for each test."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml

from mlinfra.engine.apply import Outcome
from mlinfra.engine.catalog import Catalog
from mlinfra.engine.events import Event, NodeProgress
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.plan import Plan
from mlinfra.engine.planner import Options
from mlinfra.engine.running import run_job
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.provider import Place
from mlinfra.sdk.workload import Service, ServiceHandle
from mlinfra_local import PROVIDER
from mlinfra_local.runtime import LocalRuntime

from .servers import MlflowServer


class Beside(LocalRuntime):
    """This machine's runtime, but for services: the server that they ask for runs at ``uri`` already."""

    def __init__(self, place: Place, uri: str) -> None:
        super().__init__(place)
        self._uri = uri

    def service(self, service: Service, lowering: Lowering) -> ServiceHandle:
        path = str(place_of(lowering.place) / "stand-ins" / lowering.component)
        handle = lowering.resource("local.folder", service.name, {"path": path, "data": False})
        return ServiceHandle(handle.address, dict.fromkeys(service.ports, self._uri))


def place_of(place: Place) -> Path:
    """The environment's folder."""
    return place.work.absolute()


@dataclass
class Lab:
    """One blueprint. Its model's name is its own, since all tests share the server."""

    folder: Path
    server: MlflowServer
    model: str = field(default_factory=lambda: f"fraud-{uuid.uuid4().hex[:8]}")
    environment: dict[str, Any] = field(default_factory=lambda: {"provider": "local", "disposable": True})
    events: list[Event] = field(default_factory=list)

    def write(self, model: Mapping[str, Any], **sections: Any) -> None:
        """Make the blueprint anew, with this declaration of the model in its registry."""
        blueprint = {
            "blueprint": self.folder.name.replace("_", "-")[:40],
            "environments": {"test": self.environment},
            "registry": {"models": {"models": {self.model: dict(model)}}},
            **sections,
        }
        text = yaml.safe_dump(blueprint, sort_keys=False)
        (self.folder / "blueprint.yaml").write_text(text, encoding="utf-8")

    @property
    def follower(self) -> dict[str, Any]:
        """A raw resource that refers to the champion: a file with the number of its version."""
        token = "${registry.models.models['" + self.model + "'].champion}"
        return {"seen": {"type": "local.file", "path": "seen.txt", "content": f"version {token}"}}

    def seen(self) -> str:
        """What the file says."""
        return (self.folder / "seen.txt").read_text()

    # -- the engine ---------------------------------------------------------------------------------------------------

    def open(self) -> Workspace:
        """The workspace, as a command would open it."""
        runtime: Any = partial(Beside, uri=self.server.uri)
        selection = Selection(self.folder / "blueprint.yaml", environ={})
        return Workspace.open(selection, Catalog([replace(PROVIDER, runtime=runtime)]))

    def plan(self) -> Plan:
        """Plan as `mlinfra plan` does."""
        with self.open() as workspace:
            return workspace.plan()

    def planned(self) -> dict[str, tuple[str, str]]:
        """Address → action and summary of what a plan shows."""
        return {node.address: (node.action, node.summary) for node in self.plan().shown()}

    def apply(self, **options: Any) -> Outcome:
        """Apply as `mlinfra apply --auto-approve` does."""
        with self.open() as workspace:
            _, outcome = workspace.apply(Options(**options), emit=self.events.append, wait_timeout=0.0)
            assert outcome is not None
            return outcome

    def run(self, address: str) -> Outcome:
        """Run as `mlinfra run` does."""
        with self.open() as workspace:
            return run_job(workspace, address, emit=self.events.append, interrupt=Interrupt())

    def told(self) -> str:
        """All lines of progress so far."""
        return "\n".join(event.text for event in self.events if isinstance(event, NodeProgress))

    # -- MLflow, as its own client would speak to it --------------------------------------------------------------------

    def call(self, method: str, path: str, **values: Any) -> Any:
        """One call of its REST API."""
        with httpx.Client(base_url=f"{self.server.uri}/api/2.0/mlflow", trust_env=False, timeout=60) as http:
            sent: Any = {"params": values} if method == "GET" else {"json": values}
            response = http.request(method, path, **sent)
            assert response.status_code == 200, response.text
            return response.json()

    def live(self) -> Any:
        """The registered model."""
        return self.call("GET", "registered-models/get", name=self.model)["registered_model"]

    def aliases(self) -> dict[str, int]:
        """Where its aliases point."""
        return {item["alias"]: int(item["version"]) for item in self.live().get("aliases", ())}

    def register(self) -> int:
        """A new version, as somebody would register it."""
        run = self.call("POST", "runs/create", experiment_id="0")["run"]["info"]
        source, run_id = f"{run['artifact_uri']}/model", run["run_id"]
        made = self.call("POST", "model-versions/create", name=self.model, source=source, run_id=run_id)
        return int(made["model_version"]["version"])

    def version_tags(self, version: int) -> dict[str, str]:
        """The tags of a version."""
        told = self.call("GET", "model-versions/get", name=self.model, version=str(version))["model_version"]
        return {tag["key"]: tag["value"] for tag in told.get("tags", ())}

    def set_alias(self, alias: str, version: int) -> None:
        """Move an alias."""
        self.call("POST", "registered-models/alias", name=self.model, alias=alias, version=str(version))

    def remove_alias(self, alias: str) -> None:
        """Remove an alias."""
        self.call("DELETE", "registered-models/alias", name=self.model, alias=alias)
