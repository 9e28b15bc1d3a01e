"""What goes wrong with a Docker engine, in words that say what to do. A table of what engines say; no calls are made here.

The Engine's API has few codes and tells most causes in text only, so texts are matched. Sources: the engine's daemon, its
libnetwork and registry client, and runc, as they answer since Engine 20.10.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from mlinfra.sdk.errors import ProviderError, Unreachable


class Rule(NamedTuple):
    """Words of an engine, what they mean, and what to do. Named groups of the pattern may stand in both."""

    pattern: re.Pattern[str]
    meaning: str
    remedy: str


def _rule(pattern: str, meaning: str, remedy: str) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE | re.DOTALL), meaning, remedy)


RULES: Final = (
    _rule(
        r"no space left on device",
        "the disk of the Docker engine is full",
        "Make room: `docker system df` tells what takes it, `docker system prune` removes what nothing uses.",
    ),
    _rule(
        r"(?:bind for |listen \w+ )(?P<where>[^ ]+?:\d+)(?: failed|:)?.*?(?:already allocated|already in use)",
        "the port {where} is taken by something else",
        "Stop what listens there, or give the port another host_port.",
    ),
    _rule(
        r"cannot assign requested address",
        "a port shall be published on an address that the engine's machine does not have",
        "Correct the port's host_ip.",
    ),
    _rule(
        r"unauthorized|authentication required|no basic auth credentials|pull access denied|denied:",
        "the registry does not give this image out: it needs a login, or the image is not there",
        "Log in with `docker login REGISTRY` as the user who runs mlinfra, or correct the image's name.",
    ),
    _rule(
        r"manifest (?:for \S+ )?(?:unknown|not found)|repository .*not found|name unknown|not found: does not exist",
        "the registry has no such image",
        "Correct the image's name and tag.",
    ),
    _rule(
        r"(?:get|head) \"?https?://(?P<registry>[^/\"]+)/v2/.*?(?P<why>no such host|connection refused|i/o timeout"
        r"|network is unreachable|no route to host|tls: [^\"]+|x509: [^\"]+|server gave http response[^\"]*"
        r"|timeout exceeded[^\"]*|deadline exceeded)",
        "the engine cannot reach the registry {registry} ({why})",
        "Make the registry reachable for the engine, or bring the image there: `docker load`, `docker build --tag`.",
    ),
    _rule(
        r"no such image",
        "the image is not on the engine",
        "Correct its name, or declare a docker.image that pulls or builds it.",
    ),
    _rule(
        r"could not select device driver .*gpu",
        "the engine has no driver for GPUs",
        "Install the NVIDIA container toolkit on the engine's machine, or remove gpus.",
    ),
    _rule(
        r"exec: (?P<program>\"[^\"]+\"|\S+): "
        r"(?P<why>executable file not found|stat .*?no such file or directory|permission denied)",
        "the container cannot run {program}: {why} in its image",
        "Correct command or entrypoint, or choose an image that has the program.",
    ),
    _rule(
        r"unable to find user (?P<user>[^:]+)",
        "the image has no user {user}",
        "Correct user, or give it as a number.",
    ),
    _rule(
        r"pool overlaps with other one",
        "the network's addresses overlap with those of another network of the engine",
        "Choose another subnet in ipam; `docker network ls` and `docker network inspect` show which are taken.",
    ),
    _rule(
        r"could not find an available.*address pool",
        "the engine has no addresses left for one more network",
        "Remove networks that nothing uses (`docker network prune`), or give the network a subnet in ipam.",
    ),
    _rule(
        r"network (?P<network>\S+) not found",
        "the network {network} is not on the engine",
        "Declare it as a docker.network and refer to it as ${{resource.NAME.name}}, so that it is made first.",
    ),
    _rule(
        r"container (?P<user>\w+) is using its referenced image|being used by (?:running|stopped) container (?P<other>\w+)",
        "a container still uses the image",
        "Remove that container, or let it refer to the image as ${{resource.NAME.id}}.",
    ),
    _rule(
        r"volume is in use - \[(?P<users>[^\]]+)\]",
        "the volume is used by the container {users}",
        "Replace that container along with it: refer to the volume as ${{resource.NAME.id}}, or give --replace.",
    ),
    _rule(
        r"minimum memory limit allowed is (?P<least>\S+)",
        "the engine gives a container no less than {least} of memory",
        "Raise memory.",
    ),
    _rule(
        r"user specified ip address is supported (?P<why>.*)",
        "a fixed address is supported {why}",
        "Give the network a subnet in ipam.",
    ),
    _rule(
        r"address already in use",
        "a fixed address of the container is taken by another one on that network",
        "Choose another ipv4_address.",
    ),
    _rule(
        r"dockerfile parse error|unknown instruction|failed to parse dockerfile",
        "the Dockerfile cannot be read",
        "Correct the Dockerfile.",
    ),
)


class EngineError(ProviderError):
    """The engine was asked and said no. ``said`` are its words, ``status`` is the HTTP code (0 within a stream), ``doing``
    what was tried, if that is told already."""

    def __init__(self, message: str, *, remedy: str, said: str, status: int, doing: str) -> None:
        super().__init__(message, remedy=remedy)
        self.said = said
        self.status = status
        self.doing = doing

    @property
    def gone(self) -> bool:
        """Whether what was asked for is not there."""
        return self.status == 404


class Slow(Unreachable):
    """The engine did not answer in the time that it was given."""


def explained(said: str, status: int = 0, doing: str = "") -> EngineError:
    """What an engine said, as an error with its meaning and what to do. ``doing`` says what was tried."""
    said = said.strip()
    before = f"{doing}: " if doing else ""
    for rule in RULES:
        match = rule.pattern.search(said)
        if match:
            groups = {name: value.strip() for name, value in match.groupdict().items() if value}
            meaning, remedy = rule.meaning.format(**groups), rule.remedy.format(**groups)
            return EngineError(
                f"{before}{meaning}. The engine says: {said}", remedy=remedy, said=said, status=status, doing=doing
            )
    return EngineError(f"{before}the engine says: {said}", remedy="", said=said, status=status, doing=doing)


@contextmanager
def told(host: str, doing: str) -> Iterator[None]:
    """Within it, what the engine says is told with what was tried, and a stream that breaks off is an engine that is gone."""
    try:
        yield
    except EngineError as error:
        if error.doing:
            raise
        again = explained(error.said, error.status, doing)
        again.log = error.log
        raise again from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("requests", "urllib3", "docker"):
            raise
        raise unreachable(error, host) from error


def unreachable(error: BaseException, host: str) -> ProviderError:
    """Why an engine cannot be asked."""
    if type(error).__name__ == "InvalidVersion":  # the SDK is imported where a client is made, not here
        return ProviderError(
            f"the Docker engine at {host} is too old: {error}", remedy="mlinfra needs Docker Engine 20.10 or newer."
        )
    causes = list(_causes(error))
    here = host.startswith(("unix://", "http+unix://", "npipe://", "/"))
    if any(type(cause).__name__ == "TLSParameterError" for cause in causes):
        return Unreachable(
            f"the certificates for the Docker engine at {host} cannot be used: {error}",
            remedy="Check DOCKER_CERT_PATH: it holds ca.pem, cert.pem and key.pem.",
        )
    if any(isinstance(cause, PermissionError) for cause in causes):
        return Unreachable(
            f"this user may not use the Docker engine's socket at {host}",
            remedy="Add the user to the group docker (sudo usermod -aG docker $USER) and log in again; "
            "or set up a rootless engine.",
        )
    if here and any(isinstance(cause, FileNotFoundError | ConnectionRefusedError) for cause in causes):
        return Unreachable(
            f"no Docker engine runs at {host}",
            remedy="Start it (Linux: sudo systemctl start docker; macOS and Windows: start Docker Desktop), "
            "or name another engine with DOCKER_HOST or the environment's host.",
        )
    why = next((str(cause) for cause in reversed(causes) if isinstance(cause, OSError) and str(cause)), str(error))
    return Unreachable(
        f"the Docker engine at {host} cannot be reached: {why}",
        remedy="Check that DOCKER_HOST (or the environment's host) is right, that the machine is up, and that its engine "
        "listens there.",
    )


def timed_out(error: BaseException) -> bool:
    """Whether an answer did not come in time."""
    return any(isinstance(cause, TimeoutError) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that stands behind it, outermost first. The SDK and its libraries hide causes in arguments too."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        waiting += [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
