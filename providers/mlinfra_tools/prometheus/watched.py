"""What endpoints and monitors tell of themselves, so that a Prometheus of the environment can watch them. Data, nothing else.

Places are ``host:port`` as workloads reach them; they may be tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mlinfra.sdk.refs import expression

SHARED: Final = "prometheus"
"""The name under which recipes share a `Serving` or a `Watching`."""
COMMON: Final = "mlinfra_tools.prometheus.recipe:lower"
"""The recipe of what they have in common."""


@dataclass(frozen=True, slots=True)
class Serving:
    """An endpoint: where its route tells its own metrics, if it does, and where each variant's servers tell theirs, which
    want the ``token`` if there is one."""

    component: str
    route: str | None
    servers: Mapping[str, tuple[str, ...]]
    error_rate: float
    """The share of failed requests above which it is told."""
    token: str | None = None

    @property
    def name(self) -> str:
        return self.component.partition(".")[2]


@dataclass(frozen=True, slots=True)
class Watching:
    """A monitor: where its metrics are, the endpoint that it watches, and who is told."""

    component: str
    place: str
    of: str | None = None
    webhook: str | None = None

    @property
    def name(self) -> str:
        return self.component.partition(".")[2]


def place(url: str) -> str:
    """The ``host:port`` of a URL that a runtime gave."""
    return expression("url.split('://')[1]", {"url": url})
