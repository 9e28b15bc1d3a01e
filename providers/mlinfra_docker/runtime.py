"""The runtime of a Docker engine: workloads become images, volumes, containers and jobs on one network an environment.

Lowering only: it declares resources and touches nothing. It knows no tool.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import fill
from mlinfra.sdk.workload import (
    File,
    Job,
    JobHandle,
    Limits,
    Mount,
    Port,
    Route,
    RouteHandle,
    Service,
    ServiceHandle,
    Software,
    Volume,
    VolumeHandle,
)
from mlinfra_docker.addresses import Addresses, Reached
from mlinfra_docker.containers.container_files import SECRETS
from mlinfra_docker.containers.health import healthcheck
from mlinfra_docker.gateway.behind import instances, numbers, servers
from mlinfra_docker.gateway.route import gateway
from mlinfra_docker.images.software import PYTHON_IMAGE, adds, interpreter, recipe, speaks_python
from mlinfra_docker.naming import EVERYWHERE, LOCAL, Names, alias
from mlinfra_docker.starter.starters import Startable, Starters, Trigger
from mlinfra_docker.volumes import Placed, volume

FILES: Final = "/mlinfra/files"
"""Where a workload's files lie in its containers."""
PASSWORD: Final = 40
"""Characters of a password that is made here."""
STOP: Final = 30
"""Seconds that a service has to answer what it was asked and to end."""


