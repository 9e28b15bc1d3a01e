"""The one table of the tools' versions, and the lock texts made from it by ``scripts/lock_tools.py``.

What is pinned here was run together; each comment gives the reason of a pin that is not the tool itself. Nothing here is
ever imported into mlinfra's own environment: the texts are for the environments and images of the workloads.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

from mlinfra.sdk.workload import Software


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: what to install, the lock text of it all, and the image that it is added to."""

    requirements: tuple[str, ...]
    """Requirements as pip writes them; the tool itself is pinned exactly."""
    lock: str
    """Path of the lock text (pinned and hashed for all platforms) below this package."""
    python: str = "3.11"
    """The Python version that the lock text was resolved for, as the lowest."""
    image: str = "python:3.11-slim"
    """The image that a runtime with images adds the lock text to. Tools' own images are not used: that of MLflow is this one
    with MLflow and whatever its dependencies were that day, without a driver for PostgreSQL, and those of others are made
    for programs other than those that run here. So every runtime runs what was tried together."""


POSTGRESQL: Final = Software("postgres:16")
"""The database of what keeps more than a file should, where the runtime has images."""

REDIS: Final = Software("redis:7")
"""What serves the latest values, where the runtime has images."""

PROMETHEUS: Final = Software("prom/prometheus:v2.42.0")
"""What watches endpoints and monitors, where the runtime has images."""

ALERTMANAGER: Final = Software("prom/alertmanager:v0.25.0")
"""What tells what Prometheus finds."""

TOOLS: Final[dict[str, Tool]] = {
    # psycopg2: for where there is a PostgreSQL.
    "mlflow": Tool(
        requirements=("mlflow==3.17.2", "psycopg2-binary"),
        lock="mlflow/requirements.lock",
    ),
    # What a training run or a model server needs to speak to the registry: the same release as the server, without the
    # server. numpy and pandas are what `mlflow.pyfunc` imports; the user's own requirements decide their versions.
    "mlflow-client": Tool(
        requirements=("mlflow-skinny==3.17.2", "numpy", "pandas"),
        lock="mlflow/client.lock",
    ),
    # skops: how MLflow saves scikit-learn models, which most models here are.
    "modelserver": Tool(
        requirements=(
            "mlflow-skinny==3.17.2",
            "numpy",
            "pandas",
            "skops",
            "uvicorn",
            "httptools",
            "prometheus-client",
        ),
        lock="modelserver/requirements.lock",
    ),
    # redis: for where there is one.
    "feast": Tool(
        requirements=("feast[redis]==0.67.0",),
        lock="feast/requirements.lock",
    ),
    # pandas 3 makes evidently 0.7 fail on import.
    "evidently": Tool(
        requirements=("evidently==0.7.23", "pandas<3"),
        lock="evidently/requirements.lock",
    ),
}


@cache
def lock(tool: str) -> str:
    """The lock text of a row: a requirements file, every line pinned and hashed.

    Errors: KeyError for a tool that is not in the table.
    """
    return resources.files("mlinfra_tools").joinpath(TOOLS[tool].lock).read_text(encoding="utf-8")


def software(tool: str) -> Software:
    """A row as the software of a workload."""
    row = TOOLS[tool]
    return Software(image=row.image, requirements=row.requirements, lock=lock(tool))
