"""A monitored endpoint on a Docker engine: Prometheus watches it, Alertmanager tells its webhook, and changes restart neither.

The platform is brought up once for this module, and the tests go on from one another's platform, never from its data.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker import APIClient

from mlinfra_tools.versions import ALERTMANAGER, PROMETHEUS
from tests.e2e.docker_engine import engine

IMAGES = ("python:3.11-slim", "haproxy:2.6", PROMETHEUS.image, ALERTMANAGER.image)
LONGEST = 1800
"""Seconds that a command may take: the first apply builds two images, and the machine may be busy."""
CLOCK = threading.Event()
"""Never set: its wait is a pause between two looks."""
MODEL = """
flavors:
  python_function: { loader_module: doubled, code: code, python_version: 3.11.0 }
mlflow_version: 3.17.2
model_uuid: 0123456789abcdef0123456789abcdef
signature:
  inputs: '[{"type": "double", "name": "amount", "required": true}]'
  outputs: '[{"type": "double", "required": true}]'
"""
CODE = """
class Doubled:
    def predict(self, frame, params=None):
        return [2.0 * amount for amount in frame["amount"]]


def _load_pyfunc(path):
    return Doubled()
"""
HOOK = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["Content-Length"])).decode(), flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *told):
        pass


HTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
"""Prints each body that it gets: Alertmanager and the monitor write JSON without line breaks."""
NOTHING: dict[str, list[str]] = {"containers": [], "networks": [], "volumes": [], "images": []}


class Site:
    """A blueprint of an endpoint and its monitors under a name of its own, and a webhook on their network."""

    def __init__(self, root: Path, api: APIClient) -> None:
        self.root = root
        self.api = api
        self.name = f"watched{uuid.uuid4().hex[:8]}"
        self.hook = ""
        self.url = ""
        """Where Prometheus answers, once it does."""
        code = root / "model" / "code"
        code.mkdir(parents=True)
        (root / "model" / "MLmodel").write_text(MODEL)
        (code / "doubled.py").write_text(CODE)

    def write(self, *, error_rate: float = 0.02, threshold: float = 0.5, more: bool = False) -> None:
        monitor = {"of": "endpoint.fraud", "type": "data_quality", "minimum_rows": 1}
        told = {"webhook": "http://hook:8000/"}
        monitors: dict[str, Any] = {"quality": {**monitor, "threshold": threshold, "notify": told}}
        if more:
            monitors["other"] = monitor
        rollout = {"bake": "1s", "rollback": {"error_rate": error_rate}}
        blueprint = {
            "blueprint": self.name,
            "environments": {"ci": {"provider": "docker", "default": True, "disposable": True}},
            "secret": {"token": {"generate": True}},
            "endpoint": {
                "fraud": {
                    "variants": {"a": {"artifact": "model"}},
                    "rollout": rollout,
                    "capture": {},
                    "auth": {"token": "${secret.token.value}"},
                }
            },
            "monitor": monitors,
        }
        (self.root / "blueprint.yaml").write_text(json.dumps(blueprint, indent=1))  # JSON is YAML

    def run(self, *arguments: str, code: int = 0) -> str:
        """A command run to its end; gives what it printed."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLINFRA_")}
        done = subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.root,
            env={**environment, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert done.returncode == code, f"mlinfra {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def apply(self) -> None:
        """Apply; afterwards nothing is left to do."""
        self.run("apply", "--auto-approve")
        assert "No changes" in self.run("plan", "--detailed-exitcode")

    def checks(self) -> dict[str, bool]:
        records = [json.loads(line) for line in self.run("check", "--json").splitlines()]
        return {record["component"]: record["passed"] for record in records if record["event"] == "check"}

    def output(self, name: str) -> str:
        return self.run("output", name).strip()

    def prometheus(self, path: str) -> Any:
        """What Prometheus tells."""
        told = httpx.get(f"{self.url}{path}", trust_env=False).json()
        assert told["status"] == "success", told
        return told["data"]

    def alerts(self) -> set[str]:
        """The alerts that fire."""
        return {a["labels"]["alertname"] for a in self.prometheus("/api/v1/alerts")["alerts"] if a["state"] == "firing"}

    def listen(self) -> None:
        """Have the webhook on the network."""
        network = f"{self.name}-ci"
        joined = self.api.create_networking_config({network: self.api.create_endpoint_config(aliases=["hook"])})
        made = self.api.create_container(
            "python:3.11-slim", ["-c", HOOK], entrypoint=["python3"], networking_config=joined
        )
        self.hook = made["Id"]
        self.api.start(self.hook)

    def heard(self) -> list[dict[str, Any]]:
        """What the webhook was told."""
        lines = self.api.logs(self.hook, stderr=False).decode().splitlines()
        return [json.loads(line) for line in lines if line]

    def containers(self) -> dict[str, str]:
        """The ids of all containers by their addresses."""
        rows = self.api.containers(all=True, filters={"label": f"mlinfra:blueprint={self.name}"})
        return {row["Labels"]["mlinfra:address"]: row["Id"] for row in rows}

    def server(self) -> str:
        """The container of the model server."""
        (found,) = (
            container
            for address, container in self.containers().items()
            if address in ("endpoint.fraud/container.a", "endpoint.fraud/server.a")
        )
        return found

    def owned(self) -> dict[str, list[str]]:
        """All objects of the engine that carry our labels, by sort."""
        filters: dict[str, Any] = {"label": f"mlinfra:blueprint={self.name}"}
        return {
            "containers": [row["Names"][0] for row in self.api.containers(all=True, filters=filters)],
            "networks": [network["Name"] for network in self.api.networks(filters=filters)],
            "volumes": [volume["Name"] for volume in self.api.volumes(filters=filters)["Volumes"] or []],
            "images": [image["Id"] for image in self.api.images(filters=filters)],
        }

    def end(self) -> None:
        """Remove what is still there, however a test ended."""
        if self.hook:
            self.api.remove_container(self.hook, v=True, force=True)
            self.hook = ""
        owned = self.owned()
        for name in owned["containers"]:
            self.api.remove_container(name, v=True, force=True)
        for name in owned["networks"]:
            self.api.remove_network(name)
        for name in owned["volumes"]:
            self.api.remove_volume(name)
        for name in owned["images"]:
            self.api.remove_image(name, force=True)


def until(condition: Callable[[], bool], told: Callable[[], object]) -> None:
    """Look until something is so."""
    for _ in range(300):
        if condition():
            return
        CLOCK.wait(1.0)
    pytest.fail(f"not so in five minutes: {told()}")


@pytest.fixture(scope="module")
def api() -> Iterator[APIClient]:
    yield from engine(IMAGES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, api: APIClient) -> Iterator[Site]:
    """A platform that was applied; afterwards destroyed, with nothing left."""
    made = Site(tmp_path_factory.mktemp("watched"), api)
    try:
        made.write()
        made.apply()
        made.url = made.output("monitor.quality.prometheus")
        made.listen()
        yield made
        api.remove_container(made.hook, v=True, force=True)
        made.hook = ""
        made.run("destroy", "--auto-approve")
        assert made.owned() == NOTHING
    finally:
        made.end()


def test_everything_is_watched_by_rules_that_are_in_force(site: Site) -> None:
    assert site.checks() == {"endpoint.fraud": True, "monitor.quality": True, "environment": True}
    targets = site.prometheus("/api/v1/targets")["activeTargets"]
    assert {target["health"] for target in targets} == {"up"}, targets
    jobs = {target["labels"]["job"] for target in targets}
    assert jobs >= {"prometheus", "alertmanager", "servers fraud", "monitor quality"}
    groups = {group["name"]: group["rules"] for group in site.prometheus("/api/v1/rules")["groups"]}
    assert set(groups) == {"endpoint.fraud", "monitor.quality"}
    assert {"EndpointDown", "EndpointErrors", "TargetDown"} <= {rule["name"] for rule in groups["endpoint.fraud"]}
    (alertmanager,) = site.prometheus("/api/v1/alertmanagers")["activeAlertmanagers"]
    assert alertmanager["url"].endswith(":9093/api/v2/alerts")


def test_changes_restart_nothing(site: Site) -> None:
    before = site.containers()
    site.write(error_rate=0.25, threshold=0.4, more=True)
    site.apply()
    after = site.containers()
    assert {address: after[address] for address in before} == before
    assert {address.partition("/")[0] for address in set(after) - set(before)} == {"monitor.other"}
    groups = {group["name"]: group["rules"] for group in site.prometheus("/api/v1/rules")["groups"]}
    assert "monitor.other" in groups
    (errors,) = (rule for rule in groups["endpoint.fraud"] if rule["name"] == "EndpointErrors")
    assert errors["query"].endswith("> 0.25")
    site.write()
    site.apply()
    assert site.containers() == before
    assert {group["name"] for group in site.prometheus("/api/v1/rules")["groups"]} == {
        "endpoint.fraud",
        "monitor.quality",
    }


def test_a_breach_fires_and_is_told_once_by_the_monitor(site: Site) -> None:
    # A token that nobody chose is shown to nobody: it is read where the server has it.
    command = site.api.exec_create(site.server(), ["cat", "/run/secrets/token"])
    token = site.api.exec_start(command["Id"]).decode()
    answer = httpx.post(
        f"{site.output('endpoint.fraud.url')}/invocations",
        json={"dataframe_split": {"columns": ["amount"], "data": [[None]] * 20}},
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    url = site.output("monitor.quality.url")
    until(
        lambda: httpx.post(f"{url}/run?wait=60", trust_env=False, timeout=90).json().get("verdict") == "breach",
        lambda: httpx.get(f"{url}/verdict", trust_env=False).text,
    )
    until(lambda: "MonitorBreach" in site.alerts(), lambda: site.alerts())
    until(lambda: bool(site.heard()), lambda: "the webhook heard nothing")
    assert [told.get("event") for told in site.heard()] == ["breach"]


def test_an_endpoint_without_a_server_is_told_to_the_webhook(site: Site) -> None:
    site.api.stop(site.server(), timeout=5)

    def told() -> list[dict[str, Any]]:
        return [body for body in site.heard() if body.get("receiver") == "webhook-1"]

    until(lambda: bool(told()), lambda: (site.alerts(), site.heard()))
    (alert,) = (a for a in told()[0]["alerts"] if a["labels"]["alertname"] == "EndpointDown")
    assert alert["status"] == "firing"
    assert alert["labels"]["component"] == "endpoint.fraud"
    assert alert["annotations"]["summary"] == "endpoint.fraud: no server answers"
    site.apply()
    until(lambda: "EndpointDown" not in site.alerts(), lambda: site.alerts())
