"""Lowering: from a blueprint's components to desired resources. Pure: it reads and changes nothing outside.

Components are lowered in the order of their dependencies, so that each recipe is given the outputs of what it refers to.
Raw resources are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.blueprint.expressions import evaluate
from mlinfra.blueprint.loader import Blueprint, Component
from mlinfra.engine.catalog import Catalog
from mlinfra.engine.placing import placed
from mlinfra.engine.plan import Note
from mlinfra.engine.values import MISSING, at_path, is_unknown
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from mlinfra.sdk.lowering import Handle
from mlinfra.sdk.provider import Place, load
from mlinfra.sdk.refs import UNKNOWN, Reference, expression, has_token, ref, references, resolve
from mlinfra.sdk.workload import Job, JobHandle, Route, RouteHandle, Service, ServiceHandle, Volume, VolumeHandle

RAW = "resource."
ENVIRONMENT = "environment"
"""Stands in the place of a component's address for what belongs to no component."""


@dataclass(frozen=True, slots=True)
class Desired:
    """A resource as the blueprint wants it. ``fields`` may hold tokens; ``needs`` are the addresses it comes after."""

    address: str
    type: str
    fields: Mapping[str, Any]
    needs: tuple[str, ...]
    component: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """A proof of function that a recipe offered: ``function`` is called with ``arguments`` once their tokens are resolved."""

    component: str
    name: str
    function: str
    arguments: Mapping[str, Any]


@dataclass(slots=True)
class Desire:
    """All that a blueprint wants in one environment."""

    resources: dict[str, Desired] = field(default_factory=dict)
    producers: dict[str, list[str]] = field(default_factory=dict)
    """External resource → the jobs that bring it into being."""
    outputs: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    headlines: list[tuple[str, str, Any]] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def lower(blueprint: Blueprint, catalog: Catalog, place: Place) -> Desire:
    """The desired resources of a blueprint.

    Errors: DiagnosticError with everything that recipes refuse, each with the component's position.
    """
    desire = Desire()
    problems: list[Diagnostic] = []
    environment = blueprint.environment
    provider = catalog.provider(environment.provider)
    runtime = load(provider.runtime)(place) if provider.runtime else None
    shared: dict[str, dict[str, Any]] = {}
    common: dict[str, None] = {}
    for address in blueprint.order:
        component = blueprint.components.get(address)
        if component is None:
            continue
        try:
            recipe = catalog.recipe(component.kind, environment.provider)
            model = _typed(component, desire, blueprint)
            lowering = _Collector(place, address, environment.provider, runtime, desire, shared, common)
            desire.outputs[address] = dict(recipe(model, lowering))
        except DiagnosticError as error:
            problems += [_placed(d, address, blueprint) for d in error.diagnostics]
    # Of components that are wrong not all was shared.
    for name in () if problems else common:
        lowering = _Collector(place, ENVIRONMENT, environment.provider, runtime, desire, shared, common)
        for address, outputs in load(name)(lowering).items():
            desire.outputs[address] = {**desire.outputs[address], **outputs}
    for address, raw in blueprint.resources.items():
        fields = raw.fields
        try:
            if has_token(fields):
                fields = _with_outputs(fields, desire)
        except DiagnosticError as error:
            problems += [_placed(d, address, blueprint) for d in error.diagnostics]
            continue
        desire.resources[address] = Desired(address, raw.type, fields, _needs(fields, ()), address, "")
    if problems:
        raise DiagnosticError(problems)
    return desire


def _placed(diagnostic: Diagnostic, address: str, blueprint: Blueprint) -> Diagnostic:
    return placed(diagnostic if diagnostic.address else replace(diagnostic, address=address), blueprint)


def _typed(component: Component, desire: Desire, blueprint: Blueprint) -> Any:
    """The component's model with references to other components replaced by their outputs."""
    if not has_token(component.fields):
        return component.model
    fields = _with_outputs(component.fields, desire)
    return blueprint.validated(component, fields)


