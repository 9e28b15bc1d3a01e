"""The way to a client: the Docker SDK is imported here, when an engine is needed, and is an extra of the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.provider import Place

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient


def connect(place: Place) -> DockerClient:
    """The client of one environment.

    Errors: ProviderError if the SDK is not installed; Unreachable if no engine can be asked.
    """
    try:
        from mlinfra_docker import client
    except ModuleNotFoundError as error:
        if error.name not in ("docker", "requests"):
            raise
        raise ProviderError(
            "the Docker SDK for Python is not installed",
            remedy="Install it: python -m pip install 'mlinfra-cli[docker]'.",
        ) from error
    return client.connect(place)
