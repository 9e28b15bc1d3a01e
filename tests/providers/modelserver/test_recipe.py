"""What an endpoint becomes: a server a variant, one route, and only the route where only weights differ."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import ref
from mlinfra.sdk.workload import Route, RouteHandle, Service, ServiceHandle, Volume, VolumeHandle
from mlinfra_tools.modelserver import recipe

REGISTRY = "registry.models"
CHAMPION = ref("registry.models/model_alias.fraud.champion", "version")


@dataclass
class Collected:
    """A lowering that keeps what it is given, on a runtime that offers ``capabilities``."""

    capabilities: frozenset[str] = frozenset()
    component: str = "endpoint.fraud"
    place: Place = field(default_factory=lambda: Place("fraud", "laptop", Path("/b"), Path("/b/.mlinfra/laptop")))
    services: dict[str, Service] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    volumes: dict[str, Volume] = field(default_factory=dict)
    offered: dict[str, Any] = field(default_factory=dict)
    headlines: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    checks: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    linked: dict[tuple[str, str], Any] = field(default_factory=dict)

    def outputs(self, component: str) -> Any:
        assert component == REGISTRY
        models = {"fraud": {"champion": CHAMPION, "challenger": "4"}}
        return {"url": ref("registry.models/process.server", "urls.http"), "models": models}

    def volume(self, volume: Volume) -> VolumeHandle:
        self.volumes[volume.name] = volume
        address = f"{self.component}/folder.{volume.name}"
        return VolumeHandle(address, ref(address, "path"), f"file://{ref(address, 'path')}")

    def service(self, service: Service) -> ServiceHandle:
        self.services[service.name] = service
        return ServiceHandle(service.name, {"http": ref(f"{self.component}/process.{service.name}", "urls.http")})

    def route(self, route: Route) -> RouteHandle:
        self.routes.append(route)
        return RouteHandle(route.name, ref(f"{self.component}/route.{route.name}", "url"))

    def share(self, name: str, handle: Any) -> None:
        self.offered[name] = handle

    def shared(self, component: str, name: str) -> Any:
        return self.linked.get((component, name))

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self.checks.append((name, function, arguments))

    def headline(self, name: str, value: Any) -> None:
        self.headlines[name] = value

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes[field] = why


def variant(
    alias: str | None = "champion", weight: int = 100, *, version: str | None = None, model: str = "fraud"
) -> Any:
    named = SimpleNamespace(component=REGISTRY, model=model, alias=alias, version=version)
    return SimpleNamespace(model=named, weight=weight, shadow=False)


def endpoint(**fields: Any) -> Any:
    plain: dict[str, Any] = {
        "variants": {"champion": variant()}, "scale": None, "rollout": None, "capture": None, "cache": None,
        "batching": None, "resources": None, "requirements": (), "sticky": None, "port": None,
        "links": lambda: [SimpleNamespace(component=REGISTRY), SimpleNamespace(component="training.fraud")],
    }  # fmt: skip
    return SimpleNamespace(**{**plain, **fields})


def lowered(lowering: Collected | None = None, **fields: Any) -> Collected:
    collected = lowering or Collected()
    outputs = recipe.lower(endpoint(**fields), collected)  # type: ignore[arg-type]
    assert set(outputs) == {"url", "capture"}
    return collected


def config(service: Service) -> Any:
    (file,) = (file for file in service.files if file.name == "config.json")
    assert file.reload
    return json.loads(file.content)


def test_the_version_stands_in_the_file_that_is_read_again_and_nowhere_else() -> None:
    found = lowered()
    service = found.services["champion"]
    assert config(service)["version"] == CHAMPION
    assert config(service)["tracking_uri"] == ref("registry.models/process.server", "urls.http")
    rest = (service.command, service.env, service.restart_on, service.files[0].content)
    assert CHAMPION not in str(rest)
    assert service.probe is not None
    assert service.probe.path == "/ready"
    assert found.headlines == {"champion": CHAMPION}


def test_a_weight_touches_the_route_only() -> None:
    def split(weight: int) -> Collected:
        variants = {"champion": variant(weight=weight), "challenger": variant("challenger", 100 - weight)}
        return lowered(variants=variants)

    before, after = split(90), split(50)
    assert before.services == after.services
    assert [target.weight for target in after.routes[0].targets] == [50, 50]
    assert config(after.services["challenger"])["version"] == "4"
    # While a version is being exchanged the server is not /ready, and must still get its requests.
    assert after.routes[0].health == "/ping"


def test_what_others_are_offered() -> None:
    found = lowered()
    assert found.volumes["capture"].data
    assert not found.volumes["models"].data
    assert found.offered["capture"].address == "endpoint.fraud/folder.capture"
    assert found.offered["variants"] == ("champion",)
    ((name, function, arguments),) = found.checks
    assert (name, function) == ("prediction", "mlinfra_tools.modelserver.check:predict")
    assert set(arguments) == {"url", "variants", "versions"}


def test_the_model_s_requirements_are_installed_beside_the_server_s() -> None:
    own = lowered().services["champion"].software
    assert own.lock
    linked = Collected(linked={("training.fraud", "requirements"): ("scikit-learn==1.7.2",)})
    of_training = lowered(linked).services["champion"].software
    assert of_training.requirements == (*own.requirements, "scikit-learn==1.7.2")
    assert not of_training.lock
    of_endpoint = lowered(linked, requirements=("xgboost",)).services["champion"].software
    assert of_endpoint.requirements == (*own.requirements, "xgboost")


def test_a_model_or_alias_that_the_registry_does_not_declare_is_refused() -> None:
    for wrong, said in (
        (variant("champoin"), 'Did you mean "champion"'),
        (variant(model="frod"), 'Did you mean "fraud"'),
    ):
        with pytest.raises(DiagnosticError, match=said):
            lowered(variants={"champion": wrong})
    assert config(lowered(variants={"a": variant(None, version="7")}).services["a"])["version"] == "7"


def test_what_the_runtime_cannot_do_is_said_by_what_it_offers() -> None:
    wanted: dict[str, Any] = {
        "scale": SimpleNamespace(replicas=SimpleNamespace(low=2, high=4), target=object()),
        "rollout": object(),
        "resources": SimpleNamespace(cpu=2.0, memory=1 << 30, gpu=1),
    }
    plain = lowered(**wanted)
    assert set(plain.notes) == {"scale.replicas", "scale.target", "rollout", "resources.gpu"}
    assert plain.services["champion"].replicas == 1
    able = lowered(Collected(frozenset({"replicas", "autoscaling", "canary", "gpu"})), **wanted)
    assert not able.notes
    assert able.services["champion"].replicas == 2
    assert able.services["champion"].env["OMP_NUM_THREADS"] == "2"