class DockerRuntime:
    """Realises workloads with the resource types of this provider. One is made for each lowering."""

    capabilities: frozenset[str] = frozenset(
        {"images", "replicas", "gpu", "passwords", "postgresql", "redis", "prometheus", "canary"}
    )

    def __init__(self, place: Place) -> None:
        self.names = Names(place)
        self.addresses = Addresses()
        self._images: dict[tuple[str, Software], str] = {}
        self._starters = Starters(self)

    def volume(self, wanted: Volume, lowering: Lowering) -> VolumeHandle:
        """A volume, and what brings its files in."""
        return volume(lowering, name=wanted.name, data=wanted.data, contents=wanted.contents)

    def service(self, service: Service, lowering: Lowering) -> ServiceHandle:
        """One container, or as many as there are replicas, which share a name on the network."""
        slots: dict[str, Any] = {"host": EVERYWHERE}
        slots |= {f"port:{word}": str(port.inside) for word, port in service.ports.items()}
        triggers = self._triggers(service)
        slots |= {f"trigger:{word}": trigger.command for word, trigger in triggers.items()}
        fields, after = self._container(service, slots, lowering)
        for trigger in triggers.values():
            fields["files"] |= {trigger.command: trigger.file}
            fields["secrets"] |= trigger.secrets
            after.append(trigger.after)
        check = healthcheck(service)
        if check is not None:
            fields["healthcheck"] = check
        if service.behind is not None:
            return servers(service, fields, [*after, *service.after], lowering, self)
        shared = alias(lowering.component, service.name)
        published = {
            word: self.number(port, service.name, word, lowering)
            for word, port in service.ports.items()
            if not port.private
        }
        ports = {
            f"{service.ports[word].inside}/tcp": self.published(service.ports[word], number)
            for word, number in published.items()
        }
        handles: list[Handle] = []
        hosts: list[str] = []
        for count in range(1, max(1, service.replicas) + 1):
            name = service.name if count == 1 else f"{service.name}.{count}"
            # Several share a name; who asks each of them needs one that leads to just this one.
            host = shared if service.replicas <= 1 else alias(lowering.component, f"{service.name}.{count}")
            handle = lowering.resource(
                "docker.container",
                name,
                {
                    "name": self.names.object(lowering.component, name),
                    **fields,
                    "networks": self.network(lowering, host, shared),
                    # The user's URL leads to the first; a route leads to all.
                    "ports": ports if count == 1 else {},
                    **self.kept_up(),
                },
                after=[*after, *service.after],
                label=service.name if count == 1 else f"{service.name} {count}",
            )
            handles.append(handle)
            hosts.append(host)
        urls: dict[str, str] = {}
        for word, port in service.ports.items():
            inner = f"{port.scheme}://{shared}:{port.inside}"
            outer = inner if port.private else f"{port.scheme}://{LOCAL}:{published[word]}"
            urls[word] = self.addresses.announce(handles[0], outer, inner)
        reached = Reached(numbers(service), tuple(handle.address for handle in handles))
        return ServiceHandle(handles[0].address, urls, reached, instances(service, hosts))

    def job(self, job: Job, lowering: Lowering) -> JobHandle:
        """What a run's container is made from. A service starts it by way of a starter, which has the same."""
        fields, after = self._container(job, {"host": EVERYWHERE}, lowering)
        handle = lowering.resource(
            "docker.job",
            job.name,
            {
                "name": self.names.object(lowering.component, job.name),
                **fields,
                "networks": self.network(lowering, alias(lowering.component, job.name)),
                "source": job.source,
                "timeout": job.timeout,
                "retries": job.retries,
            },
            after=[*after, *job.after],
        )
        startable = Startable(job, fields, (*after, *job.after), lowering)
        return JobHandle(handle.address, startable.trigger, startable)

    def route(self, route: Route, lowering: Lowering) -> RouteHandle:
        """A gateway in front of services."""
        return gateway(route, lowering, self)

    def password(self, name: str, lowering: Lowering) -> str:
        """A password that the engine keeps."""
        fields = {
            "name": self.names.object(lowering.component, name),
            "image": self.names.image(PYTHON_IMAGE),
            "generate": {"length": PASSWORD},
        }
        label = name if "password" in name else f"password of {name}"
        return lowering.resource("docker.secret", name, fields, label=label).ref("value")

    # -- parts --------------------------------------------------------------------------------------------------------

    def network(self, lowering: Lowering, *aliases: str) -> list[dict[str, Any]]:
        """The environment's network, with the names that a container has on it."""
        handle = lowering.common("docker.network", "network", {"name": self.names.network}, label="network")
        return [{"name": handle.ref("name"), "aliases": sorted(set(aliases))}]

    def number(self, port: Port, name: str, word: str, lowering: Lowering) -> Any:
        """The number under which a port is reached from outside: the one that is given, or one that is chosen and kept."""
        if port.number is not None:
            return port.number
        fields = {"name": f"{self.names.object(lowering.component, name)}-{word}"}
        return lowering.resource("docker.host_port", f"{name}-{word}", fields, label=f"port of {name}").ref("number")

    def kept_up(self) -> dict[str, Any]:
        """How a container is kept running, and ended."""
        return {"init": True, "stop_timeout": STOP, "restart_policy": "unless-stopped"}

    def published(self, port: Port, number: Any) -> dict[str, Any]:
        """Where a port is published: on the engine's machine itself only, unless it is exposed."""
        return {"host_ip": EVERYWHERE if port.exposed else LOCAL, "host_port": number}

    def within(self, value: Any, slots: Mapping[str, Any], where: str, lowering: Lowering) -> tuple[Any, list[str]]:
        """A value as a workload is to have it, with its slots filled, and what it comes after by that.

        Errors: DiagnosticError for a slot that this runtime does not have there.
        """
        found, after = self.addresses.within(value, lowering)
        try:
            return fill(found, slots), after
        except KeyError as error:
            slot = str(error.args[0]).removeprefix("~")
            remedy = f"There are: {', '.join(sorted(slots))}."
            raise fail("slot-unknown", "Unknown place", f'{where} asks for "{slot}".', remedy) from None

    def _triggers(self, service: Service) -> dict[str, Trigger]:
        """The commands of a service that start jobs. They are Python's, which other images may not have."""
        if not speaks_python(service.software):
            return {}
        python = interpreter(service.software)
        return {word: self._starters.trigger(job, python) for word, job in service.triggers.items() if job.trigger}

    def _container(
        self, workload: Service | Job, slots: Mapping[str, Any], lowering: Lowering
    ) -> tuple[dict[str, Any], list[str]]:
        """The fields that the containers of services and jobs have in common, and what they come after."""
        slots = {
            **slots,
            "python": interpreter(workload.software),
            **{f"path:{mount.name}": mount.at or mount.volume.runtime.path for mount in workload.mounts},
            **{f"path:{file.name}": f"{FILES}/{file.name}" for file in workload.files},
            **{f"secret:{name}": f"{SECRETS}/{name}" for name in workload.secrets},
        }
        # An image that is taken as it is may run as a user of its own.
        mode = "0600" if adds(workload.software) else "0644"
        given: dict[str, Any] = {
            "command": list(workload.command),
            "environment": dict(workload.env),
            "files": {f"{FILES}/{file.name}": _text(file, mode) for file in workload.files if not file.reload},
            "live_files": {f"{FILES}/{file.name}": _text(file, mode) for file in workload.files if file.reload},
        }
        if isinstance(workload, Service):
            for word, value in workload.restart_on.items():
                given["files"][f"/mlinfra/restart-on/{word}"] = {"content": value}
        else:
            given["files"] |= given.pop("live_files")
        fields, after = self.within(given, slots, workload.name, lowering)
        fields["image"] = self._image(workload.software, workload.name, lowering)
        fields["secrets"] = dict(workload.secrets)
        fields["mounts"] = _mounts(workload.mounts)
        if adds(workload.software):
            # What is built here needs none; other images may, to become another user.
            fields["cap_drop"] = ["ALL"]
        return {**fields, **_limits(workload.limits)}, [*after, *(mount.volume.address for mount in workload.mounts)]

    def _image(self, software: Software, user: str, lowering: Lowering) -> str:
        """The image of a workload: the one that is named, or one that is built on it. One serves all of a component that
        need the same software."""
        base = self.names.image(software.image)
        if not adds(software):
            return base
        key = (lowering.component, software)
        if key not in self._images:
            taken = any(component == lowering.component for component, _ in self._images)
            name = user if taken else "python"
            fields = {
                "name": f"{self.names.object(lowering.component, name)}:built".lower(),
                "files": recipe(software, base),
            }
            label = "image" if name == "python" else f"image {name}"
            self._images[key] = lowering.resource("docker.generated_image", name, fields, label=label).ref("id")
        return self._images[key]


def _text(file: File, mode: str) -> dict[str, str]:
    return {"content": file.content, "mode": mode}


def _mounts(mounts: Iterable[Mount]) -> list[dict[str, Any]]:
    """Each volume once, to be written if one of the mounts says so."""
    found: dict[str, dict[str, Any]] = {}
    for mount in mounts:
        place: Placed = mount.volume.runtime
        path = mount.at or place.path
        read_only = mount.read_only and found.get(path, {}).get("read_only", True)
        found[path] = {"source": place.volume, "target": path, "read_only": read_only}
    return list(found.values())


def _limits(limits: Limits) -> dict[str, Any]:
    told = {"cpus": limits.cpu, "memory": limits.memory, "gpus": limits.gpu or None}
    return {name: value for name, value in told.items() if value is not None}
