"""The walk: runs the nodes of a graph on a thread pool, each the moment what it needs is done. Knows nothing of resources."""

from __future__ import annotations

import heapq
import queue
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from mlinfra.engine.graph import order


@dataclass(slots=True)
class Walked:
    """How the nodes ended. ``skipped`` maps a node that was not tried to the failed node it needed ("": interrupted)."""

    done: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def walk(
    needs: Mapping[str, Sequence[str]],
    execute: Callable[[str], bool],
    *,
    parallelism: int,
    stopping: Callable[[], bool] = lambda: False,
    skipped: Callable[[Sequence[str], str], None] = lambda names, because: None,
) -> Walked:
    """Execute every node once after all it needs, at most ``parallelism`` at a time, those with the longest way still to
    go first. ``execute`` returns whether it succeeded; a failed node's dependents are not tried and are told to
    ``skipped`` once. When ``stopping`` becomes true nothing new is started.
    """
    result = Walked()
    users: dict[str, list[str]] = {name: [] for name in needs}
    waiting: dict[str, int] = {}
    for name, used in needs.items():
        relevant = [other for other in dict.fromkeys(used) if other in needs]
        waiting[name] = len(relevant)
        for other in relevant:
            users[other].append(name)
    way = _ways(needs, users)
    ready = [(-way[name], name) for name, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    finished: queue.SimpleQueue[tuple[str, bool | BaseException]] = queue.SimpleQueue()
    running = 0

    def one(name: str) -> None:
        try:
            finished.put((name, execute(name)))
        except BaseException as error:  # to be raised again where the walk was called
            finished.put((name, error))

    with ThreadPoolExecutor(max_workers=max(1, parallelism), thread_name_prefix="apply") as pool:
        while True:
            while ready and running < parallelism and not stopping():
                _, name = heapq.heappop(ready)
                pool.submit(one, name)
                running += 1
            if running == 0:
                break
            name, succeeded = _next(finished)
            running -= 1
            if isinstance(succeeded, BaseException):
                raise succeeded
            if succeeded:
                result.done.append(name)
                for user in users[name]:
                    waiting[user] -= 1
                    if waiting[user] == 0 and user not in result.skipped:
                        heapq.heappush(ready, (-way[user], user))
            else:
                result.failed.append(name)
                lost = [other for other in _behind(name, users) if other not in result.skipped]
                result.skipped.update(dict.fromkeys(lost, name))
                if lost:
                    skipped(lost, name)
    ended = {*result.done, *result.failed, *result.skipped}
    rest = [name for name in needs if name not in ended]
    if rest:
        result.skipped.update(dict.fromkeys(rest, ""))
        skipped(rest, "")
    return result


def _next(finished: queue.SimpleQueue[tuple[str, bool | BaseException]]) -> tuple[str, bool | BaseException]:
    """Wait for a node to end, in short turns: a signal handler runs between them, and only on this thread."""
    while True:
        try:
            return finished.get(timeout=0.5)
        except queue.Empty:
            continue


def _ways(needs: Mapping[str, Sequence[str]], users: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """How many nodes the longest chain behind each node has."""
    ways: dict[str, int] = {}
    for name in reversed(order(needs)):
        ways[name] = 1 + max((ways[user] for user in users[name]), default=0)
    return ways


def _behind(name: str, users: Mapping[str, Sequence[str]]) -> list[str]:
    found: dict[str, None] = {}
    todo = list(users[name])
    while todo:
        other = todo.pop()
        if other not in found:
            found[other] = None
            todo.extend(users[other])
    return list(found)
