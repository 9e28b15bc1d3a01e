"""The quickstart on a Docker engine, from a fresh copy: up in one apply, proven, broken, mended, gone without a trace.

The platform is brought up once for this module. Each test leaves it as it found it: applied, with nothing to do.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient
from docker.errors import NotFound

from tests.e2e.docker_engine import engine

EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart"
IMAGES = (
    *("python:3.11-slim", "haproxy:2.6", "postgres:16", "redis:7"),
    *("prom/prometheus:v2.42.0", "prom/alertmanager:v0.25.0"),
)
LONGEST = 2400
"""Seconds that a command may take: the first apply builds five images, and the machine may be busy."""


class Platform:
    """A copy of the quickstart under a name of its own, and the commands that its users give."""

    def __init__(self, root: Path, api: APIClient) -> None:
        self.root = root
        self.api = api
        self.name = f"fraud{uuid.uuid4().hex[:8]}"
        blueprint = root / "blueprint.yaml"
        blueprint.write_text(blueprint.read_text().replace("blueprint: fraud\n", f"blueprint: {self.name}\n"))

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A program of Python, run to its end in the environment ``ci``."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLINFRA_")}
        return subprocess.run(
            [sys.executable, *program.split(), *arguments],
            cwd=self.root,
            env={**environment, "MLINFRA_ENV": "ci"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )

    def well(self, *arguments: str) -> str:
        """What a command printed that must succeed."""
        done = self.run("-m mlinfra", *arguments)
        assert done.returncode == 0, f"mlinfra {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def changes(self) -> dict[str, str]:
        """The plan in short: address → action."""
        records = [json.loads(line) for line in self.well("plan", "--json").splitlines()]
        plan = next(record for record in records if record["event"] == "plan")
        return {node["address"]: node["action"] for node in plan["resources"]}

    def checks(self) -> dict[str, bool]:
        """What `mlinfra check` finds: component → passed."""
        records = [json.loads(line) for line in self.well("check", "--json").splitlines()]
        return {record["component"]: record["passed"] for record in records if record["event"] == "check"}

    def container(self, name: str) -> str:
        return f"{self.name}-ci-{name}"

    def owned(self) -> dict[str, list[str]]:
        """All objects of the engine that carry our labels, by sort."""
        filters: dict[str, Any] = {"label": f"mlinfra:blueprint={self.name}"}
        return {
            "containers": [row["Names"][0] for row in self.api.containers(all=True, filters=filters)],
            "networks": [network["Name"] for network in self.api.networks(filters=filters)],
            "volumes": [volume["Name"] for volume in self.api.volumes(filters=filters)["Volumes"] or []],
            "images": [image["Id"] for image in self.api.images(all=True, filters=filters)],
        }

    def end(self) -> None:
        """Remove what is still there, however a test ended."""
        owned = self.owned()
        for name in owned["containers"]:
            self.api.remove_container(name, v=True, force=True)
        for name in owned["networks"]:
            self.api.remove_network(name)
        for name in owned["volumes"]:
            self.api.remove_volume(name)
        for name in owned["images"]:
            with contextlib.suppress(NotFound):  # what it was built on went with the one before
                self.api.remove_image(name, force=True)


@pytest.fixture(scope="module")
def api() -> Iterator[APIClient]:
    yield from engine(IMAGES)


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory, api: APIClient) -> Iterator[Platform]:
    """The quickstart, applied; afterwards destroyed, with nothing left."""
    root = tmp_path_factory.mktemp("docker-quickstart") / "fraud"
    shutil.copytree(EXAMPLE, root, ignore=shutil.ignore_patterns(".mlinfra", "__pycache__"))
    made = Platform(root, api)
    try:
        made.well("apply", "--auto-approve")
        yield made
        made.well("destroy", "--auto-approve")
        assert made.owned() == {"containers": [], "networks": [], "volumes": [], "images": []}
    finally:
        made.end()


def test_it_works_and_there_is_nothing_left_to_do(platform: Platform) -> None:
    assert platform.well("plan").startswith("No changes.")
    assert platform.run("-m mlinfra", "plan", "--detailed-exitcode").returncode == 0
    assert platform.checks() == {
        "registry.models": True,
        "feature_store.fraud": True,
        "endpoint.fraud": True,
        "monitor.drift": True,
        "environment": True,
    }


def test_the_demo_runs_as_on_a_laptop(platform: Platform, tmp_path: Path) -> None:
    command = tmp_path / "mlinfra"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m mlinfra "$@"\n')
    command.chmod(0o755)
    done = platform.run("demo.py", "--mlinfra", str(command))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "look like fraud" in done.stdout
    assert "monitor     ok: 0 of 4 columns drifted" in done.stdout


def test_no_container_has_a_volume_without_a_name(platform: Platform) -> None:
    """Somebody who removes a container by hand leaves such a volume behind, and nobody knows whose it is."""
    rows = platform.api.containers(all=True, filters={"label": f"mlinfra:blueprint={platform.name}"})
    mounts = [mount for row in rows for mount in row["Mounts"] if mount["Type"] == "volume"]
    assert {mount["Destination"] for mount in mounts} >= {"/data", "/var/lib/postgresql/data"}
    assert [mount for mount in mounts if not mount["Name"].startswith(platform.name)] == []


def test_nothing_is_published_to_other_machines(platform: Platform) -> None:
    filters = {"label": f"mlinfra:blueprint={platform.name}"}
    addresses = {
        port["IP"]
        for row in platform.api.containers(filters=filters)
        for port in row["Ports"]
        if port.get("PublicPort")
    }
    assert addresses == {"127.0.0.1"}


def test_containers_that_were_removed_and_stopped_come_back_with_their_urls(platform: Platform) -> None:
    before = platform.well("output", "--json")
    platform.api.remove_container(platform.container("feature-store-fraud-server"), force=True)
    labels = {"label": [f"mlinfra:blueprint={platform.name}", "mlinfra:address=endpoint.fraud/server.champion"]}
    (server,) = platform.api.containers(filters=labels)
    platform.api.stop(server["Id"])
    changes = platform.changes()
    assert changes["feature_store.fraud/container.server"] == "create"
    assert changes["endpoint.fraud/server.champion"] == "update"
    platform.well("apply", "--auto-approve")
    assert platform.changes() == {}
    assert platform.well("output", "--json") == before
    assert all(platform.checks().values())


def test_a_training_run_serves_its_new_version(platform: Platform) -> None:
    platform.well("run", "training.fraud")
    platform.well("apply", "--auto-approve")
    assert platform.changes() == {}
    assert "champion v2 answered" in platform.well("check", "endpoint.fraud")
