"""The server as one script, so that a workload needs one file and nothing of mlinfra. Must not import the server."""

from __future__ import annotations

from mlinfra.sdk.bundle import bundled


def server_script() -> str:
    """The text of the script."""
    return bundled("modelserver", "mlinfra_tools.modelserver", "server")
