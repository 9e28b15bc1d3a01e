"""Starts the server: ``--host --port --config FILE [--captures FOLDER] [--models FOLDER] [--token-file FILE]``.

Ends with 1 if the first model cannot be loaded. SIGTERM: no new requests, those under way are answered, captured rows
are written. Must not import what is slow: the port is open at once, the model comes after.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

log = logging.getLogger("modelserver")


def main(arguments: list[str] | None = None) -> int:
    """Run until a signal ends it. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="modelserver", description="Serves one version of an MLflow model.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--captures", type=Path)
    parser.add_argument("--models", type=Path, help="folder for downloaded models")
    parser.add_argument("--token-file", type=Path, help="file with the token that requests must carry")
    parser.add_argument("--grace", type=int, default=30, help="seconds for requests under way at the end")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    settings = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        # MLflow's own seven retries take four minutes; the server tries again by itself.
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
        "GIT_PYTHON_REFRESH": "quiet",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)

    # uvicorn ends gracefully and then raises the signal again: this lets what follows it still happen.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))

    import uvicorn

    from .app import App
    from .config import parse
    from .deployment import Deployment
    from .folders import own_folder
    from .metrics import Metrics
    from .model import load

    try:
        config = parse(options.config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        log.error("%s: %s", options.config, error)
        return 1
    try:
        token = read_token(options.token_file) if options.token_file else None
    except (OSError, ValueError) as error:
        log.error("%s: %s", options.token_file, error)
        return 1
    reasons: list[str] = []

    def fatal(reason: str) -> None:
        reasons.append(reason)
        server.should_exit = True

    metrics = Metrics(config.endpoint, config.variant)
    with own_folder(options.models or Path(tempfile.gettempdir()) / "modelserver") as models:
        deployment = Deployment(
            options.config, lambda wanted: load(wanted, models), metrics, captures=options.captures, fatal=fatal
        )
        app: Any = App(deployment, metrics, tool_version, token)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=options.host,
                port=options.port,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="on",
                server_header=False,
                timeout_graceful_shutdown=options.grace,
            )
        )
        server.run()
    return 1 if reasons or not server.started else 0


def read_token(file: Path) -> str:
    """The token in a file, without a line break at its end.

    Errors: OSError, ValueError if there is none.
    """
    token = file.read_text("utf-8").rstrip("\r\n")
    if not token:
        raise ValueError("the file with the token is empty")
    return token


def tool_version() -> str:
    """The version of MLflow."""
    from importlib.metadata import version

    return version("mlflow-skinny")
