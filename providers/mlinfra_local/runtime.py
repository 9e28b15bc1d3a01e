"""The runtime of this machine: workloads become folders, files, Python environments, processes, jobs and gateways.

Lowering only: it declares resources and touches nothing. It knows no tool.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import fill
from mlinfra.sdk.workload import (
    File,
    Job,
    JobHandle,
    Limits,
    Mount,
    Route,
    RouteHandle,
    Service,
    ServiceHandle,
    Software,
    Volume,
    VolumeHandle,
)
from mlinfra_local.client import absolute
from mlinfra_local.gateway.bundle import gateway_lock, gateway_script

LOCAL: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"
GATEWAY: Final = Software(image="", lock=gateway_lock())


class LocalRuntime:
    """Realises workloads with the resource types of this provider. One is made for each lowering."""

    capabilities: frozenset[str] = frozenset()

    def __init__(self, place: Place) -> None:
        self.place = place
        self._work = absolute(place.work)
        self._environments: dict[tuple[str, Software], str] = {}
        self._told: set[tuple[str, str]] = set()

    def volume(self, volume: Volume, lowering: Lowering) -> VolumeHandle:
        """A folder."""
        path = self._work / "volumes" / lowering.component / volume.name
        fields = {"path": str(path), "data": volume.data, "contents": volume.contents}
        handle = lowering.resource("local.folder", volume.name, fields, label=f"volume {volume.name}")
        return VolumeHandle(handle.address, handle.ref("path"), handle.ref("url"))

    def service(self, service: Service, lowering: Lowering) -> ServiceHandle:
        """A process, with its environment and files."""
        if service.replicas > 1:
            self._unsupported(lowering, "scale.replicas", "one process a service")
        exposed = any(port.exposed for port in service.ports.values())
        host = EVERYWHERE if exposed else LOCAL
        name = f"{lowering.component}.{service.name}"
        slots: dict[str, Any] = {
            "host": host,
            **self._secret_slots(self._work / "processes" / name, service.secrets),
            **{f"trigger:{word}": self._trigger(job) for word, job in service.triggers.items()},
        }
        python, after = self._python(service.software, service.name, lowering)
        slots |= python
        fixed = {f"port:{word}": port.number for word, port in service.ports.items() if port.number is not None}
        paths, needed = self._paths(service.name, service.files, service.mounts, {**slots, **fixed}, lowering)
        slots |= paths | {f"port:{word}": f"{{port:{word}}}" for word in service.ports}
        restart_on = self._filled(dict(service.restart_on), slots, service.name)
        for file in service.files:
            if not file.reload:
                restart_on[file.name] = self._filled(file.content, {**slots, **fixed, **paths}, service.name)
        handle = lowering.resource(
            "local.process",
            service.name,
            {
                "name": name,
                "command": self._filled(list(service.command), slots, service.name),
                "env": self._filled(dict(service.env), slots, service.name),
                "secrets": dict(service.secrets),
                "ports": {word: port.number for word, port in service.ports.items()},
                "host": host,
                "probe": _probe(service),
                "restart_on": restart_on,
                "limits": self._limits(service.limits, lowering),
            },
            after=[*after, *needed, *(job.address for job in service.triggers.values()), *service.after],
        )
        urls = {word: handle.ref(f"urls.{word}") for word in service.ports}
        return ServiceHandle(handle.address, urls)

    def job(self, job: Job, lowering: Lowering) -> JobHandle:
        """A job, with its environment and files."""
        name = f"{lowering.component}.{job.name}"
        folder = self._work / "jobs" / name
        slots = {"host": LOCAL, **self._secret_slots(folder, job.secrets)}
        python, after = self._python(job.software, job.name, lowering)
        slots |= python
        paths, needed = self._paths(job.name, job.files, job.mounts, slots, lowering)
        slots |= paths
        handle = lowering.resource(
            "local.job",
            job.name,
            {
                "name": name,
                "command": self._filled(list(job.command), slots, job.name),
                "env": self._filled(dict(job.env), slots, job.name),
                "secrets": dict(job.secrets),
                "cwd": job.source,
                "timeout": job.timeout,
                "retries": job.retries,
                "limits": self._limits(job.limits, lowering),
            },
            after=[*after, *needed, *job.after],
        )
        return JobHandle(handle.address, (str(folder / "run"),))

    def route(self, route: Route, lowering: Lowering) -> RouteHandle:
        """A gateway process, and the file that says where it sends requests."""
        name = f"{route.name}-gateway"
        config = self._work / "routes" / f"{lowering.component}.{route.name}.json"
        script = File("gateway.py", gateway_script())
        slots, after = self._python(GATEWAY, name, lowering)
        paths, needed = self._paths(name, (script,), (), {}, lowering)
        host = EVERYWHERE if route.port.exposed else LOCAL
        gateway = lowering.resource(
            "local.process",
            name,
            {
                "name": f"{lowering.component}.{name}",
                "command": [
                    *(slots["python"], paths["path:gateway.py"], "--host", host, "--port", "{port:http}"),
                    *("--config", str(config)),
                ],
                "ports": {"http": route.port.number},
                "host": host,
                "probe": {"port": "http", "path": "/-/health", "timeout": 60.0},
                "restart_on": {"gateway": script.content},
            },
            after=[*after, *needed],
            label="gateway",
        )
        handle = lowering.resource(
            "local.route",
            route.name,
            {
                "path": str(config),
                "url": gateway.ref("urls.http"),
                "targets": [
                    {
                        "name": target.name,
                        "url": target.service.urls[target.port],
                        "weight": target.weight,
                        "shadow": target.shadow,
                    }
                    for target in route.targets
                ],
                "health": {
                    "path": route.health.path,
                    "every": route.health.every,
                    "timeout": route.health.timeout,
                    "failures": route.health.failures,
                },
                "sticky": route.sticky,
                "timeout": route.timeout,
                "hold": route.hold,
                "repeat": route.repeat,
                "metrics": route.metrics,
            },
            label="weights",
        )
        return RouteHandle(handle.address, handle.ref("url"))

    # -- parts --------------------------------------------------------------------------------------------------------

    def _python(self, software: Software, user: str, lowering: Lowering) -> tuple[dict[str, str], list[str]]:
        """The slot of the interpreter, and the environment's address. One environment serves all of a component that need
        the same software."""
        if not software.lock and not software.requirements:
            return {"python": sys.executable}, []
        key = (lowering.component, software)
        if key not in self._environments:
            taken = any(component == lowering.component for component, _ in self._environments)
            name = user if software is GATEWAY or taken else "python"
            fields = {"lock": software.lock} if software.lock else {"requirements": list(software.requirements)}
            handle = lowering.resource(
                "local.python_env",
                name,
                {"name": f"{lowering.component}.{name}", **fields},
                label="Python environment" if name == "python" else f"Python environment {name}",
            )
            self._environments[key] = handle.address
        address = self._environments[key]
        from mlinfra.sdk.refs import ref

        return {"python": ref(address, "python")}, [address]

    def _paths(
        self,
        user: str,
        files: Iterable[File],
        mounts: Iterable[Mount],
        slots: Mapping[str, Any],
        lowering: Lowering,
    ) -> tuple[dict[str, str], list[str]]:
        """The slots of a workload's volumes and files, and the addresses of what stands behind them."""
        folder = self._work / "files" / lowering.component / user
        paths = {f"path:{mount.name}": mount.volume.path for mount in mounts}
        after = [mount.volume.address for mount in mounts]
        declared = list(files)
        every = {**slots, **paths, **{f"path:{file.name}": str(folder / file.name) for file in declared}}
        for file in declared:
            handle = lowering.resource(
                "local.file",
                f"{user}-{file.name}",
                {
                    "path": str(folder / file.name),
                    "content": self._filled(file.content, every, f"{user}/{file.name}"),
                    "mode": "0600",
                },
                label=file.name,
            )
            paths[f"path:{file.name}"] = handle.ref("path")
            after.append(handle.address)
        return paths, after

    def _filled(self, value: Any, slots: Mapping[str, Any], where: str) -> Any:
        """A value with its slots filled.

        Errors: DiagnosticError for a slot that this runtime does not have there.
        """
        try:
            return fill(value, slots)
        except KeyError as error:
            slot = str(error.args[0]).removeprefix("~")
            remedy = f"There are: {', '.join(sorted(slots))}."
            if slot.startswith("port:"):
                remedy = "In a file a port is known only if it has a fixed number: give the port one."
            raise fail("slot-unknown", "Unknown place", f'{where} asks for "{slot}".', remedy) from None

    def _secret_slots(self, folder: Path, secrets: Iterable[str]) -> dict[str, str]:
        return {f"secret:{name}": str(folder / "secrets" / name) for name in secrets}

    def _trigger(self, job: JobHandle) -> str:
        return job.trigger[0]

    def _limits(self, limits: Limits, lowering: Lowering) -> dict[str, Any] | None:
        if limits.cpu is not None:
            self._unsupported(lowering, "resources.cpu", "processes share the machine's CPUs")
        if limits.gpu is not None:
            self._unsupported(lowering, "resources.gpu", "processes share the machine's GPUs")
        if limits.memory is None:
            return None
        if sys.platform != "linux":
            self._unsupported(lowering, "resources.memory", "this system does not bound a process's memory")
            return None
        return {"memory": limits.memory}

    def _unsupported(self, lowering: Lowering, field: str, why: str) -> None:
        """Say once a component what is not done."""
        if (lowering.component, field) not in self._told:
            self._told.add((lowering.component, field))
            lowering.unsupported(field, why)


def _probe(service: Service) -> dict[str, Any] | None:
    if service.probe is None:
        return None
    return {"port": service.probe.port, "path": service.probe.path, "timeout": service.probe.timeout}
