"""`docker.network`: a network between containers. An engine cannot change one: each change makes it anew, and what was
connected is connected again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field, field_validator

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, Fields, Known, Operation, Resource
from mlinfra_docker import labels as own
from mlinfra_docker.containers.container_run import POLL, TRIES
from mlinfra_docker.failures import EngineError, told

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

GOING: Final = ("marked for removal", "is not connected to", "has active endpoints")
"""What an engine says of a network while a container on it is being removed."""
NAME = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$"


class Pool(BaseModel):
    """Addresses of a network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subnet: str
    ip_range: str | None = None
    gateway: str | None = None


class DockerNetwork(Resource):
    """A network between containers, where they find one another by name.

    Example::

        resource:
          backend: { type: docker.network, name: fraud-ci-backend }
    """

    type: ClassVar[str] = "docker.network"

    name: Annotated[str, REPLACE] = Field(pattern=NAME)
    driver: Annotated[str, REPLACE] = "bridge"
    internal: Annotated[bool, REPLACE] = False
    """Whether its containers are cut off from everything outside it."""
    attachable: Annotated[bool, REPLACE] = False
    enable_ipv6: Annotated[bool, REPLACE] = False
    ipam: Annotated[list[Pool], REPLACE] = []
    """Its addresses; chosen by the engine if left out."""
    options: Annotated[dict[str, str], REPLACE] = {}
    """Options of its driver."""
    labels: Annotated[dict[str, str], REPLACE] = {}
    id: Annotated[str | None, COMPUTED] = None
    """The engine's id."""

    @field_validator("labels")
    @classmethod
    def _allowed(cls, value: dict[str, str]) -> dict[str, str]:
        return dict(own.allowed(value))

    @classmethod
    def read_many(cls, client: DockerClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found = client.api.networks(ids=[known[0].id]) if len(known) == 1 else client.api.networks()
        by_id = {network["Id"]: network for network in found}
        return {item.address: _live(by_id.get(item.id), item) for item in known}

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        found = client.api.networks(filters=own.filters(op.owner))
        return next((network["Id"] for network in found if network["Name"] == self.name), None)

    def create(self, client: DockerClient, op: Operation) -> Created:
        endpoints = client.severed.pop(self.name, {})
        try:
            with told(client.host, f"the network {self.name} cannot be made"):
                made = str(client.api.ask("POST", "/networks/create", body=self._body(op))["Id"])
        except EngineError as error:
            if error.status != 409:
                raise
            return Created(self._there(client, op))
        for container, endpoint in endpoints.items():
            _reconnect(client, made, container, endpoint)
        return Created(made)

    def _body(self, op: Operation) -> dict[str, Any]:
        body: dict[str, Any] = {
            "Name": self.name,
            "CheckDuplicate": True,  # engines before 25 make a second one of that name otherwise
            "Driver": self.driver,
            "Internal": self.internal,
            "Attachable": self.attachable,
            "EnableIPv6": self.enable_ipv6,
            "Options": self.options,
            "Labels": {**self.labels, **op.owner},
        }
        if self.ipam:
            keys = {"subnet": "Subnet", "ip_range": "IPRange", "gateway": "Gateway"}
            pools = [pool.model_dump(exclude_none=True) for pool in self.ipam]
            body["IPAM"] = {"Config": [{keys[key]: value for key, value in pool.items()} for pool in pools]}
        return body

    def _there(self, client: DockerClient, op: Operation) -> str:
        """The network of that name that exists already, if it may be taken.

        Errors: NotOurs.
        """
        found = client.api.networks(names=[self.name])
        for network in found:
            if network["Name"] == self.name:
                if not op.adopt and not own.ours(network["Labels"], op.owner):
                    raise own.not_ours(
                        f"a network named {self.name}",
                        network["Labels"],
                        op,
                        adopting="it stays as it is, without labels",
                    )
                return str(network["Id"])
        raise ProviderError(f"the network {self.name} exists and cannot be found", remedy="Apply again.")

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        for _ in range(TRIES):
            try:
                _sever(client, known.id)
                client.api.remove_network(known.id)
                return
            except EngineError as error:
                if error.gone:
                    return
                if not any(words in error.said for words in GOING):
                    raise
            op.wait(POLL)
        raise ProviderError(
            f"the network {known.fields.get('name', known.id)} is not let go by a container that is being removed",
            remedy="Look at the engine's log, then apply again.",
        )


def _live(found: Mapping[str, Any] | None, known: Known) -> Fields | None:
    if found is None:
        return None
    asked = known.fields.get("ipam") or []
    pools = []
    for number, pool in enumerate(found["IPAM"].get("Config") or []):
        # An engine fills in what was left out; that is no difference.
        wanted = asked[number] if number < len(asked) else {}
        has = {"subnet": pool.get("Subnet"), "ip_range": pool.get("IPRange"), "gateway": pool.get("Gateway")}
        pools.append({key: value or None if key == "subnet" or wanted.get(key) else None for key, value in has.items()})
    return {
        "name": found["Name"],
        "driver": found["Driver"],
        "internal": found["Internal"],
        "attachable": found["Attachable"],
        "enable_ipv6": found["EnableIPv6"],
        "ipam": pools,
        "options": found["Options"] or {},
        "labels": own.users(found["Labels"]),
        "id": found["Id"],
    }


def _sever(client: DockerClient, network: str) -> None:
    """Disconnect what is still connected: it stays connected only in a replacement, and an engine refuses that."""
    found = client.api.inspect_network(network)
    for container in found.get("Containers") or {}:
        try:
            endpoints = client.api.inspect_container(container)["NetworkSettings"]["Networks"]
            endpoint: Any = next((e for e in endpoints.values() if e["NetworkID"] == network), {})
            client.severed.setdefault(found["Name"], {})[container] = endpoint
            client.api.disconnect_container_from_network(container, network, force=True)
        except EngineError as error:
            if not error.gone:
                raise


def _reconnect(client: DockerClient, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
    body = {
        "Container": container,
        "EndpointConfig": {
            "Aliases": [alias for alias in endpoint.get("Aliases") or [] if not container.startswith(alias)],
            "IPAMConfig": endpoint.get("IPAMConfig"),
        },
    }
    try:
        with told(client.host, f"the container {container[:12]} cannot be connected again"):
            client.api.ask("POST", f"/networks/{network}/connect", body=body)
    except EngineError as error:
        # The container may have gone since, or its own update was quicker.
        if not error.gone and "already exists" not in error.said:
            raise
