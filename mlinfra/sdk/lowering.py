"""`Lowering`: what a recipe is given to turn one component into resources, and what it gives back.

A recipe is a function ``(component, lowering) -> outputs``: pure but for the calls it makes on ``lowering``, which
collects. ``component`` is the kind's pydantic model; references in it are already replaced by values with tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import ref
from mlinfra.sdk.workload import Job, JobHandle, Route, RouteHandle, Service, ServiceHandle, Volume, VolumeHandle

Outputs = Mapping[str, Any]
"""What a component offers to references (``${storage.lake.url}``): the names its kind declares, values with tokens."""


@dataclass(frozen=True, slots=True)
class Handle:
    """A resource that was just declared."""

    address: str

    def ref(self, path: str) -> str:
        """A reference to one of its fields."""
        return ref(self.address, path)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check saw. ``summary`` is one line for people ("fraud score 0.93"), with the reason if it failed."""

    passed: bool
    summary: str
    detail: Mapping[str, Any] = field(default_factory=dict)


class Lowering(Protocol):
    """Collects what one component becomes. Addresses are ``<component>/<type's last word>.<name>``."""

    place: Place
    component: str
    """The component's address, ``endpoint.fraud``."""
    capabilities: frozenset[str]
    """What the runtime offers beyond Python processes (``images``, ``passwords``, ``postgresql``, ``redis``,
    ``prometheus``, ``replicas``, ``canary``, ``gpu``). The name of a product says that its image can be run as a service."""

    def resource(
        self,
        type: str,
        name: str,
        fields: Mapping[str, Any],
        *,
        after: Sequence[str] = (),
        label: str = "",
    ) -> Handle:
        """Declare a resource. It comes after what its fields refer to and after ``after``. ``label`` is what a plan calls it,
        if its type and name do not tell."""

    def common(self, type: str, name: str, fields: Mapping[str, Any], *, label: str = "") -> Handle:
        """Declare a resource that belongs to the environment and to no component, such as the network of its workloads:
        ``environment/<type's last word>.<name>``. Who needs it first declares it; for others it is there."""

    def once(self, recipe: str) -> None:
        """As `common`, for what takes a recipe and is made of what all components shared (`offers`): a server that serves all
        of them. ``recipe`` names ``(Lowering) -> {component: outputs}``; it is called once, after all components, however many
        ask for it. What it declares belongs to the environment; what it gives is added to the outputs of those components, for
        people and for raw resources: other components were lowered before."""

    def declared(self, address: str, path: str) -> Any:
        """What a resource that was declared before has in a field, with its tokens; None if there is no such field."""

    def volume(self, volume: Volume) -> VolumeHandle:
        """Have the runtime realise a volume."""

    def service(self, service: Service) -> ServiceHandle:
        """Have the runtime realise a service."""

    def job(self, job: Job) -> JobHandle:
        """Have the runtime realise a job."""

    def route(self, route: Route) -> RouteHandle:
        """Have the runtime realise a route."""

    def password(self, name: str) -> str:
        """A password that is made once and kept, as a token: for what a recipe adds by itself, such as a database. Only with
        the capability ``passwords``."""

    def produced(self, address: str, by: JobHandle) -> None:
        """Say that a run of ``by`` brings the external resource at ``address`` into being."""

    def outputs(self, component: str) -> Outputs:
        """The outputs of a component that this one links to."""

    def share(self, name: str, handle: Any) -> None:
        """Offer a handle (a volume, a job) to recipes of components that link to this one."""

    def shared(self, component: str, name: str) -> Any:
        """A handle that a linked component shared, or None."""

    def offers(self, name: str) -> list[Any]:
        """All that components lowered before this one shared under a name, in that order. For what belongs to no component
        that this one can name: a name says what it is of (``requirements:registry.models/fraud``)."""

    def check(self, name: str, function: str, **arguments: Any) -> None:
        """Add a proof of function for `mlinfra check`: ``function`` names ``(**arguments) -> CheckResult``; its arguments are
        values with tokens, resolved when the check is made."""

    def headline(self, name: str, value: Any) -> None:
        """A value that says at the component's level what runs (``champion`` → a version), so that a plan can say
        ``champion v3 → v4`` first."""

    def unsupported(self, field: str, why: str = "") -> None:
        """Say that this provider cannot do a field of the component: a line in the plan, an error with ``--strict``."""
