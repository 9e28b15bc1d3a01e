"""Starts the feature server. Must import Feast before it forks the clerk, and fork before any thread runs."""

# Feast and what comes with it are in the workload's environment only.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import import_module
from pathlib import Path


def main() -> int:
    """Serve until told to end; 0 if it had started."""
    parser = argparse.ArgumentParser(description="Serves a Feast repository.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=Path, required=True, help="the repository's folder")
    parser.add_argument(
        "--exposed", action="store_true", help="other machines reach the port: they may only read features"
    )
    parser.add_argument("--redis", help="URL of the Redis that is the online store; without it it is an SQLite file")
    parser.add_argument("--redis-password", type=Path, help="file with the password of that Redis")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # Feast tells of each look at its registry.
    logging.getLogger("feast").setLevel(logging.WARNING)
    # Feast imports the last three on first use, which would be in each job of the clerk, forked from here.
    import feast.cli.cli
    import feast.feature_server
    import feast.infra.compute_engines.local.compute
    import feast.infra.offline_stores.dask
    import feast.infra.online_stores.sqlite
    import uvicorn

    from .app import App
    from .clerk import Clerk
    from .layout import Layout

    online = None
    if options.redis is not None:
        import feast.infra.online_stores.redis  # noqa: F401

        from .online_redis import PASSWORD, RedisStore

        # For Feast, which fills variables into its configuration. The clerk, forked below, has it too.
        os.environ[PASSWORD] = password = options.redis_password.read_text("utf-8")
        online = RedisStore(options.redis, password)
    folder = options.store.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    # A module that only the bundled script has.
    templates = import_module(f"{__package__}.templates").TEMPLATES
    app = App(Layout(folder), templates, Clerk(), online, exposed=options.exposed)
    config = uvicorn.Config(
        app, host=options.host, port=options.port, log_level="warning", access_log=False, lifespan="on", log_config=None
    )
    server = uvicorn.Server(config)
    server.run()
    return 0 if server.started else 1
