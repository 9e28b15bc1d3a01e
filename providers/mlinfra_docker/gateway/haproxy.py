"""HAProxy's configuration for a route. Pure: text from data.

How requests go through it, by the names of its sections:

* ``requests`` is where callers come in. If no server can answer they go to ``waiting`` by way of ``held``;
* ``targets`` has the servers. One that refuses a connection is out at once and in again with its next answer to a health check.
  A request that finds itself without a server goes to ``waiting`` as well, which stands there as a backup;
* ``waiting`` keeps a request until a server can answer, and gives it back to ``targets``;
* ``copies`` takes the copies that shadows get; ``metrics`` is for a Prometheus on the network of the workloads.

A reload starts another worker with the new text; the old one answers what it has and ends, and tells callers that keep a
connection to make another one.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlinfra_docker.gateway.traffic import RouteHealth, Share, Traffic, server_name
from mlinfra_docker.gateway.traffic import host as host_of

MOST: Final = 256
"""HAProxy's largest weight."""
MARK: Final = "# mlinfra: "
"""Begins the line that says in JSON what the text was made of."""
FOLDER: Final = "/usr/local/etc/haproxy"
CONFIG: Final = f"{FOLDER}/haproxy.cfg"
PROGRAM: Final = f"{FOLDER}/route.lua"
CONTROL: Final = 9999
WAITING: Final = 9001
COPIES: Final = 9002
METRICS: Final = 8404
"""Ports in the gateway's container; the first three are reached from within it only."""
KEEP_ALIVE: Final = 10.0
"""Seconds that a connection is kept for a caller who asks nothing."""
HARD: Final = 5.0
"""Seconds that a worker which was replaced has beyond those that its requests may need."""
HEADER: Final = "x-mlinfra-held"
"""Since when a request waits, and with an answer: that nobody came."""
MOST_HEADER: Final = "x-mlinfra-most"
"""How many milliseconds it may wait."""
NOBODY: Final = "429"
"""How the waiting room says within HAProxy that nobody came; callers are told 503. A 503 itself would be tried again."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a route does besides sharing requests out. Times are seconds."""

    port: int
    health: RouteHealth
    sticky: str | None
    timeout: float
    hold: float
    repeat: bool
    metrics: str | None
    slow: float | None
    """Answers that take longer are counted as slow."""

    @property
    def longest(self) -> float:
        """How long a worker that was replaced may need for the last of its requests."""
        return self.timeout + self.hold + KEEP_ALIVE


def configuration(traffic: Traffic, settings: Settings, note: Any = None) -> str:
    """The text of haproxy.cfg. ``note`` is what `noted` gives back."""
    body = "\n".join(_lines(traffic, settings))
    mark = "" if note is None else f"{MARK}{json.dumps(note, sort_keys=True)}\n"
    return f"# Made by mlinfra: do not edit.\n{mark}{body}\n"


def noted(text: str) -> Any:
    """What a text was made of, or None if it does not say."""
    for line in text.splitlines()[:2]:
        if line.startswith(MARK):
            try:
                return json.loads(line.removeprefix(MARK))
            except ValueError:
                return None
    return None


def sign(body: str) -> str:
    """What a worker tells of the text that it works by."""
    return hashlib.sha256(body.encode()).hexdigest()[:16]


def in_force(text: str) -> str:
    """The sign in a text."""
    found = next((line for line in text.splitlines() if line.strip().startswith("description ")), "")
    return found.split()[-1] if found else ""


def passes_for(text: str, other: str) -> bool:
    """Whether a text does something else than another one under the same sign: it is that one, edited by somebody."""
    return in_force(text) == in_force(other) and _words(text) != _words(other)


def signed_otherwise(text: str) -> str:
    """A text that does the same under another sign."""
    return text.replace(in_force(text), f"{in_force(text)}-again", 1)


def _words(text: str) -> list[str]:
    """What HAProxy goes by."""
    return [line for line in text.splitlines() if not line.startswith("#")]


def _lines(traffic: Traffic, settings: Settings) -> list[str]:
    shares = traffic.shares()
    rest = [*_defaults(settings), *_requests(traffic, shares, settings), *_targets(traffic, shares, settings)]
    rest += _waiting(shares, settings)
    rest += _copies(traffic)
    rest += ["frontend metrics", f"    bind :{METRICS}", "    http-request use-service lua.own_metrics", ""]
    return [*_global(sign("\n".join(rest)), settings), *rest]


