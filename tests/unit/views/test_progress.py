"""Progress in a pipe: a line a step, a word about long ones, and a reader that may go."""

from __future__ import annotations

import io

from mlinfra.engine.events import (
    ApplyFinished,
    Event,
    LockWaiting,
    NodeDone,
    NodeFailed,
    NodeProgress,
    NodesSkipped,
    NodeStarted,
    Refreshed,
)
from mlinfra.sdk.diagnostics import Diagnostic
from mlinfra.views.progress import PlainProgress


class Clock:
    """A clock that stands until it is set."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def told(*events: Event) -> list[str]:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    for event in events:
        progress.emit(event)
    progress.close()
    return stream.getvalue().splitlines()


def test_a_line_for_each_step_that_ends() -> None:
    assert told(
        Refreshed(3, 1, 0.1),
        NodeStarted("a", "create", ""),
        NodeProgress("a", "installing"),
        NodeDone("a", "create", "", 12.3),
        NodeStarted("b", "run", ""),
        NodeDone("b", "run", "", 71.0, "accuracy 0.93"),
        NodeStarted("c", "delete", ""),
        NodeFailed("c", "delete", "", 0.2, Diagnostic("x", "X")),
        NodesSkipped(("d", "e"), "c"),
        NodesSkipped(("f",), ""),
        LockWaiting("waiting for a run of ada"),
        ApplyFinished(2, 1, 2, 84.0, False),
    ) == [
        "a: created in 12 s",
        "b: ran in 1 min 11 s: accuracy 0.93",
        "c: failed after 0.2 s",
        "skipped, since c failed: d, e",
        "waiting for a run of ada",
        "Finished: 2 done, 1 failed, 2 skipped in 1 min 24 s.",
    ]
    assert told(ApplyFinished(1, 0, 0, 1.0, True)) == ["Interrupted: 1 done in 1 s."]


def test_a_long_step_is_told_again_and_again_with_its_last_words() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.emit(NodeStarted("env", "create", ""))
    progress.emit(NodeStarted("quick", "update", ""))
    clock.now += 9
    progress.long_ones()
    assert stream.getvalue() == ""
    progress.emit(NodeDone("quick", "update", "", 9.0))
    progress.emit(NodeProgress("env", "resolving 80 packages"))
    clock.now += 2
    progress.long_ones()
    progress.long_ones()
    clock.now += 60
    progress.emit(NodeProgress("env", "unpacking"))
    progress.long_ones()
    progress.close()
    assert stream.getvalue().splitlines() == [
        "quick: changed in 9 s",
        "env: creating, 11 s: resolving 80 packages",
        "env: creating, 1 min 11 s: unpacking",
    ]


def test_a_step_that_says_nothing_is_told_as_well() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = PlainProgress(stream, clock)
    progress.emit(NodeStarted("env", "create", ""))
    clock.now += 10
    progress.long_ones()
    progress.close()
    assert stream.getvalue() == "env: creating, 10 s\n"


def test_a_reader_that_has_gone_does_not_matter() -> None:
    progress = PlainProgress(Gone())
    progress.emit(NodeStarted("a", "create", ""))
    progress.emit(NodeDone("a", "create", "", 1.0))
    progress.close()


def test_closing_ends_the_thread_and_more_may_come() -> None:
    stream = io.StringIO()
    progress = PlainProgress(stream)
    for name in ("a", "b"):
        progress.emit(NodeStarted(name, "create", ""))
        progress.emit(NodeDone(name, "create", "", 1.0))
        progress.close()
    assert stream.getvalue().splitlines() == ["a: created in 1 s", "b: created in 1 s"]
