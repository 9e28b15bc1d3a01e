"""The edges of a plan: which node comes after which. Pure.

What a node needs comes before it, what needs a deleted object goes before it, and an object that was set aside goes when what
used it has gone over to its successor. A replacement that begins with its delete upsets this order for all that stands on
it: those cannot be waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from mlinfra.engine.decide import Decision
from mlinfra.engine.graph import reach, reversed_edges
from mlinfra.engine.plan import Node
from mlinfra.engine.refresh import World
from mlinfra.sdk.errors import Unreachable
from mlinfra.state.aside import home
from mlinfra.state.snapshot import ResourceState

Needs = Mapping[str, Iterable[str]]


def joined(
    decisions: Mapping[str, Decision],
    removed: Mapping[str, Node],
    entries: Mapping[str, ResourceState],
    world: World,
    needs: Needs,
) -> list[Node]:
    """All nodes with their edges. ``decisions`` come in the order of ``needs``; ``removed`` are the deletes of what the
    blueprint does not have any more, by address."""
    made: dict[str, Node] = {}
    deletes: dict[str, Node] = dict(removed)
    runs: dict[str, Node] = {}
    for address, decision in decisions.items():
        for job, run in decision.runs.items():
            runs.setdefault(job, run)
        if decision.node is None:
            continue
        made[address] = decision.node
        if decision.delete is not None:
            deletes[decision.delete.address] = decision.delete
    nodes = _leaving(deletes, made, runs, entries, world, needs, list(decisions))
    for job, run in runs.items():
        nodes.append(replace(run, after=tuple(_ids([job, *needs.get(job, ())], made, runs, own=job))))
    for address, node in made.items():
        after = _ids(needs[address], made, runs)
        if address in deletes:
            after.append(deletes[address].id)
        nodes.append(replace(node, after=tuple(dict.fromkeys(after)), dependencies=tuple(needs[address])))
    return nodes


def _leaving(
    deletes: Mapping[str, Node],
    made: Mapping[str, Node],
    runs: Mapping[str, Node],
    entries: Mapping[str, ResourceState],
    world: World,
    needs: Needs,
    sequence: Iterable[str],
) -> list[Node]:
    """The deletes, each after those of its users and after what its users become."""
    users = reversed_edges({address: entry.dependencies for address, entry in entries.items()})
    spare: dict[str, list[str]] = {}
    for address in deletes:
        if home(address) != address:
            spare.setdefault(home(address), []).append(address)
    upset: set[str] = set()
    """What goes first, and what stands on that: a delete that waited for one of these could wait for itself."""
    for address in sequence:
        if address in deletes or any(need in upset for need in needs[address]):
            upset.add(address)
    firsts = [address for address in deletes if address in made]
    early = reach(firsts, {address: _going(users.get(home(address), ()), deletes, spare, upset) for address in deletes})
    """Deletes that one of those waits for."""
    nodes: list[Node] = []
    for address, node in deletes.items():
        after: list[str] = []
        if address in made:  # what is there stays until what its successor needs is there: a failure leaves it running
            after += _ids([need for need in needs[address] if need not in upset], made, runs)
        used_by = users.get(home(address), ())
        over = [user for user in used_by if user not in deletes]
        if home(address) != address:
            over.append(home(address))
        after += _ids([user for user in over if not (address in early and user in upset)], made, {})
        after += [deletes[user].id for user in _going(used_by, deletes, spare, upset if address in early else ())]
        if isinstance(world.live.get(address), Unreachable) and node.action == "delete":
            after += _ids(entries[address].dependencies, made, {})
        nodes.append(replace(node, after=tuple(dict.fromkeys(after))))
    return nodes


def _going(
    users: Iterable[str], deletes: Mapping[str, Node], spare: Mapping[str, Iterable[str]], upset: Iterable[str]
) -> list[str]:
    """Which of these users are deleted: at their address, and where they are set aside."""
    found = []
    for user in users:
        if user in deletes:
            found.append(user)
        if user not in upset:
            found += spare.get(user, ())
    return found


def _ids(addresses: Iterable[str], made: Mapping[str, Node], runs: Mapping[str, Node], own: str = "") -> list[str]:
    ids = []
    for address in addresses:
        if address in made:
            ids.append(made[address].id)
        if address in runs and address != own:
            ids.append(runs[address].id)
    return ids
