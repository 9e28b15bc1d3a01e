"""A feature server in memory: the routes below ``/-/``, with a repository that is as it was applied until a test changes it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from mlinfra.sdk.provider import Place
from mlinfra_tools.client import ToolsClient

URL = "http://127.0.0.1:6566"


@dataclass
class FakeFeatureServer:
    """``live`` is what it tells of its repository, ``online`` the rows by view; ``failing`` makes the next job fail."""

    live: dict[str, Any] | None = None
    online: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failing: str | None = None
    notes: list[str] = field(default_factory=list)
    down: bool = False
    silent: bool = False
    """Whether its online store does not answer."""
    applied: list[dict[str, Any]] = field(default_factory=list)
    looks: int = 0
    steps: list[str] = field(default_factory=lambda: ["feast apply", "materialising user_txn"])

    def client(self) -> ToolsClient:
        """A client whose network is this server."""
        return ToolsClient(Place("fraud", "test", Path(), Path()), httpx.MockTransport(self._answer))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("refused")
        match (request.method, request.url.path):
            case ("GET", "/-/repository"):
                if self.live is None:
                    return httpx.Response(404, json={"detail": "no repository was applied yet"})
                told = dict(self.live)
                if "count" in request.url.params:
                    told["counts"] = None if self.silent else {view: len(rows) for view, rows in self.online.items()}
                return httpx.Response(200, json=told)
            case ("PUT", "/-/repository"):
                definition = json.loads(request.content)
                self.applied.append(definition)
                self.live = {**definition, "store": "ready", "materialised": ""}
                self.looks = 0
                return httpx.Response(202, json={"run": len(self.applied)})
            case ("DELETE", "/-/repository"):
                self.live, self.online = None, {}
                return httpx.Response(202, json={"run": 9})
            case ("GET", "/-/run"):
                step = self.steps[min(self.looks, len(self.steps) - 1)]
                self.looks += 1
                going = self.looks < len(self.steps)
                failed = None if going else self.failing
                status = "running" if going else "failed" if failed else "done"
                run = {"run": 1, "status": status, "step": step, "failed": failed, "notes": self.notes}
                return httpx.Response(200, json=run)
            case ("GET", "/-/sample"):
                rows = self.online.get(request.url.params["view"])
                if not rows:
                    return httpx.Response(404, json={"detail": "no entity is online"})
                return httpx.Response(200, json={"entity": {"user_id": rows[0]["user_id"]}})
            case ("POST", "/get-online-features"):
                asked = json.loads(request.content)
                (user,) = asked["entities"]["user_id"]
                view = asked["features"][0].partition(":")[0]
                row = next(row for row in self.online[view] if row["user_id"] == user)
                names = ["user_id", *(feature.partition(":")[2] for feature in asked["features"])]
                results = [{"values": [row.get(name)]} for name in names]
                return httpx.Response(200, json={"metadata": {"feature_names": names}, "results": results})
        return httpx.Response(404, text="not here")
