"""A lowering that keeps what it is given, for tests of recipes: no engine and no runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlinfra.sdk.lowering import Handle
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import ref
from mlinfra.sdk.workload import Job, JobHandle, Service, ServiceHandle, Volume, VolumeHandle


@dataclass
class Resource:
    """A declared resource."""

    fields: Mapping[str, Any]
    after: Sequence[str]
    label: str


@dataclass
class Collected:
    """What one component became, on a runtime that offers ``capabilities``. Components of one blueprint have ``linked`` in
    common: (component, name) → handle."""

    component: str
    capabilities: frozenset[str] = frozenset()
    linked: dict[tuple[str, str], Any] = field(default_factory=dict)
    place: Place = field(default_factory=lambda: Place("fraud", "laptop", Path("/b"), Path("/b/.mlinfra/laptop")))
    resources: dict[str, Resource] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    producers: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    checks: list[str] = field(default_factory=list)

    def resource(
        self, type: str, name: str, fields: Mapping[str, Any], *, after: Sequence[str] = (), label: str = ""
    ) -> Handle:
        address = f"{self.component}/{type.rpartition('.')[2]}.{name}"
        assert address not in self.resources
        self.resources[address] = Resource(fields, after, label)
        return Handle(address)

    def volume(self, volume: Volume) -> VolumeHandle:
        self.volumes[volume.name] = volume
        address = f"{self.component}/folder.{volume.name}"
        return VolumeHandle(address, ref(address, "path"), ref(address, "url"))

    def service(self, service: Service) -> ServiceHandle:
        self.services[service.name] = service
        address = f"{self.component}/process.{service.name}"
        return ServiceHandle(address, {port: ref(address, f"urls.{port}") for port in service.ports})

    def job(self, job: Job) -> JobHandle:
        self.jobs[job.name] = job
        return JobHandle(f"{self.component}/job.{job.name}", ("run",))

    def password(self, name: str) -> str:
        assert "passwords" in self.capabilities
        return ref(f"{self.component}/secret.{name}", "value")

    def produced(self, address: str, by: JobHandle) -> None:
        self.producers.append((address, by.address))

    def outputs(self, component: str) -> Mapping[str, Any]:
        return {"url": ref(f"{component}/process.server", "urls.http")}

    def share(self, name: str, handle: Any) -> None:
        self.linked[self.component, name] = handle

    def shared(self, component: str, name: str) -> Any:
        return self.linked.get((component, name))

    def offers(self, name: str) -> list[Any]:
        return [handle for (_, offered), handle in self.linked.items() if offered == name]

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self.checks.append(function)

    def headline(self, name: str, value: Any) -> None:
        raise AssertionError("neither a registry nor a training has a headline")

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes[field] = why
