"""Where in the blueprint a diagnostic belongs: what the engine finds wrong names an address, people want a file and a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mlinfra.blueprint.loader import Blueprint
from mlinfra.sdk.diagnostics import Diagnostic


def placed(diagnostic: Diagnostic, blueprint: Blueprint) -> Diagnostic:
    """The diagnostic with the position of what its address means; one that has a position, or no place, as it is.

    The fields of a raw resource stand in the blueprint; those of a resource that a recipe made do not, so there the
    component is the place.
    """
    component, _, resource = diagnostic.address.partition("/")
    if diagnostic.position is not None:
        return diagnostic
    if component not in blueprint.components and component not in blueprint.resources:
        return diagnostic
    section, _, name = component.partition(".")
    path = (section, name) if resource else (section, name, *diagnostic.path)
    return replace(diagnostic, position=blueprint.position(path))


def all_placed(diagnostics: Iterable[Diagnostic], blueprint: Blueprint) -> list[Diagnostic]:
    """`placed` for each of them."""
    return [placed(diagnostic, blueprint) for diagnostic in diagnostics]
