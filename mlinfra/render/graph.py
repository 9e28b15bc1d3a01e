"""Graphs as text: Mermaid for pages, DOT for Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlinfra.sdk.diagnostics import fail


def drawn(edges: Mapping[str, Iterable[str]], style: str) -> str:
    """A graph in which an arrow goes from what is used to its user.

    Errors: DiagnosticError for a style other than ``mermaid`` and ``dot``.
    """
    names = sorted({*edges, *(used for needs in edges.values() for used in needs)})
    pairs = sorted((used, user) for user, needs in edges.items() for used in needs)
    if style == "mermaid":
        ids = {name: f"n{number}" for number, name in enumerate(names)}
        nodes = [f'  {ids[name]}["{name}"]' for name in names]
        return "\n".join(["graph LR", *nodes, *(f"  {ids[used]} --> {ids[user]}" for used, user in pairs)])
    if style == "dot":
        nodes = [f'  "{name}";' for name in names]
        lines = ["digraph {", "  rankdir=LR;", *nodes, *(f'  "{used}" -> "{user}";' for used, user in pairs), "}"]
        return "\n".join(lines)
    raise fail("option-invalid", "Invalid option", f'--format cannot be "{style}".', "Write mermaid or dot.")
