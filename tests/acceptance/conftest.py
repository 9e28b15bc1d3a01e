"""Fixtures that acceptance tests share: environments of real tools, and a real MLflow server.

Environments are made once a session, or once for good below the folder that MLINFRA_TEST_ENVS names.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mlinfra_tools.versions import TOOLS, lock

from .servers import MlflowServer

ToolEnv = Callable[..., Path]


@pytest.fixture(scope="session")
def tool_env(tmp_path_factory: pytest.TempPathFactory) -> ToolEnv:
    """``tool_env("mlflow")`` gives the interpreter of an environment made from that row's lock text;
    ``tool_env("mlflow-client", "scikit-learn")`` of one made from the row's requirements and further ones."""
    given = os.environ.get("MLINFRA_TEST_ENVS")
    # Workers of one session share the parent of their temporary folders.
    shared = tmp_path_factory.getbasetemp()
    root = Path(given) if given else (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "envs"

    def make(tool: str, *more: str) -> Path:
        text = "\n".join((*TOOLS[tool].requirements, *more)) if more else lock(tool)
        folder = root / f"{tool}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        root.mkdir(parents=True, exist_ok=True)
        with (root / f"{folder.name}.lock").open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            done = folder / "done"
            if not done.exists():
                _install(folder, text, hashed=not more)
                done.touch()
        return folder / "bin" / "python"

    return make


def _install(folder: Path, requirements: str, *, hashed: bool) -> None:
    uv = [sys.executable, "-m", "uv", "--quiet"]
    subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(folder)], check=True)
    options = ["--require-hashes"] if hashed else []
    install = [*uv, "pip", "install", "--python", str(folder / "bin" / "python"), *options, "-r", "-"]
    subprocess.run(install, input=requirements, text=True, check=True)


@pytest.fixture(scope="session")
def mlflow_server(tool_env: ToolEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """An MLflow server started with the command that the registry's recipe gives, empty at first. Tests that use it take
    names of their own."""
    server = MlflowServer(tool_env("mlflow"), tmp_path_factory.mktemp("mlflow"))
    server.start()
    try:
        with httpx.Client(trust_env=False) as http:
            server.until_healthy(http, threading.Event())
        yield server
    finally:
        server.stop()
