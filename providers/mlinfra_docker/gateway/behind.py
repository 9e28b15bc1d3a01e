"""Services behind a route: containers that are replaced beside the ones that serve. Declares only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.workload import Service, ServiceHandle
from mlinfra_docker.addresses import Reached
from mlinfra_docker.naming import LOCAL, alias

if TYPE_CHECKING:
    from mlinfra_docker.runtime import DockerRuntime


def servers(
    service: Service, fields: Mapping[str, Any], after: Sequence[str], lowering: Lowering, runtime: DockerRuntime
) -> ServiceHandle:
    """A `docker.server` for each replica, with the ``fields`` that all have in common. Its URL is that of the first, and
    another one after each replacement."""
    shared = alias(lowering.component, service.name)
    ports = {f"{port.inside}/tcp": {"host_ip": LOCAL} for port in service.ports.values()}
    handles: list[Handle] = []
    hosts: list[str] = []
    for count in range(1, max(1, service.replicas) + 1):
        name = service.name if count == 1 else f"{service.name}.{count}"
        # The first has a name of its own also while it is alone: a change of names would cut its connections.
        host = alias(lowering.component, f"{service.name}.{count}")
        handle = lowering.resource(
            "docker.server",
            name,
            {
                "name": runtime.names.object(lowering.component, name),
                **fields,
                "networks": runtime.network(lowering, host, shared),
                "ports": ports,
                **runtime.kept_up(),
            },
            after=after,
            label=service.name if count == 1 else f"{service.name} {count}",
        )
        handles.append(handle)
        hosts.append(host)
    urls: dict[str, str] = {}
    for word, port in service.ports.items():
        number = handles[0].ref(f"bound.{port.inside}/tcp")
        outer, inner = f"{port.scheme}://{LOCAL}:{number}", f"{port.scheme}://{shared}:{port.inside}"
        urls[word] = runtime.addresses.announce(handles[0], outer, inner)
    reached = Reached(numbers(service), tuple(handle.address for handle in handles))
    return ServiceHandle(handles[0].address, urls, reached, instances(service, hosts))


def numbers(service: Service) -> dict[str, int]:
    """The number of each port, by its name, as other workloads reach it."""
    return {word: port.inside for word, port in service.ports.items()}


def instances(service: Service, hosts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Where workloads reach each replica: ``host:port`` by a port's name."""
    return {word: tuple(f"{host}:{number}" for host in hosts) for word, number in numbers(service).items()}
