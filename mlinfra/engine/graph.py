"""Order: topological sorting and reachability over addresses. Linear in nodes and edges."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from mlinfra.sdk.diagnostics import fail


def order(needs: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys of ``needs``, each after what it needs. What is needed but is no key is left out.

    Errors: DiagnosticError naming each edge of a cycle.
    """
    try:
        return [name for name in TopologicalSorter(needs).static_order() if name in needs]
    except CycleError as error:
        cycle: list[str] = list(error.args[1])
        edges = ", ".join(f"{user} needs {used}" for used, user in itertools.pairwise(cycle))
        raise fail(
            "cycle", "Cycle", f"These depend on each other in a circle: {edges}.", "Remove one of the references."
        ) from error


def reach(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """Everything that can be reached from ``start`` along ``edges``, the start included."""
    found = set(start)
    queue = list(found)
    while queue:
        for name in edges.get(queue.pop(), ()):
            if name not in found:
                found.add(name)
                queue.append(name)
    return found


def reversed_edges(edges: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The same edges, the other way round."""
    found: dict[str, list[str]] = {}
    for user, used in edges.items():
        for name in used:
            found.setdefault(name, []).append(user)
    return found
