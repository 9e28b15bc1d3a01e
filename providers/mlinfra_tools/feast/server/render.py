"""Renders the files of a Feast repository from its definition. Pure; every value is written as a literal, never as code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from .feature_types import TYPES
from .online import SqliteStore


def render(
    definition: Mapping[str, Any], templates: Mapping[str, str], online_store: Mapping[str, str] = SqliteStore.settings
) -> dict[str, str]:
    """File name → text. ``templates`` maps ``<file name>.j2`` to its text; ``definition`` holds what `..repository` sends;
    ``online_store`` are its settings.

    Errors: jinja2.TemplateError or KeyError for a definition that lacks something.
    """
    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=False)
    environment.filters |= {
        "python": repr,
        "yaml": json.dumps,
        "dtype": lambda name: TYPES[name][0],
        "value_type": lambda name: TYPES[name][1],
    }
    values = {
        "online": True,
        **definition,
        "online_store": online_store,
        "entities": {name: {"description": None, **entity} for name, entity in definition["entities"].items()},
        "views": {
            name: {"description": None, "created_field": None, "ttl": None, **view}
            for name, view in definition["views"].items()
        },
    }
    return {name.removesuffix(".j2"): environment.from_string(text).render(values) for name, text in templates.items()}
