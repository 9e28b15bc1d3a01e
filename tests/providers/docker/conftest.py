"""A laboratory a test, on the engine that answers here. Where none does the tests are skipped, but not by CI."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from docker import APIClient
from docker.errors import DockerException

from tests.providers.docker.lab import Lab

IMAGE = "busybox:latest"
BRING_UP = "scripts/docker_engine.sh brings one up"


@pytest.fixture(scope="session")
def api() -> Iterator[APIClient]:
    """The engine's own client, for what happens behind mlinfra's back."""
    try:
        client = APIClient(base_url=os.environ.get("DOCKER_HOST"), version="auto")
        missing = not client.images(name=IMAGE)
    except DockerException as error:
        absent(f"no Docker engine answers ({BRING_UP}): {error}")
    if missing:
        absent(f"the Docker engine has no image {IMAGE} ({BRING_UP})")
    yield client
    client.close()


def absent(why: str) -> None:
    """Skip with the reason; in CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def lab(tmp_path: Path, api: APIClient) -> Iterator[Lab]:
    """An empty laboratory; whatever it leaves on the engine is removed."""
    made = Lab(tmp_path, f"lab{uuid.uuid4().hex[:10]}", api)
    yield made
    made.clean()
