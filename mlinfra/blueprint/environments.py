"""Environments: what the section says, which one is chosen, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from mlinfra.blueprint.names import checked
from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.source import plain
from mlinfra.sdk.diagnostics import DiagnosticError, did_you_mean

EXAMPLE: Final = "environments:\n  laptop: { provider: local, default: true, disposable: true }"
_TYPES: Final[Mapping[str, tuple[type, str]]] = {
    "provider": (str, "the name of a provider"),
    "default": (bool, "true or false"),
    "disposable": (bool, "true or false"),
    "protect": (bool, "true or false"),
    "state": (str, "the place of the state"),
    "variables": (dict, "a mapping of variables to values"),
    "overrides": (dict, "a mapping of sections"),
}
KEYS: Final = tuple(_TYPES)
_CLOSE: Final = 0.87
"""So close to a key of ours is a misspelling and no setting: ``protected`` is, ``project`` is not."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A named place to put a blueprint.

    ``disposable`` allows the loss of data; ``protect`` forbids destroying; ``state`` is where the state is kept, None for the
    blueprint's folder. ``settings`` are the remaining keys, which the provider knows (``region``, ``host``).
    """

    name: str
    provider: str
    default: bool = False
    disposable: bool = False
    protect: bool = False
    state: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, Any] = field(default_factory=dict, repr=False)
    overrides: Mapping[str, Any] = field(default_factory=dict, repr=False)


def read_environments(section: Any, problems: Problems) -> dict[str, Environment]:
    """The environments of the section; what is wrong goes to ``problems``."""
    if not isinstance(section, dict) or not section:
        missing = section is None or section == {}
        problems.add(
            "environment-missing" if missing else "value-type",
            "No environment" if missing else "Wrong type of value",
            "A blueprint needs at least one environment: a named place to put it."
            if missing
            else f'"environments" must be a mapping of names to environments, and it is {plain(section)}.',
            f"Write, for example:\n{EXAMPLE}",
            ("environments",),
        )
        return {}
    found = {}
    for name, spec in section.items():
        path = ("environments", name)
        if checked(name, "an environment", path, problems):
            made = _environment(name, spec, path, problems)
            if made is not None:
                found[name] = made
    defaults = [name for name, environment in found.items() if environment.default]
    for name in defaults[1:]:
        problems.add(
            "environment-default",
            "Several default environments",
            f'"{name}" is a default environment, and so is "{defaults[0]}".',
            "Keep `default: true` in one of them.",
            ("environments", name, "default"),
        )
    return found


def _environment(name: str, spec: Any, path: tuple[str, ...], problems: Problems) -> Environment | None:
    if not isinstance(spec, dict):
        problems.add(
            "value-type",
            "Wrong type of value",
            f'The environment "{name}" must be a mapping, and it is {plain(spec)}.',
            f"Write {name}: {{ provider: local }}.",
            path,
        )
        return None
    good: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    for key, value in spec.items():
        if key not in _TYPES:
            settings[key] = value
            if close := get_close_matches(key, KEYS, n=1, cutoff=_CLOSE):
                _misspelt(key, close[0], path, problems)
            continue
        wanted, words = _TYPES[key]
        if isinstance(value, wanted):
            good[key] = value
        elif value is not None:
            problems.add(
                "value-type",
                "Wrong type of value",
                f'"{key}" must be {words}, and it is {plain(value)}.',
                "Correct the value.",
                (*path, key),
            )
            good[key] = wanted()
    if not good.get("provider"):
        if "provider" not in good:
            problems.add(
                "key-missing",
                "Missing key",
                f'The environment "{name}" does not say its provider.',
                f"Write {name}: {{ provider: local }}.",
                path,
                at="key",
            )
        good["provider"] = ""
    return Environment(name=name, settings=settings, **good)


def _misspelt(key: str, meant: str, path: tuple[str, ...], problems: Problems) -> None:
    problems.add(
        "key-unknown",
        "Unknown key",
        f'An environment has no key "{key}". Did you mean "{meant}"?',
        f"Its own keys are: {', '.join(KEYS)}; any other one is a setting of its provider.",
        (*path, key),
        at="key",
    )


def choose(
    environments: Mapping[str, Environment],
    wanted: str | None,
    environ: Mapping[str, str],
    declared: Mapping[str, Any],
    problems: Problems,
) -> Environment | None:
    """The environment that ``-e`` names, else ``MLINFRA_ENV``, else the default one, else the only one. ``declared`` is the
    section as written, so that one with a mistake in it is not called unknown."""
    name, by = (wanted, "-e") if wanted else (environ.get("MLINFRA_ENV") or None, "MLINFRA_ENV")
    if name is not None:
        if name in environments:
            return environments[name]
        if name not in declared:
            problems.add(
                "environment-unknown",
                "Unknown environment",
                f'There is no environment "{name}" ({by}).{did_you_mean(name, map(str, declared))}',
                f"Environments are: {', '.join(map(str, declared)) or 'none'}.",
                ("environments",),
                at="key",
            )
        return None
    defaults = [environment for environment in environments.values() if environment.default]
    if defaults:
        return defaults[0]
    if len(environments) == 1:
        return next(iter(environments.values()))
    if len(environments) > 1:
        problems.add(
            "environment-unchosen",
            "No environment chosen",
            "The blueprint has several environments, and none is the default one.",
            f"Choose with -e: {', '.join(environments)}; or write `default: true` in one.",
            ("environments",),
            at="key",
        )
    return None


def check_settings(environment: Environment, model: Any, problems: Problems) -> None:
    """Check the provider's keys with its settings model (a pydantic one), if there is one."""
    if model is None:
        return
    from pydantic import ValidationError

    from mlinfra.blueprint.validation import report

    path = ("environments", environment.name)
    try:
        model.model_validate(dict(environment.settings))
    except ValidationError as error:
        what = f"environment of the provider {environment.provider}"
        report(error, model, environment.settings, path, what, problems, "", known=KEYS)
    except DiagnosticError as error:
        problems.take(error)
