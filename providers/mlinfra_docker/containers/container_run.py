"""What is done to a container once it exists: connected, given its files, started, waited for, stopped, removed.

Each function looks at what is there first, so that it may be called again after a run that was cut off.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Operation, Status
from mlinfra_docker.containers import container_body as body
from mlinfra_docker.containers.container_files import account, archive, folders
from mlinfra_docker.containers.container_live import from_inspect
from mlinfra_docker.containers.container_parts import Endpoint
from mlinfra_docker.failures import EngineError, Slow, told

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient
    from mlinfra_docker.containers.container import DockerContainer

POLL: Final = 0.1
"""Seconds between looks."""
TRIES: Final = 300
SETTLE: Final = 0.25
"""Seconds that a program without a health check must run to count as started."""
LOG_LINES: Final = 20


def complete(client: DockerClient, container: str, spec: DockerContainer) -> Mapping[str, Any]:
    """Give a container what it lacks before its first start: other networks, its files. Gives what an inspect call tells."""
    with told(client.host, f"the container {spec.name} cannot be completed"):
        found: Mapping[str, Any] = client.api.inspect_container(container)
        if found["State"]["Status"] == "created":
            if len(spec.networks) > 1:
                connect(client, container, spec.networks, found=found)
            if spec.placed():
                put(client, container, spec, found=found)
    return found


def start(client: DockerClient, container: str, spec: DockerContainer) -> None:
    """Have it run: completed if it never did, resumed if it is paused."""
    if spec.placed() or len(spec.networks) > 1:
        complete(client, container, spec)
    with told(client.host, f"the container {spec.name} cannot be started"):
        try:
            client.api.start(container)  # says nothing of one that runs
        except EngineError as error:
            if "paused container" not in error.said:
                raise
            client.api.unpause(container)


def connect(
    client: DockerClient,
    container: str,
    wanted: Sequence[Endpoint],
    *,
    exactly: bool = False,
    found: Mapping[str, Any] | None = None,
) -> None:
    """Connect a container to networks; ``exactly``: to no others, and anew where aliases or addresses differ."""
    found = found or client.api.inspect_container(container)
    there = {
        item["name"]: item for item in from_inspect(found, {"networks": [e.model_dump() for e in wanted]})["networks"]
    }
    asked = {endpoint.name: endpoint for endpoint in wanted}
    if exactly:
        for name, item in there.items():
            if name not in asked or asked[name].model_dump() != item:
                client.api.disconnect_container_from_network(container, name, force=True)
        there = {name: item for name, item in there.items() if name in asked and asked[name].model_dump() == item}
    for name, endpoint in asked.items():
        if name not in there:
            given = {"Container": container, "EndpointConfig": body.endpoint(endpoint)}
            try:
                client.api.ask("POST", f"/networks/{name}/connect", body=given)
            except EngineError as error:
                if "already exists in network" not in error.said:
                    raise


def put(client: DockerClient, container: str, spec: DockerContainer, *, found: Mapping[str, Any] | None = None) -> None:
    """Put all of its files in."""
    files = spec.placed()
    user = (0, 0)
    if any(file.private for file in files):
        found = found or client.api.inspect_container(container)
        user = _user(client, container, found["Config"].get("User") or "", spec.name)
    below = folders(files) if spec.read_only else ["/"]
    for folder in below:
        data = archive(files, folder, user=user)
        client.api.put_archive(container, folder, data)


def _user(client: DockerClient, container: str, user: str, name: str) -> tuple[int, int]:
    """The numbers of the user that a container runs as."""
    if not user or user.split(":")[0] in ("0", "root"):
        return 0, 0
    plain = account(user, "")
    if plain is not None and user.split(":")[0].isdigit() and ":" in user:
        return plain
    try:
        chunks, _ = client.api.get_archive(container, "/etc/passwd")
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.extractfile("passwd")
            passwd = member.read().decode("utf-8", "replace") if member else ""
    except EngineError as error:
        if not error.gone:
            raise
        passwd = ""
    numbers = account(user, passwd)
    if numbers is None:
        raise ProviderError(
            f"the secrets of the container {name} shall belong to its user {user}, which its image does not know",
            remedy="Give user as a number.",
        )
    return numbers


def wait_until_well(client: DockerClient, container: str, name: str, op: Operation) -> None:
    """Wait until a started container is healthy; one without a health check must run on for a moment.

    Errors: ProviderError with its last log lines if it ends or gets unhealthy.
    """
    step = POLL
    while True:
        found = client.api.inspect_container(container)
        state = found["State"]
        health = (state.get("Health") or {}).get("Status", "none")
        if state["Status"] != "running":
            raise _ended(client, container, name, state)
        if health == "unhealthy":
            checks = state["Health"].get("Log") or [{}]
            output = str(checks[-1].get("Output", "")).strip()
            raise ProviderError(
                f"the container {name} runs, but its health check fails" + (f": {output}" if output else ""),
                remedy="Mend what its log says, then apply again; or correct the healthcheck.",
                log=_log(client, container),
            )
        if health in ("healthy", "none"):
            break
        op.wait(step)
        step = min(step * 1.3, 1.0)
    if health == "none":
        _settle(client, container, name, found)


def _settle(client: DockerClient, container: str, name: str, first: Mapping[str, Any]) -> None:
    """Let the engine tell if it ends at once, as a program with wrong arguments does. ``first`` is what it said before."""
    try:
        client.api.ask("POST", f"/containers/{container}/wait", timeout=SETTLE, condition="not-running")
    except Slow:
        if first["HostConfig"]["RestartPolicy"]["Name"] in ("", "no"):
            return  # it still runs
        # One that waits to be started again counts as running for the engine's wait.
        found = client.api.inspect_container(container)
        if found["State"]["Status"] == "running" and found["RestartCount"] == first["RestartCount"]:
            return
    else:
        found = client.api.inspect_container(container)
    if found["State"]["Status"] not in ("running", "restarting"):
        raise _ended(client, container, name, found["State"])
    raise ProviderError(
        f"the container {name} ended right after its start, and the engine starts it again and again",
        remedy="Mend what its log says, then apply again.",
        log=_log(client, container),
    )


def _ended(client: DockerClient, container: str, name: str, state: Mapping[str, Any]) -> ProviderError:
    why = state.get("Error") or f"exit code {state.get('ExitCode', '?')}"
    if state.get("OOMKilled"):
        why = "it needed more memory than it may have"
    return ProviderError(
        f"the container {name} ended right after its start ({why})",
        remedy="Mend what its log says, then apply again. If it shall end by itself, it is a job: set running: false.",
        log=_log(client, container),
    )


def _log(client: DockerClient, container: str) -> str:
    try:
        text: bytes = client.api.logs(container, tail=LOG_LINES)
    except EngineError:
        return ""
    return text.decode("utf-8", "replace")


def remove(client: DockerClient, container: str, op: Operation) -> None:
    """Stop it as its image wants to be stopped, then remove it and its nameless volumes. One that is gone is fine."""
    with told(client.host, f"the container {container[:12]} cannot be removed"):
        try:
            client.api.stop(container)
            client.api.remove_container(container, v=True, force=True)
        except EngineError as error:
            if error.gone:
                return
            if error.status != 409 or "already in progress" not in error.said:
                raise
            _gone(client, container, op)


def _gone(client: DockerClient, container: str, op: Operation) -> None:
    """Wait for a removal that a run that was cut off began."""
    for _ in range(TRIES):
        try:
            client.api.inspect_container(container)
        except EngineError as error:
            if error.gone:
                return
            raise
        op.wait(POLL)
    raise ProviderError(
        "the engine is removing it and does not get done", remedy="Look at the engine's log, then apply again."
    )


def status(found: Mapping[str, Any]) -> Status:
    """How a container does, from an inspect call."""
    state = found["State"]
    url = next(iter(from_inspect(found, {})["urls"].values()), "")
    health = (state.get("Health") or {}).get("Status", "")
    if state["Status"] == "running":
        if health == "unhealthy":
            return Status("failed", "runs, but its health check fails", url)
        return Status("running", f"health check: {health}" if health else "", url)
    if state["Status"] == "restarting":
        return Status("failed", f"ends and is started again (exit code {state['ExitCode']})", url)
    if state["Status"] == "exited" and state["ExitCode"]:
        return Status("failed", f"ended with exit code {state['ExitCode']}")
    return Status("stopped", state["Status"])


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a stream that comes in pieces."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode("utf-8", "replace").rstrip("\r") for line in whole)
    if rest:
        yield rest.decode("utf-8", "replace")
