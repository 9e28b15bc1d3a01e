"""The sections of a blueprint: which keys are kinds, what overrides make of them, and what a misspelt one could mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mlinfra.blueprint.components import LATER, RAW, KindOf, not_yet
from mlinfra.blueprint.environments import Environment
from mlinfra.blueprint.overrides import merged
from mlinfra.blueprint.problems import Problems
from mlinfra.blueprint.source import plain
from mlinfra.sdk.diagnostics import did_you_mean

if TYPE_CHECKING:
    from mlinfra.kinds.kind import Kind

OWN: Final = ("blueprint", "variables", "environments", RAW)
"""Top-level keys that are no kind."""


def kind_models(
    tree: Mapping[str, Any], kinds: KindOf, kind_names: Sequence[str], problems: Problems
) -> dict[str, type[Kind]]:
    """The models of the kinds that the top level names; keys that name none are mistakes."""
    models: dict[str, type[Kind]] = {}
    for key in tree:
        if key in OWN:
            continue
        if key in LATER:
            not_yet(key, (key,), problems)
        elif (model := _kind(key, kinds, kind_names)) is not None:
            models[key] = model
        else:
            _unknown_kind(key, (key,), kind_names, problems)
    return models


def _kind(key: str, kinds: KindOf, kind_names: Sequence[str]) -> type[Kind] | None:
    return kinds(key) if key in kind_names else None


def _unknown_kind(key: str, path: tuple[str, ...], kind_names: Sequence[str], problems: Problems) -> None:
    known = [*OWN, *kind_names] if len(path) == 1 else [RAW, *kind_names]
    singular = [name for name in known if key in (f"{name}s", f"{name[:-1]}ies", f"{name}es")]
    hint = f' Did you mean "{singular[0]}"?' if singular else did_you_mean(key.lower().replace("-", "_"), known)
    problems.add(
        "kind-unknown",
        "Unknown kind",
        f'"{key}" is neither a kind nor another key of a blueprint.{hint}',
        f"Kinds are: {', '.join(kind_names)}. Other keys: {', '.join(name for name in known if name not in kind_names)}.",
        path,
        at="key",
    )


def mapping(tree: Mapping[str, Any], key: str, problems: Problems, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """A section of the tree as a mapping; one that is something else is a mistake."""
    section = tree.get(key)
    if section is None:
        return {}
    if not isinstance(section, dict):
        problems.add(
            "value-type",
            "Wrong type of value",
            f'The section "{key}" must be a mapping of names, and it is {plain(section)}.',
            f"Write {key}: {{ NAME: ... }}.",
            (*path, key),
        )
        return {}
    return section


def check_overrides(environment: Environment, kinds: KindOf, kind_names: Sequence[str], problems: Problems) -> None:
    path = ("environments", environment.name, "overrides")
    for key in environment.overrides:
        if key != RAW and _kind(key, kinds, kind_names) is None:
            _unknown_kind(key, (*path, key), kind_names, problems)
        else:
            mapping(environment.overrides, key, problems, path)


def effective(tree: Mapping[str, Any], chosen: Environment | None, problems: Problems) -> dict[str, dict[str, Any]]:
    """Kinds and raw resources by name, with the overrides of the chosen environment."""
    sections = {
        key: mapping(tree, key, problems) for key in tree if key not in LATER and (key not in OWN or key == RAW)
    }
    for key, above in (chosen.overrides if chosen is not None else {}).items():
        if above is None:
            sections.pop(key, None)
        elif isinstance(above, dict):
            sections[key] = merged(sections.get(key, {}), above)
    return sections


def removal(
    tree: Mapping[str, Any], sections: Mapping[str, Mapping[str, Any]], chosen: Environment | None
) -> Callable[[str, str], str]:
    def told(kind: str, name: str) -> str:
        declared = tree.get(kind)
        if chosen is None or not isinstance(declared, dict) or name not in declared or name in sections.get(kind, ()):
            return ""
        return f' The overrides of the environment "{chosen.name}" remove it.'

    return told
