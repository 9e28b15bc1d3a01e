"""Workloads: what runs, said without a runtime. Tools' recipes make them, runtimes realise them, neither knows the other.

Commands, environment values and file contents are strings that may hold tokens of `mlinfra.sdk.refs`: references to other
resources, and slots, which stand for what only the runtime knows:

* ``slot("host")``: the address a server must bind to;
* ``slot("port:<name>")``: the number a server must bind to for that port;
* ``slot("path:<name>")``: the path of that volume or file as the workload sees it;
* ``slot("secret:<name>")``: the path of the file that holds that secret;
* ``slot("python")``: the interpreter of the workload's software.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Software:
    """What a workload needs installed: Python packages, by ``lock`` (the text of a requirements file, pinned and hashed) or
    else by ``requirements``. A runtime with images adds them to ``image``, which has all that is needed if there are none;
    one without makes an isolated Python environment of them."""

    image: str
    requirements: tuple[str, ...] = ()
    lock: str = ""


@dataclass(frozen=True, slots=True)
class Volume:
    """A folder that outlives what uses it. ``data`` says that it holds what cannot be made again."""

    name: str
    data: bool = False
    contents: str | None = None
    """A folder on the machine of the CLI, relative to the blueprint, whose files are put into it, and put again when they
    change."""


@dataclass(frozen=True, slots=True)
class VolumeHandle:
    """A realised volume. ``url`` and ``path`` are values with tokens; ``runtime`` is the runtime's own knowledge of it."""

    address: str
    path: str
    url: str
    runtime: Any = None


@dataclass(frozen=True, slots=True)
class Mount:
    """A volume as a workload sees it: reach its path with ``slot("path:<name>")``."""

    name: str
    volume: VolumeHandle
    read_only: bool = False
    at: str | None = None
    """Where an image that is taken as it is expects it; else the runtime decides."""


@dataclass(frozen=True, slots=True)
class File:
    """A file put beside a workload before it starts; its path is ``slot("path:<name>")``. ``reload`` says that the
    workload notices a new content by itself, so that a change does not restart it."""

    name: str
    content: str
    reload: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """A port that a service listens on. ``number`` fixes the number on the outside; None lets the runtime choose and keep
    one. ``inside`` is the number used where each service has a network address of its own (containers)."""

    inside: int
    number: int | None = None
    exposed: bool = False
    """Reachable from other machines; else 127.0.0.1 only."""
    private: bool = False
    """For workloads only: a runtime where these have a network of their own publishes it nowhere else."""
    scheme: str = "http"
    """How its URL begins."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The HTTP request that tells whether a service can be used: any answer below 400."""

    port: str
    path: str
    timeout: float = 120.0
    """Seconds that a start may take."""
    command: tuple[str, ...] = ()
    """What tells it instead, of a service that does not speak HTTP and is an image: a program in it that ends well."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a workload may use: CPUs, memory in bytes, GPUs. None: no limit."""

    cpu: float | None = None
    memory: int | None = None
    gpu: int | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """Something that runs on and listens."""

    name: str
    software: Software
    command: tuple[str, ...]
    ports: Mapping[str, Port] = field(default_factory=dict)
    probe: Probe | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Secret values (tokens) by name, each given as a file."""
    files: tuple[File, ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    replicas: int = 1
    restart_on: Mapping[str, str] = field(default_factory=dict)
    """Values whose change restarts the service; the key says in a word what changed."""
    triggers: Mapping[str, JobHandle] = field(default_factory=dict)
    """Jobs that the service may start: their command is ``slot("trigger:<name>")``."""
    after: tuple[str, ...] = ()
    """Addresses of resources that must be there first, besides those that it refers to."""
    behind: str | None = None
    """The name of the route that it is a target of, if callers come by that alone: then a runtime may start its successor
    beside it before it goes. Its port's number on the outside is the runtime's to choose."""


@dataclass(frozen=True, slots=True)
class ServiceHandle:
    """A realised service. ``urls`` maps a port's name to the URL at which the user and mlinfra reach it, a value with tokens.
    A recipe gives it to workloads as well: where these reach one another by other addresses, the runtime puts that address
    into all that it realises (commands, environment, files), however the value came there: see `Lowering.declared`."""

    address: str
    urls: Mapping[str, str]
    runtime: Any = None
    instances: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where workloads reach each replica, as ``host:port`` by a port's name. Only with the capability ``prometheus``."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something that runs once, from `mlinfra run`, a plan that needs what it produces, or a trigger."""

    name: str
    software: Software
    command: tuple[str, ...]
    source: str | None = None
    """A folder on the machine of the CLI, relative to the blueprint, whose files the job runs with as working folder."""
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    files: tuple[File, ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    timeout: float | None = None
    """Seconds; None: no limit."""
    retries: int = 0
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobHandle:
    """A realised job. ``trigger`` is the command line that starts it where its runtime can (a list of strings)."""

    address: str
    trigger: tuple[str, ...] = ()
    runtime: Any = None


@dataclass(frozen=True, slots=True)
class Target:
    """One service behind a route. Weights are relative; 0 gets no request."""

    name: str
    service: ServiceHandle
    port: str
    weight: int = 100
    shadow: bool = False
    """Gets a copy of each request; its answers are thrown away."""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a route tells whether a target can answer: any answer below 400 at ``path``."""

    path: str = "/health"
    every: float = 5.0
    """Seconds between two questions."""
    timeout: float = 2.0
    """Seconds that an answer may take."""
    failures: int = 3
    """Failures in a row until a target gets no request; it gets them again with its next answer."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """How what takes the place of all of a target's servers comes to answer. Only with the capability ``canary``."""

    steps: tuple[int, ...] = (100,)
    """Its shares of the target's requests in percent, rising to 100."""
    bake: float = 300.0
    """Seconds that each step is watched."""
    error_rate: float | None = None
    """Above this share of failed requests the old ones get all requests back."""
    latency: float | None = None
    """So do they if less than 95 % of the answers come within these seconds."""


@dataclass(frozen=True, slots=True)
class Route:
    """One stable URL in front of services: weights, health checks, shadow copies. Changes of weights lose no request."""

    name: str
    targets: tuple[Target, ...]
    port: Port
    health: HealthCheck = HealthCheck()
    sticky: str | None = None
    """A request header whose value keeps a caller on one target."""
    timeout: float = 60.0
    """Seconds that a target may take to answer."""
    hold: float = 60.0
    """Seconds that a request waits while no target can take it, as during a restart."""
    repeat: bool = False
    """Whether a request may be sent again that a target left unanswered, whatever its method: asking twice changes nothing."""
    metrics: str | None = None
    """The path at which targets tell Prometheus metrics. At the route's URL it tells those of all, each with its ``target``."""
    rollout: Rollout | None = None


@dataclass(frozen=True, slots=True)
class RouteHandle:
    """A realised route. ``metrics`` is where workloads read what it counts itself, as ``host:port``, if it does."""

    address: str
    url: str
    metrics: str | None = None
