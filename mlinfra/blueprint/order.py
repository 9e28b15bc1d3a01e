"""The order of components and resources by what they refer to, and the cycles that keep them from having one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Edges = Mapping[str, Mapping[str, str]]
"""Address → the addresses that it needs, each with a reason."""


def ordered(edges: Edges) -> tuple[list[str], list[list[str]]]:
    """All addresses, what is needed before what needs it, else as given; and the cycles, each address followed by one that it
    needs. Addresses on or behind a cycle are not in the order. Linear in addresses and edges."""
    waiting = {address: sum(1 for need in needs if need in edges) for address, needs in edges.items()}
    needed_by: dict[str, list[str]] = {address: [] for address in edges}
    for address, needs in edges.items():
        for need in needs:
            if need in edges:
                needed_by[need].append(address)
    order = [address for address, count in waiting.items() if count == 0]
    for address in order:
        for user in needed_by[address]:
            waiting[user] -= 1
            if waiting[user] == 0:
                order.append(user)
    if len(order) == len(edges):
        return order, []
    return order, _cycles({address for address, count in waiting.items() if count > 0}, edges)


def _cycles(left: set[str], edges: Edges) -> list[list[str]]:
    found: list[list[str]] = []
    done: set[str] = set()
    for start in edges:
        walk: dict[str, int] = {}
        at = start
        while at in left and at not in done and at not in walk:
            walk[at] = len(walk)
            at = next(need for need in edges[at] if need in left)
        if at in walk:
            found.append(_turned(list(walk)[walk[at] :], edges))
        done.update(walk)
    return found


def _turned(cycle: Sequence[str], edges: Edges) -> list[str]:
    """The same cycle, beginning with what stands first in the blueprint."""
    rank = {address: number for number, address in enumerate(edges)}
    first = min(range(len(cycle)), key=lambda number: rank[cycle[number]])
    return [*cycle[first:], *cycle[:first]]
