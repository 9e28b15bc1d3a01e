"""Waiting for what AWS does in its own time: looks at intervals, says how it goes, tells a failure with AWS's reason."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Operation
from mlinfra_aws.client import AwsClient

Look = Callable[[], tuple[str, str]]
"""Tells a status and, if it is a failure, AWS's reason."""

MEND: Final = "Mend the cause, then run `mlinfra apply` again: it goes on from here."


def until(
    client: AwsClient,
    op: Operation,
    what: str,
    look: Look,
    *,
    ready: Collection[str],
    working: Collection[str],
    timeout: float,
    every: float = 5.0,
    remedy: str = MEND,
) -> None:
    """Look until the status is one of ``ready``. Any that is neither ready nor working is a failure, of which
    ``remedy`` says what to do.

    Errors: ProviderError with the reason, or after ``timeout`` seconds; Cancelled.
    """
    started = client.clock.now()
    told = ""
    while True:
        status, reason = look()
        if status in ready:
            return
        if status not in working:
            raise ProviderError(f"{what} is {status}: {reason or 'AWS tells no reason'}", remedy=remedy)
        waited = client.clock.now() - started
        if waited >= timeout:
            raise ProviderError(
                f"{what} is still {status} after {_span(waited)}",
                remedy="It goes on by itself. Run `mlinfra apply` again to wait further.",
            )
        line = f"{status}, {_span(waited)}"
        if line != told:
            op.say(line)
            told = line
        client.clock.wait(op, every)


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