def _global(description: str, settings: Settings) -> list[str]:
    return [
        "global",
        "    log stdout format raw local0 info",
        f"    description {description}",
        f"    stats socket ipv4@127.0.0.1:{CONTROL} level admin expose-fd listeners",
        f"    lua-load {PROGRAM}",
        # A request whose body fits in a buffer can be sent again.
        "    tune.bufsize 65536",
        f"    hard-stop-after {_ms(settings.longest + HARD)}",
        "",
    ]


def _defaults(settings: Settings) -> list[str]:
    return [
        "defaults",
        "    mode http",
        "    log global",
        "    option httplog",
        # Only what goes wrong is written down.
        "    option dontlog-normal",
        # A worker that was replaced answers the next request of a kept connection before it closes it.
        "    option idle-close-on-response",
        "    option redispatch 1",
        "    retries 5",
        "    timeout connect 3s",
        "    timeout http-request 30s",
        f"    timeout http-keep-alive {_ms(KEEP_ALIVE)}",
        f"    timeout client {_ms(settings.longest)}",
        f"    timeout server {_ms(settings.timeout)}",
        f"    timeout queue {_ms(settings.hold)}",
        *(_refusal(*said) for said in REFUSALS),
        "",
        # The engine's own name server: a container that was started again may have another address.
        "resolvers docker",
        "    nameserver dns 127.0.0.11:53",
        "    resolve_retries 3",
        "    timeout resolve 1s",
        "    timeout retry 1s",
        "    hold valid 1s",
        "    hold obsolete 1s",
        "",
    ]


REFUSALS: Final = (
    (502, "no whole answer came from a server"),
    (503, "no server can answer now"),
    (504, "the server did not answer in time"),
)


def _refusal(status: int, message: str) -> str:
    body = json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": message, "error": message})
    quoted = body.replace('"', '\\"')
    return f'    http-error status {status} content-type application/json string "{quoted}" hdr retry-after 1'


def _requests(traffic: Traffic, shares: Sequence[Share], settings: Settings) -> Iterator[str]:
    yield "frontend requests"
    yield f"    bind :{settings.port}"
    yield f"    http-request del-header {HEADER}"
    yield "    http-request del-header x-mlinfra-times"
    yield "    http-request set-header x-request-id %[uuid] unless { req.hdr(x-request-id) -m found }"
    if settings.metrics is not None:
        places = ",".join(f"{name}={place}" for name, place in _places(traffic))
        yield f"    http-request set-var-fmt(txn.servers) {places}"
        yield f"    http-request set-var(txn.metrics) str({settings.metrics})"
        yield f"    http-request use-service lua.all_metrics if METH_GET {{ path {settings.metrics} }}"
    shadows = [target.name for target in traffic.targets if target.shadow and traffic.servers.get(target.name)]
    if shadows:
        yield "    http-request wait-for-body time 10s if !METH_GET"
        for name in shadows:
            yield f"    http-request lua.copy {name} {COPIES}"
    able = [share for share in shares if share.part > 0]
    for share in able:
        yield f"    acl able srv_is_up(targets/{share.name})"
    yield f"    http-request return status 503 default-errorfiles if {{ path {settings.health.path} }} {_unless(able)}"
    yield f'    http-response set-status 503 reason "Service Unavailable" if {{ res.hdr({HEADER}) -m found }}'
    yield f"    http-response del-header {HEADER}"
    yield f"    use_backend held if {_unless(able)}"
    yield "    default_backend targets"
    yield ""


def _unless(able: Sequence[Share]) -> str:
    return "!able" if able else "TRUE"


