"""How the engine asks a workload's container whether it is well. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from mlinfra.sdk.workload import Service
from mlinfra_docker.images.software import interpreter, speaks_python

CHECK_EVERY: Final = 5
CHECK_TIMEOUT: Final = 10
CHECK_FAILURES: Final = 3
"""Health checks: seconds between two, seconds that one may take, failures in a row until a container counts as ill."""
ASK: Final = (
    "import sys,http.client as h;"
    "c=h.HTTPConnection('127.0.0.1',int(sys.argv[1]),timeout=9);c.request('GET',sys.argv[2]);"
    "s=c.getresponse().status;print('it answers',s);sys.exit(s>=400)"
)


def healthcheck(service: Service) -> dict[str, Any] | None:
    """How the engine asks a service whether it is well. None where its image cannot ask, or there is nothing to ask."""
    probe = service.probe
    if probe is None or not (probe.command or speaks_python(service.software)):
        return None
    if not probe.command:
        return asked(interpreter(service.software), service.ports[probe.port].inside, probe.path, probe.timeout)
    return checked(probe.command, probe.timeout)


def asked(python: str, port: int, path: str, timeout: float) -> dict[str, Any]:
    """A health check that is a request to a port, which has to be answered ``timeout`` seconds after the start."""
    return checked((python, "-IS", "-c", ASK, str(port), path), timeout)


def checked(test: Iterable[str], timeout: float) -> dict[str, Any]:
    """A health check that is a program."""
    return {
        "test": ["CMD", *test],
        "interval": CHECK_EVERY,
        "timeout": CHECK_TIMEOUT,
        "start_period": timeout,
        "retries": CHECK_FAILURES,
    }
