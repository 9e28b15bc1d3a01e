"""The files of Prometheus and Alertmanager, rendered from what is watched. Pure; texts may hold tokens and slots."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from mlinfra_tools.prometheus.watched import Serving, Watching

if TYPE_CHECKING:
    from jinja2 import Template

LATE: Final = 600
"""Seconds that a monitor's look may be late; a long one before it is a reason."""
_ALERT: Final = re.compile(r"^  - name: '(.*)'$|^      - alert: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told: a webhook, and the components whose alerts it gets."""

    name: str
    webhook: str
    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are for Prometheus: its rules, itself and the Alertmanager as ``host:port``, and the file of each
    endpoint's token by the endpoint's name."""

    rules: str
    itself: str
    alertmanager: str
    tokens: dict[str, str]


def config_text(endpoints: Sequence[Serving], monitors: Sequence[Watching], places: Places) -> str:
    """prometheus.yml."""
    return _render("prometheus.yml.j2", endpoints=endpoints, monitors=monitors, places=places)


def rules_text(endpoints: Sequence[Serving], monitors: Sequence[Watching]) -> str:
    """rules.yml."""
    return _render("rules.yml.j2", endpoints=endpoints, monitors=monitors, late=LATE)


def alerts_text(told: Sequence[Receiver]) -> str:
    """alertmanager.yml."""
    return _render("alertmanager.yml.j2", receivers=told)


def alerts(rules: str) -> list[str]:
    """The alerts of a rules.yml, each as ``group/name``."""
    found, group = [], ""
    for name, alert in _ALERT.findall(rules):
        if alert:
            found.append(f"{group}/{alert}")
        else:
            group = name
    return sorted(found)


def digest(*texts: str) -> str:
    """What tells texts from others."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def receivers(monitors: Sequence[Watching]) -> list[Receiver]:
    """Who is told of what: the webhook of a monitor of that monitor and its endpoint, each webhook once."""
    found: dict[str, dict[str, None]] = {}
    for monitor in monitors:
        if monitor.webhook is not None:
            about = [monitor.component, *([monitor.of] if monitor.of is not None else [])]
            found.setdefault(monitor.webhook, {}).update(dict.fromkeys(about))
    return [Receiver(f"webhook-{n}", url, tuple(about)) for n, (url, about) in enumerate(found.items(), start=1)]


def _render(name: str, **values: Any) -> str:
    return str(_template(name).render(**values))


@cache
def _template(name: str) -> Template:
    from jinja2 import Environment, StrictUndefined

    text = resources.files("mlinfra_tools.prometheus").joinpath("templates", name).read_text("utf-8")
    # What is written here is YAML, for no browser.
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    environment.filters["quoted"] = _quoted
    return environment.from_string(text)


def _quoted(value: Any) -> str:
    """A text as YAML has it between single quotes, which leave tokens as they are."""
    return "'" + str(value).replace("'", "''") + "'"
