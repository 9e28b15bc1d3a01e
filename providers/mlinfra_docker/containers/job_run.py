"""One run of a job's container: started, followed, bounded in time, and how it ended. Knows nothing of resources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.resource import Operation
from mlinfra_docker.containers import container_run
from mlinfra_docker.failures import EngineError, Slow

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

LOOK: Final = 1.0
"""Seconds that one question for the end waits; a limit and an interrupt are looked at in between."""
GRACE: Final = 10
"""Seconds to end by itself at its limit."""
LOG_LINES: Final = 40
DRAIN: Final = 5.0
"""Seconds that the last lines may take to arrive."""
KILLED: Final = 128


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run ended: its exit code, and what else the engine knows of it."""

    code: int
    out_of_memory: bool = False
    timed_out: bool = False

    def sentence(self, timeout: float | None, memory: int | None) -> str:
        """Why it failed, in the words of a user."""
        if self.timed_out:
            return f"stopped at its limit of {timeout:g} s" if timeout else "stopped at its time limit"
        if self.out_of_memory:
            held = f" of {memory / 2**20:.0f} MiB" if memory else ""
            return f"out of memory: it needed more than its limit{held}"
        if self.code > KILLED:
            return f"killed by signal {self.code - KILLED}"
        return f"ended with exit code {self.code}"


def follow(client: DockerClient, container: str, op: Operation, until: float | None) -> Ending:
    """Wait for the end of a container that was started, and tell each line that it prints. At ``until`` (monotonic) it is
    stopped.

    Errors: Cancelled on an interrupt; the container runs on.
    """
    teller = threading.Thread(target=_tell, args=(client, container, op.say), daemon=True)
    teller.start()
    timed_out = False
    while True:
        if op.cancelled.is_set():
            op.wait(0)
        if until is not None and not timed_out and time.monotonic() >= until:
            op.say("it takes longer than it may; stopping it")
            timed_out = True
            client.api.stop(container, timeout=GRACE)
        left = LOOK if until is None or timed_out else max(0.05, min(LOOK, until - time.monotonic()))
        try:
            client.api.ask("POST", f"/containers/{container}/wait", timeout=left)
            break
        except Slow:
            continue
    teller.join(DRAIN)
    state: Mapping[str, Any] = client.api.inspect_container(container)["State"]
    return ending(state, timed_out=timed_out)


def ending(state: Mapping[str, Any], *, timed_out: bool = False) -> Ending:
    """How a container ended, from its state."""
    return Ending(int(state["ExitCode"]), bool(state.get("OOMKilled")), timed_out)


def _tell(client: DockerClient, container: str, say: Callable[[str], None]) -> None:
    try:
        for line in container_run.lines(client.api.logs(container, stream=True, follow=True)):
            if line.strip():
                say(line)
    except EngineError:
        return  # the log stays on the engine; what matters is how the run ends


def last_lines(client: DockerClient, container: str, count: int = LOG_LINES) -> str:
    """The last lines of a container's log; nothing if it has none."""
    try:
        text: bytes = client.api.logs(container, tail=count)
    except EngineError:
        return ""
    return text.decode("utf-8", "replace")
