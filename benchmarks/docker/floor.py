"""The floor: the Docker SDK with 16 threads, making the calls that the work cannot be done without and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker import APIClient

THREADS = 16


class Counted(APIClient):
    """The SDK's client, counting."""

    calls = 0

    def request(self, *args: Any, **options: Any) -> Any:
        self.calls += 1
        return super().request(*args, **options)


class Floor:
    """The same objects as the blueprint's, under names of its own."""

    def __init__(self, name: str, image: str, containers: int, networks: int, volumes: int, changed: int) -> None:
        self.name, self.image, self.changed = name, image, changed
        self.containers, self.networks, self.volumes = containers, networks, volumes
        self.calls: dict[str, int] = {}

    def phases(self) -> dict[str, Callable[[], None]]:
        """What to measure, in order; each with a client of its own, as each command has."""
        work: dict[str, Callable[[APIClient], None]] = {
            "create": self._create,
            "plan, lists": self._lists,
            "plan, inspects": self._inspects,
            "change of five": self._change,
            "destroy": self._destroy,
        }
        return {phase: lambda phase=phase: self._run(phase, work[phase]) for phase in work}  # type: ignore[misc] - bound early

    def _run(self, phase: str, work: Callable[[APIClient], None]) -> None:
        client = Counted(version="auto", max_pool_size=THREADS)
        work(client)
        self.calls[phase] = client.calls
        client.close()

    def _create(self, client: APIClient) -> None:
        each(range(self.networks), lambda number: client.create_network(f"{self.name}-n{number}"))
        each(range(self.volumes), lambda number: client.create_volume(f"{self.name}-v{number}"))
        each(range(self.containers), lambda number: self._container(client, number, "1"))

    def _container(self, client: APIClient, number: int, version: str) -> None:
        network = f"{self.name}-n{number % self.networks}"
        mounts = [{"Type": "volume", "Source": f"{self.name}-v{number}", "Target": "/data"}]
        config = {
            "Image": self.image,
            "Cmd": ["sleep", "3600"],
            "Env": [f"VERSION={version}"],
            "HostConfig": {
                "Init": True,
                "Memory": 32 << 20,
                "NetworkMode": network,
                "Mounts": mounts if number < self.volumes else [],
            },
            "NetworkingConfig": {"EndpointsConfig": {network: {}}},
        }
        made = client.create_container_from_config(config, f"{self.name}-c{number}")
        client.start(made["Id"])

    def _lists(self, client: APIClient) -> None:
        client.containers(all=True)
        client.networks()
        client.volumes()

    def _inspects(self, client: APIClient) -> None:
        rows = client.containers(all=True)
        client.networks()
        client.volumes()
        each(rows, lambda row: client.inspect_container(row["Id"]))

    def _change(self, client: APIClient) -> None:
        self._lists(client)

        def change(number: int) -> None:
            self._remove(client, number)
            self._container(client, number, "2")

        each(range(self.changed), change)

    def _remove(self, client: APIClient, number: int) -> None:
        client.stop(f"{self.name}-c{number}")
        client.remove_container(f"{self.name}-c{number}", v=True)

    def _destroy(self, client: APIClient) -> None:
        self._lists(client)
        each(range(self.containers), lambda number: self._remove(client, number))
        each(range(self.networks), lambda number: client.remove_network(f"{self.name}-n{number}"))
        each(range(self.volumes), lambda number: client.remove_volume(f"{self.name}-v{number}"))


def each(items: Iterable[Any], work: Callable[[Any], Any]) -> None:
    """Do it for all, by 16 threads."""
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        list(pool.map(work, items))