def _targets(traffic: Traffic, shares: Sequence[Share], settings: Settings) -> Iterator[str]:
    health = settings.health
    yield "backend targets"
    if settings.sticky is None:
        yield "    balance roundrobin"
    else:
        yield f"    balance hdr({settings.sticky})"
        yield "    hash-type consistent"
    if settings.repeat:
        # While a new version is tried its errors are counted, and the callers get the answer of another server.
        tried = " 500" if traffic.canary else ""
        yield f"    retry-on conn-failure empty-response junk-response 503{tried}"
        # Only a request that is there as a whole can be sent again.
        yield "    option http-buffer-request"
        # Each caller's connection has one of its own to the server: a dead server would use up all tries by those it left.
        yield "    http-reuse never"
    else:
        # What may not be sent twice is never sent over a connection that the server may be about to close.
        yield "    retry-on conn-failure"
        yield "    option http-server-close"
    # A request that comes to the waiting room from here has to be answered within this backend's timeout.
    yield f"    http-request set-header {MOST_HEADER} {max(1, round(settings.timeout * 900))}"
    yield "    http-request lua.begin"
    yield f"    http-response lua.answered {round((settings.slow or 0) * 1000)}"
    yield "    option httpchk"
    yield f"    http-check send meth GET uri {health.path} ver HTTP/1.1 hdr Host localhost"
    yield "    http-check expect status 200-399"
    yield f"    timeout check {_ms(health.timeout)}"
    yield (
        f"    default-server inter {_ms(health.every)} fastinter {_ms(min(health.every, 1.0))}"
        f" downinter {_ms(min(health.every, 0.25))} fall {health.failures} rise 1"
        " observe layer4 error-limit 1 on-error mark-down resolvers docker resolve-prefer ipv4 init-addr libc,none"
    )
    for share, weight in zip(shares, weights(shares), strict=True):
        yield f"    server {share.name} {share.host}:{share.port} check weight {weight}"
    yield f"    server waiting 127.0.0.1:{WAITING} no-check backup"
    yield ""


def _waiting(shares: Sequence[Share], settings: Settings) -> Iterator[str]:
    able = ",".join(share.name for share in shares if share.part > 0) or "-"
    yield "frontend waiting"
    yield f"    bind 127.0.0.1:{WAITING}"
    yield f"    http-request set-header {HEADER} %[date(0,ms)] unless {{ req.hdr({HEADER}) -m found }}"
    yield f"    http-request set-var(txn.most) req.hdr({MOST_HEADER})"
    yield f"    http-request del-header {MOST_HEADER}"
    yield f"    http-request lua.hold {round(settings.hold * 1000)} {able}"
    yield (
        f'    http-request return status {NOBODY} content-type application/json string "{_said(503)}"'
        f" hdr {HEADER} 1 hdr retry-after 1 if {{ var(txn.next) -m str nobody }}"
    )
    yield "    use_backend held if { var(txn.next) -m str again }"
    yield "    default_backend targets"
    yield ""
    yield "backend held"
    yield f"    timeout server {_ms(settings.hold + settings.timeout)}"
    yield f"    server waiting 127.0.0.1:{WAITING} no-check"
    yield ""


def _said(status: int) -> str:
    message = dict(REFUSALS)[status]
    body = json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": message, "error": message})
    return body.replace('"', '\\"')


def _copies(traffic: Traffic) -> Iterator[str]:
    shadows = [target for target in traffic.targets if target.shadow and traffic.servers.get(target.name)]
    yield "frontend copies"
    yield f"    bind 127.0.0.1:{COPIES}"
    for target in shadows:
        yield f"    use_backend shadow-{target.name} if {{ req.hdr(x-mlinfra-shadow) {target.name} }}"
    if not shadows:
        yield "    http-request return status 404"
    yield ""
    for target in shadows:
        yield f"backend shadow-{target.name}"
        yield "    http-request del-header x-mlinfra-shadow"
        yield "    default-server resolvers docker resolve-prefer ipv4 init-addr libc,none"
        for server in traffic.servers[target.name]:
            yield f"    server {server_name(target.name, server)} {host_of(server)}:{target.port}"
        yield ""


def _places(traffic: Traffic) -> Iterator[tuple[str, str]]:
    """Every server with its host and port, shadows and canaries included."""
    for target in traffic.targets:
        canary = traffic.canary.get(target.name)
        for server in (*traffic.servers.get(target.name, ()), *(canary.servers if canary else ())):
            yield server_name(target.name, server), f"{host_of(server)}:{target.port}"


def weights(shares: Sequence[Share]) -> list[int]:
    """HAProxy's whole numbers for shares: 0 for nothing, else at least 1."""
    largest = max((share.part for share in shares), default=0.0)
    return [0 if share.part <= 0 else max(1, round(share.part * MOST / largest)) for share in shares]


def _ms(seconds: float) -> str:
    return f"{max(1, math.ceil(seconds * 1000))}ms"