def _with_outputs(fields: Any, desire: Desire) -> Any:
    def lookup(reference: Reference) -> Any:
        if reference.address.startswith(RAW) or "/" in reference.address:
            return ref(reference.address, reference.path)
        outputs = desire.outputs.get(reference.address)
        if outputs is None:
            return UNKNOWN
        value = at_path(outputs, reference.path)
        if value is MISSING:
            raise DiagnosticError(
                [
                    Diagnostic(
                        "output-unknown",
                        "Unknown output",
                        f'"{reference.address}" has no output "{reference.path}".'
                        f"{did_you_mean(reference.path, [str(key) for key in outputs])}",
                        f"It offers: {', '.join(sorted(map(str, outputs)))}.",
                    )
                ]
            )
        return value

    def later(source: str, bindings: Mapping[str, Any]) -> Any:
        return expression(source, bindings) if has_token(bindings) else evaluate(source, bindings)

    found = resolve(fields, lookup, later)
    return {key: value for key, value in found.items() if not is_unknown(value)}


def _needs(fields: Any, after: Sequence[str]) -> tuple[str, ...]:
    found = dict.fromkeys(reference.address for reference in references(fields))
    found.update(dict.fromkeys(after))
    return tuple(found)


class _Collector:
    """The `Lowering` that a recipe of one component sees."""

    def __init__(
        self,
        place: Place,
        component: str,
        provider: str,
        runtime: Any,
        desire: Desire,
        shared: dict[str, dict[str, Any]],
        common: dict[str, None],
    ) -> None:
        self.place = place
        self.component = component
        self.capabilities: frozenset[str] = getattr(runtime, "capabilities", frozenset())
        self._provider = provider
        self._runtime = runtime
        self._desire = desire
        self._shared = shared
        """Handles by the name they were shared under and the component that shared them."""
        self._common = common
        """Recipes of the environment, in the order they were asked for."""

    def resource(
        self, type: str, name: str, fields: Mapping[str, Any], *, after: Sequence[str] = (), label: str = ""
    ) -> Handle:
        address = f"{self.component}/{type.rpartition('.')[2]}.{name}"
        if address in self._desire.resources:
            raise ValueError(f"a recipe declared {address} twice")
        self._desire.resources[address] = Desired(
            address, type, dict(fields), _needs(fields, after), self.component, label
        )
        return Handle(address)

    def common(self, type: str, name: str, fields: Mapping[str, Any], *, label: str = "") -> Handle:
        address = f"{ENVIRONMENT}/{type.rpartition('.')[2]}.{name}"
        if address not in self._desire.resources:
            needs = _needs(fields, ())
            self._desire.resources[address] = Desired(address, type, dict(fields), needs, ENVIRONMENT, label)
        return Handle(address)

    def once(self, recipe: str) -> None:
        self._common.setdefault(recipe)

    def declared(self, address: str, path: str) -> Any:
        resource = self._desire.resources.get(address)
        found = MISSING if resource is None else at_path(resource.fields, path)
        return None if found is MISSING else found

    def volume(self, volume: Volume) -> VolumeHandle:
        handle: VolumeHandle = self._runtime.volume(volume, self)
        return handle

    def service(self, service: Service) -> ServiceHandle:
        handle: ServiceHandle = self._runtime.service(service, self)
        return handle

    def job(self, job: Job) -> JobHandle:
        handle: JobHandle = self._runtime.job(job, self)
        return handle

    def route(self, route: Route) -> RouteHandle:
        handle: RouteHandle = self._runtime.route(route, self)
        return handle

    def password(self, name: str) -> str:
        token: str = self._runtime.password(name, self)
        return token

    def produced(self, address: str, by: JobHandle) -> None:
        self._desire.producers.setdefault(address, []).append(by.address)

    def outputs(self, component: str) -> Mapping[str, Any]:
        return self._desire.outputs.get(component, {})

    def share(self, name: str, handle: Any) -> None:
        self._shared.setdefault(name, {})[self.component] = handle

    def shared(self, component: str, name: str) -> Any:
        return self._shared.get(name, {}).get(component)

    def offers(self, name: str) -> list[Any]:
        return list(self._shared.get(name, {}).values())

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self._desire.checks.append(Check(self.component, name, function, arguments))

    def headline(self, name: str, value: Any) -> None:
        self._desire.headlines.append((self.component, name, value))

    def unsupported(self, field: str, why: str = "") -> None:
        text = f"not on {self._provider}: {field}" + (f" ({why})" if why else "")
        self._desire.notes.append(Note(self.component, text, unsupported=True))
