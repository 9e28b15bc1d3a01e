"""Starters: what lets a service start a job without the engine's socket, which is the key to the whole machine.

A starter is a container beside the job's own, with the same image, files, variables, secrets, volumes and limits, whose
program runs the job's command when it is asked by who has its token. It is there for jobs that a service may start only.
Declares only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.workload import Job, JobHandle, Volume
from mlinfra_docker.containers.container_files import SECRETS
from mlinfra_docker.containers.health import asked
from mlinfra_docker.containers.job import FOLDER
from mlinfra_docker.images.software import interpreter, speaks_python
from mlinfra_docker.naming import alias
from mlinfra_docker.volumes import Placed

if TYPE_CHECKING:
    from mlinfra_docker.runtime import DockerRuntime

PORT: Final = 8099
PROGRAM: Final = "/mlinfra/starter.py"
TRIGGERS: Final = "/mlinfra/triggers"
"""Where the commands that ask for runs lie in the containers of services."""
TOKEN: Final = "mlinfra-starter"
"""The secret's name in the starter's container."""


@dataclass(frozen=True, slots=True)
class Startable:
    """A job that may get a starter: the fields of its container, what that comes after, and the component's lowering."""

    job: Job
    fields: Mapping[str, Any]
    after: tuple[str, ...]
    lowering: Lowering

    @property
    def host(self) -> str:
        """The starter's name on the network."""
        return alias(self.lowering.component, name(self.job))

    @property
    def trigger(self) -> tuple[str, ...]:
        """The command that asks for a run, in each container that may. None where the image has no Python for a starter."""
        return (f"{TRIGGERS}/{self.host}",) if speaks_python(self.job.software) else ()


@dataclass(frozen=True, slots=True)
class Trigger:
    """What a service's container gets to start a job: a command, a secret by name, and what it comes after."""

    command: str
    file: Mapping[str, str]
    secrets: Mapping[str, str]
    after: str


def name(job: Job) -> str:
    """The starter's name in the job's component."""
    return f"{job.name}.starter"


class Starters:
    """The starters of one environment: each is declared when the first service may start its job."""

    def __init__(self, runtime: DockerRuntime) -> None:
        self._runtime = runtime
        self._declared: dict[str, tuple[str, str]] = {}
        """Job's address → the starter's address, and its token (a secret)."""

    def trigger(self, handle: JobHandle, python: str) -> Trigger:
        """What a service needs to start a job; ``python`` is an interpreter in its container."""
        startable: Startable = handle.runtime
        if handle.address not in self._declared:
            self._declared[handle.address] = self._declare(startable)
        address, token = self._declared[handle.address]
        secret = f"starter-of-{startable.host}"
        call = f"raise SystemExit(ask({startable.host!r}, {PORT}, {f'{SECRETS}/{secret}'!r}))\n"
        text = f"#!/usr/bin/env -S {python} -IS\n{_text('starter_ask.py')}\n\n{call}"
        return Trigger(startable.trigger[0], {"content": text, "mode": "0700"}, {secret: token}, address)

    def _declare(self, startable: Startable) -> tuple[str, str]:
        job, fields, lowering, runtime = startable.job, startable.fields, startable.lowering, self._runtime
        # A secret is a container too, and needs a name of its own.
        token = runtime.password(f"{job.name}.token", lowering)
        python = interpreter(job.software)
        options = ["--port", str(PORT), "--token", f"{SECRETS}/{TOKEN}", "--work", FOLDER]
        mounts, after = list(fields["mounts"]), list(startable.after)
        if job.source is not None:
            # A run of the engine gets its files with its container; here they are those of the last apply.
            volume = runtime.volume(Volume(f"{job.name}.source", contents=job.source), lowering)
            place: Placed = volume.runtime
            mounts.append({"source": place.volume, "target": place.path, "read_only": True})
            after.append(volume.address)
            options += ["--source", place.path]
        if job.timeout is not None:
            options += ["--timeout", str(job.timeout)]
        if job.retries:
            options += ["--retries", str(job.retries)]
        handle = lowering.resource(
            "docker.container",
            name(job),
            {
                **fields,
                "name": runtime.names.object(lowering.component, name(job)),
                "command": [python, PROGRAM, *options, "--", *fields["command"]],
                "files": {**fields["files"], PROGRAM: {"content": _text("starter_program.py"), "mode": "0600"}},
                "secrets": {**fields["secrets"], TOKEN: token},
                "mounts": mounts,
                "networks": runtime.network(lowering, startable.host),
                **runtime.kept_up(),
                "healthcheck": asked(python, PORT, "/health", 60.0),
            },
            after=after,
            label=f"starter of {job.name}",
        )
        return handle.address, token


@cache
def _text(module: str) -> str:
    return (resources.files("mlinfra_docker.starter") / module).read_text("utf-8")
