"""The Docker engine of the end-to-end tests, or why there is none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from docker import APIClient
from docker.errors import DockerException


def absent(why: str) -> None:
    """Skip with the reason; in CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


def engine(images: Sequence[str]) -> Iterator[APIClient]:
    """A client of the engine, which has these images; for a fixture."""
    try:
        client = APIClient(base_url=os.environ.get("DOCKER_HOST"), version="auto")
        missing = [image for image in images if not client.images(name=image)]
    except DockerException as error:
        absent(f"no Docker engine answers (scripts/docker_engine.sh brings one up): {error}")
    if missing:
        absent(f"the Docker engine has no {' and no '.join(missing)} (scripts/docker_engine.sh provides them)")
    yield client
    client.close()
