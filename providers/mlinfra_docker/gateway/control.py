"""What is done to a running HAProxy: its file read and written, a reload seen through to its end, its counts asked for.

It is asked at a socket that only programs in its own container reach: by a command in there, so that an engine elsewhere can
be asked as well and nothing more is published.
"""

from __future__ import annotations

import csv
import io
import tarfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Operation
from mlinfra_docker.containers.container_files import Placed, archive
from mlinfra_docker.failures import EngineError
from mlinfra_docker.gateway.haproxy import (
    CONFIG,
    CONTROL,
    FOLDER,
    HARD,
    PROGRAM,
    in_force,
    passes_for,
    signed_otherwise,
)

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

RELOAD: Final = "SIGUSR2"
POLL: Final = 0.2
PATIENCE: Final = 60.0
"""Seconds until a new file must be in force."""
NEXT: Final = f"{FOLDER}/next.cfg"
ASK: Final = f'exec 3<>/dev/tcp/127.0.0.1/{CONTROL} && printf "%s\\n" "$1" >&3 && cat <&3'


def program() -> str:
    """The Lua program that the configuration refers to."""
    return (resources.files("mlinfra_docker.gateway") / "haproxy.lua").read_text("utf-8")


@dataclass(frozen=True, slots=True)
class Count:
    """What one server answered since the worker started. ``failed`` are answers of 500 and above and those that did not come;
    ``down``: it fails its health checks."""

    requests: int = 0
    failed: int = 0
    slow: int = 0
    down: bool = False


def read(client: DockerClient, name: str) -> str | None:
    """The text of a gateway's configuration; None if there is no such container or file."""
    try:
        chunks, _ = client.api.get_archive(name, CONFIG)
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.extractfile("haproxy.cfg")
            return member.read().decode("utf-8", "replace") if member else None
    except EngineError as error:
        if error.gone:
            return None
        raise


def put(client: DockerClient, name: str, text: str, op: Operation) -> None:
    """Have a gateway work by another text. Requests go on meanwhile; `drain` tells when the old worker is done.

    Errors: ProviderError if HAProxy refuses the text, which then is not in force and not in its place.
    """
    _write(client, name, NEXT, text)
    code, said = run(client, name, ["haproxy", "-c", "-q", "-f", NEXT])
    if code != 0:
        raise ProviderError(f"HAProxy refuses its configuration: {said.strip() or f'exit code {code}'}")
    if passes_for(read(client, name) or "", text):
        # It was edited and may be in force: then nothing tells which of the two is, unless there is one between them.
        between = signed_otherwise(text)
        _write(client, name, CONFIG, between)
        settle(client, name, between, op)
    _write(client, name, CONFIG, text)
    settle(client, name, text, op)


def replace(client: DockerClient, name: str, text: str) -> None:
    """Put another text in its place, in force or not: for a gateway that is about to go."""
    _write(client, name, CONFIG, text)
    with suppress(EngineError):  # it does not run
        client.api.kill(name, RELOAD)


def settle(client: DockerClient, name: str, text: str, op: Operation) -> None:
    """Have a gateway work by the text that is in its place.

    Errors: ProviderError if it does not.
    """
    if sign(client, name) == in_force(text):
        return
    client.api.kill(name, RELOAD)
    waited = 0.0
    while sign(client, name) != in_force(text):
        if waited >= PATIENCE:
            raise ProviderError(
                f"the gateway {name} does not take its new configuration over",
                remedy="Look at its log with `mlinfra logs`, then apply again.",
            )
        op.wait(POLL)
        waited += POLL


def drain(client: DockerClient, name: str, longest: float, op: Operation) -> None:
    """Wait until workers by older texts have answered their last request. They end by themselves after ``longest`` seconds and
    a few more."""
    waited, told = 0.0, 0.0
    while _workers(client, name) > 1 and waited < longest + 2 * HARD:
        if waited >= told + 5:
            told = waited
            op.say(f"requests that came before are being answered ({waited:.0f} s)")
        op.wait(POLL)
        waited += POLL


def _workers(client: DockerClient, name: str) -> int:
    """How many workers there are; one process more is their master."""
    rows = client.api.top(name)["Processes"] or ()
    return sum(row[-1].split(" ")[0].endswith("haproxy") for row in rows) - 1


def sign(client: DockerClient, name: str) -> str:
    """What tells which text is in force; empty if HAProxy cannot be asked just now."""
    return _description(_asked(client, name, "show info"))


def counts(client: DockerClient, name: str, text: str) -> Mapping[str, Count] | None:
    """What each server answered since ``text`` is in force, by its name there; None if it cannot be told just now."""
    answer = _asked(client, name, "show info; show stat targets 4 -1; show traffic")
    if _description(answer) != in_force(text):
        return None  # an old worker took the question
    _, _, rest = answer.partition("\n# pxname,")
    table, _, spoken = rest.partition("\n\n")
    traffic = {words[0]: words[1:] for words in map(str.split, spoken.splitlines()) if len(words) == 3}
    found: dict[str, Count] = {}
    for row in csv.DictReader(io.StringIO(f"pxname,{table}")):
        requests, slow = (int(number) for number in traffic.get(row["svname"], ("0", "0")))
        # What was sent to another server instead is counted as sent again, and nowhere else.
        unanswered = sum(int(row[column] or 0) for column in ("econ", "eresp", "wretr"))
        failed = int(row["hrsp_5xx"] or 0) + unanswered
        down = row["status"].startswith("DOWN")
        found[row["svname"]] = Count(requests + unanswered, failed, slow, down)
    return found


def run(client: DockerClient, name: str, command: list[str]) -> tuple[int, str]:
    """Run a program in a container: its exit code, and what it printed."""
    made = client.api.exec_create(name, command)["Id"]
    said: bytes = client.api.exec_start(made)
    code = client.api.exec_inspect(made)["ExitCode"]
    return int(code or 0), said.decode("utf-8", "replace")


def _asked(client: DockerClient, name: str, question: str) -> str:
    code, said = run(client, name, ["bash", "-c", ASK, "ask", question])
    return said if code == 0 else ""


def _description(answer: str) -> str:
    for line in answer.splitlines():
        key, _, value = line.partition(":")
        if key == "description":
            return value.strip()
    return ""


def _write(client: DockerClient, name: str, path: str, text: str) -> None:
    client.api.put_archive(name, "/", archive([Placed(path, text, 0o644)], "/", user=(0, 0)))


def placed(text: str) -> dict[str, dict[str, str]]:
    """The files of a gateway's container at its start, as its fields have them."""
    return {CONFIG: {"content": text}, PROGRAM: {"content": program()}}
