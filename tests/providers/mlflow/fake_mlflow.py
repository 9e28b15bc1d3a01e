"""A small MLflow server: real HTTP on a port of its own, the answers of MLflow 3.17 for the calls that mlinfra makes.

Its contents are plain attributes, so that a test can change them behind mlinfra's back; ``trouble`` answers the next calls
with a status instead.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = tuple[int, dict[str, Any]]


def _missing(what: str) -> Answer:
    return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"{what} not found"}


def _exists(what: str) -> Answer:
    return 400, {"error_code": "RESOURCE_ALREADY_EXISTS", "message": f"{what} already exists. Error: (sqlite3…) SQL"}


@dataclass
class FakeMlflow:
    """What the server holds. ``calls`` lists verb and path of all requests; ``page`` is how many objects fit one page."""

    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    experiments: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, dict[str, str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    trouble: list[int] = field(default_factory=list)
    page: int = 1000
    uri: str = ""

    def add_version(self, model: str, run_id: str = "", **run_tags: str) -> int:
        """A new version, as a training registers it."""
        held = self.versions.setdefault(model, {})
        number = max(held, default=0) + 1
        held[number] = {"tags": {}, "run_id": run_id}
        if run_id:
            self.runs[run_id] = {key.replace("__", ":"): value for key, value in run_tags.items()}
        return number

    def writes(self) -> list[str]:
        """The calls that change something."""
        return [call for call in self.calls if not call.startswith("GET") and not call.endswith("/search")]

    # -- the API ------------------------------------------------------------------------------------------------------

    def answer(self, call: str, values: dict[str, Any]) -> Answer:
        name = re.sub(r"\W", "_", call.replace("registered-models", "models")).lower()
        handler: Callable[[dict[str, Any]], Answer] | None = getattr(self, f"_{name}", None)
        return handler(values) if handler else (404, {"error_code": "ENDPOINT_NOT_FOUND", "message": call})

    def _paged(self, key: str, things: list[dict[str, Any]], values: dict[str, Any]) -> Answer:
        start = int(values.get("page_token") or 0)
        end = start + min(self.page, int(values["max_results"]))
        more = {"next_page_token": str(end)} if end < len(things) else {}
        return 200, {key: things[start:end], **more}

    def _told_model(self, name: str) -> dict[str, Any]:
        model = self.models[name]
        aliases = [{"alias": alias, "version": str(version)} for alias, version in model["aliases"].items()]
        tags = [{"key": key, "value": value} for key, value in model["tags"].items()]
        return {"name": name, "description": model["description"], "tags": tags, "aliases": aliases}

    def _get_models_search(self, values: dict[str, Any]) -> Answer:
        wanted = values.get("filter")
        assert wanted is None or wanted.startswith("name IN (")
        names = list(self.models) if wanted is None else re.findall(r"'([^']*)'", wanted)
        return self._paged(
            "registered_models", [self._told_model(n) for n in sorted(self.models) if n in names], values
        )

    def _get_models_get(self, values: dict[str, Any]) -> Answer:
        name = values["name"]
        return (200, {"registered_model": self._told_model(name)}) if name in self.models else _missing(name)

    def _post_models_create(self, values: dict[str, Any]) -> Answer:
        name = values["name"]
        if name in self.models:
            return _exists(f"Registered Model (name={name})")
        tags = {tag["key"]: tag["value"] for tag in values.get("tags", ())}
        self.models[name] = {"description": values.get("description", ""), "tags": tags, "aliases": {}}
        return 200, {"registered_model": self._told_model(name)}

    def _patch_models_update(self, values: dict[str, Any]) -> Answer:
        self.models[values["name"]]["description"] = values["description"]
        return 200, {}

    def _delete_models_delete(self, values: dict[str, Any]) -> Answer:
        if self.models.pop(values["name"], None) is None:
            return _missing(values["name"])
        self.versions.pop(values["name"], None)
        return 200, {}

    def _post_models_set_tag(self, values: dict[str, Any]) -> Answer:
        self.models[values["name"]]["tags"][values["key"]] = values["value"]
        return 200, {}

    def _delete_models_delete_tag(self, values: dict[str, Any]) -> Answer:
        self.models[values["name"]]["tags"].pop(values["key"], None)
        return 200, {}

    def _post_models_alias(self, values: dict[str, Any]) -> Answer:
        name, version = values["name"], int(values["version"])
        if version not in self.versions.get(name, {}):
            return _missing(f"Model Version (name={name}, version={version})")
        self.models[name]["aliases"][values["alias"]] = version
        return 200, {}

    def _delete_models_alias(self, values: dict[str, Any]) -> Answer:
        if values["name"] not in self.models:
            return _missing(values["name"])
        self.models[values["name"]]["aliases"].pop(values["alias"], None)
        return 200, {}

    def _get_model_versions_search(self, values: dict[str, Any]) -> Answer:
        name = re.fullmatch(r"name = ['\"](.*)['\"]", values["filter"])
        assert name
        told = [
            {"name": name[1], "version": str(number), "run_id": version["run_id"]}
            for number, version in sorted(self.versions.get(name[1], {}).items(), reverse=True)
        ]
        return self._paged("model_versions", told, values)

    def _post_model_versions_set_tag(self, values: dict[str, Any]) -> Answer:
        self.versions[values["name"]][int(values["version"])]["tags"][values["key"]] = values["value"]
        return 200, {}

    def _get_runs_get(self, values: dict[str, Any]) -> Answer:
        if values["run_id"] not in self.runs:
            return _missing(values["run_id"])
        tags = [{"key": key, "value": value} for key, value in self.runs[values["run_id"]].items()]
        return 200, {"run": {"data": {"tags": tags}}}

    def _told_experiment(self, name: str) -> dict[str, Any]:
        held = self.experiments[name]
        return {**held, "name": name, "tags": [{"key": k, "value": v} for k, v in held["tags"].items()]}

    def _by_id(self, values: dict[str, Any]) -> dict[str, Any]:
        return next(held for held in self.experiments.values() if held["experiment_id"] == values["experiment_id"])

    def _post_experiments_create(self, values: dict[str, Any]) -> Answer:
        name = values["name"]
        if name in self.experiments:
            return _exists(f"Experiment(name={name})")
        number = str(len(self.experiments) + 1)
        self.experiments[name] = {
            "experiment_id": number,
            "lifecycle_stage": "active",
            "artifact_location": values.get("artifact_location", f"mlflow-artifacts:/{number}"),
            "tags": {tag["key"]: tag["value"] for tag in values.get("tags", ())},
        }
        return 200, {"experiment_id": number}

    def _get_experiments_get_by_name(self, values: dict[str, Any]) -> Answer:
        name = values["experiment_name"]
        return (200, {"experiment": self._told_experiment(name)}) if name in self.experiments else _missing(name)

    def _post_experiments_search(self, values: dict[str, Any]) -> Answer:
        active = [name for name, held in self.experiments.items() if held["lifecycle_stage"] == "active"]
        return self._paged("experiments", [self._told_experiment(name) for name in active], values)

    def _post_experiments_delete(self, values: dict[str, Any]) -> Answer:
        self._by_id(values)["lifecycle_stage"] = "deleted"
        return 200, {}

    def _post_experiments_restore(self, values: dict[str, Any]) -> Answer:
        self._by_id(values)["lifecycle_stage"] = "active"
        return 200, {}

    def _post_experiments_set_experiment_tag(self, values: dict[str, Any]) -> Answer:
        self._by_id(values)["tags"][values["key"]] = values["value"]
        return 200, {}

    def _post_experiments_delete_experiment_tag(self, values: dict[str, Any]) -> Answer:
        del self._by_id(values)["tags"][values["key"]]
        return 200, {}


class Server:
    """The fake behind a port of its own, in a thread. ``stop`` frees the port."""

    def __init__(self, fake: FakeMlflow) -> None:
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def _handle(self) -> None:
                address = urlsplit(self.path)
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                values = json.loads(sent) if sent else dict(parse_qsl(address.query))
                call = f"{self.command} {address.path.removeprefix('/api/2.0/mlflow/')}"
                with lock:
                    fake.calls.append(call)
                    if fake.trouble:
                        status, body = fake.trouble.pop(0), {}
                    else:
                        status, body = fake.answer(call, values)
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        fake.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
