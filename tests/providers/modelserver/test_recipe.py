"""What an endpoint becomes: a server a variant, one route, and only the route where only weights differ."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlinfra.kinds.endpoint import Endpoint
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.lowering import Handle
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import ref, slot
from mlinfra.sdk.workload import (
    HealthCheck,
    Limits,
    Port,
    Rollout,
    Route,
    RouteHandle,
    Service,
    ServiceHandle,
    Volume,
    VolumeHandle,
)
from mlinfra_tools.modelserver import recipe
from mlinfra_tools.modelserver.server.config import parse

REGISTRY = "registry.models"
CHAMPION = ref("registry.models/model_alias.fraud.champion", "version")


@dataclass
class Collected:
    """A lowering that keeps what it is given, on a runtime that offers ``capabilities``."""

    capabilities: frozenset[str] = frozenset()
    component: str = "endpoint.fraud"
    services: dict[str, Service] = field(default_factory=dict)
    routes: list[Route] = field(default_factory=list)
    volumes: dict[str, Volume] = field(default_factory=dict)
    offered: dict[str, Any] = field(default_factory=dict)
    headlines: dict[str, Any] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    checks: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    linked: dict[str, list[Any]] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    root: Path = Path("/b")

    @property
    def place(self) -> Place:
        return Place("fraud", "laptop", self.root, self.root / ".mlinfra" / "laptop")

    def resource(self, type: str, name: str, fields: Any, *, after: Any = (), label: str = "") -> Handle:
        self.resources[f"{type}.{name}"] = dict(fields)
        self.after[name] = after
        return Handle(f"{self.component}/{type.rpartition('.')[2]}.{name}")

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

    def offers(self, name: str) -> list[Any]:
        return self.linked.get(name, [])

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self.checks.append((name, function, arguments))

    def headline(self, name: str, value: Any) -> None:
        self.headlines[name] = value

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes[field] = why


def variant(model: str = "registry.models/fraud@champion", **fields: Any) -> dict[str, Any]:
    return {"model": model, **fields}


def lowered(lowering: Collected | None = None, **fields: Any) -> Collected:
    collected = lowering or Collected()
    told = {"variants": {"champion": variant()}, **fields}
    recipe.lower(Endpoint.model_validate(told), collected)  # type: ignore[arg-type]  # it collects what recipes here use
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
    assert (service.probe.path, service.probe.timeout) == ("/ready", 180.0)
    served = found.resources["modelserver.deployment.champion"]
    assert (served["model"], served["version"], served["start"]) == ("fraud", CHAMPION, 180.0)
    assert found.headlines == {"champion": ref("endpoint.fraud/deployment.champion", "version")}
    assert not found.notes


def test_a_weight_touches_the_route_only() -> None:
    def split(weight: int) -> Collected:
        challenger = variant("registry.models/fraud@challenger", weight=100 - weight)
        return lowered(variants={"champion": variant(weight=weight), "challenger": challenger})

    before, after = split(90), split(50)
    assert before.services == after.services
    assert [target.weight for target in after.routes[0].targets] == [50, 50]
    assert config(after.services["challenger"])["version"] == "4"


def test_the_route_is_told_all_that_is_its_to_do() -> None:
    shadow = variant("registry.models/fraud:7", shadow=True)
    found = lowered(
        variants={"champion": variant(), "next": shadow},
        health={"every": "1s", "timeout": "500ms", "failures": 5, "start": "10m"},
        timeout="5s",
        sticky="X-User",
        port=8400,
        expose=True,
    )
    (route,) = found.routes
    # While a version is being exchanged the server is not /ready, and must still get its requests.
    assert route.health == HealthCheck("/ping", 1.0, 0.5, 5)
    assert (route.timeout, route.hold, route.repeat, route.metrics) == (5.0, 5.0, True, "/metrics")
    assert route.sticky == "X-User"
    assert route.port == Port(8080, number=8400, exposed=True)
    assert [target.shadow for target in route.targets] == [False, True]
    probe = found.services["champion"].probe
    assert probe is not None
    assert probe.timeout == 600.0
    # Only the route is exposed, never the servers behind it.
    assert not any(
        port.exposed or port.number for service in found.services.values() for port in service.ports.values()
    )


def test_how_requests_are_served_stands_in_the_server_s_file() -> None:
    found = lowered(capture={"sample": 0.1, "keep": "2d"}, cache={"ttl": "30s"}, batching={"max_size": 8})
    told = config(found.services["champion"])
    assert told["capture"] == {"sample": 0.1, "keep": 172_800.0}
    assert told["cache"] == {"ttl": 30.0, "entries": 1024}
    assert told["batching"] == {"max_rows": 8, "max_wait": 0.01}
    assert parse(json.dumps(told)).cache is not None
    plain = config(lowered(capture=False).services["champion"])
    assert not {"capture", "cache", "batching"} & set(plain)


def test_the_user_s_environment_and_limits() -> None:
    found = lowered(env={"OMP_NUM_THREADS": 3, "MODE": "fast"}, resources={"cpu": 1.5, "memory": "1Gi"})
    service = found.services["champion"]
    assert service.env["MODE"] == "fast"
    assert service.env["OMP_NUM_THREADS"] == "3"
    assert service.limits == Limits(1.5, 1 << 30, None)
    assert lowered(resources={"cpu": 1.5}).services["champion"].env["OMP_NUM_THREADS"] == "2"


def test_a_token_is_a_secret_file_and_nothing_else() -> None:
    token = ref("secret.api/secret_file.secret", "value")
    found = lowered(auth={"token": token})
    service = found.services["champion"]
    assert service.secrets == {"token": token}
    assert service.command[-2:] == ("--token-file", slot("secret:token"))
    rest = (service.command, service.env, service.restart_on, service.files, found.routes)
    assert token not in str(rest)
    ((_, _, arguments),) = found.checks
    assert arguments["token"] == token
    assert not lowered().services["champion"].secrets


def test_what_others_are_offered() -> None:
    found = lowered()
    assert found.volumes["capture"].data
    assert not found.volumes["models"].data
    assert found.offered["capture"].address == "endpoint.fraud/folder.capture"
    assert found.offered["variants"] == ("champion",)
    ((name, function, arguments),) = found.checks
    assert (name, function) == ("prediction", "mlinfra_tools.modelserver.check:predict")
    assert set(arguments) == {"url", "variants", "versions", "token"}
    # Without capture there is nothing to look at, and what was captured before stays.
    without = lowered(capture=False)
    assert "capture" not in without.offered
    assert without.volumes["capture"].data


def test_outputs() -> None:
    told = Endpoint.model_validate({"variants": {"champion": variant()}})
    outputs = recipe.lower(told, Collected())  # type: ignore[arg-type]  # as above
    assert outputs == {
        "url": ref("endpoint.fraud/route.fraud", "url"),
        "capture": ref("endpoint.fraud/folder.capture", "path"),
    }
    quiet = Endpoint.model_validate({"variants": {"champion": variant()}, "capture": False})
    assert set(recipe.lower(quiet, Collected())) == {"url"}  # type: ignore[arg-type]  # as above


def test_the_model_s_requirements_are_installed_beside_the_server_s() -> None:
    own = lowered().services["champion"].software
    assert own.lock
    linked = Collected(
        linked={"requirements:registry.models/fraud": [("scikit-learn==1.7.2",), ("scikit-learn==1.7.2",)]}
    )
    of_training = lowered(linked).services["champion"].software
    assert of_training.requirements == (*own.requirements, "scikit-learn==1.7.2")
    assert not of_training.lock
    of_endpoint = lowered(linked, requirements=["xgboost"]).services["champion"].software
    assert of_endpoint.requirements == (*own.requirements, "xgboost")


def test_a_model_or_alias_that_the_registry_does_not_declare_is_refused() -> None:
    for wrong, said in (
        ("registry.models/fraud@champoin", 'Did you mean "champion"'),
        ("registry.models/frod@champion", 'Did you mean "fraud"'),
    ):
        with pytest.raises(DiagnosticError, match=said) as refused:
            lowered(variants={"champion": variant(wrong)})
        assert refused.value.diagnostics[0].path == ("variants", "champion", "model")
    assert config(lowered(variants={"a": variant("registry.models/fraud:7")}).services["a"])["version"] == "7"


def test_a_model_in_a_folder_of_the_blueprint(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "fraud"
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    listed = "--extra-index-url https://example.com\nmlflow==3.1\nmlflow_skinny\n# why\nscikit-learn==1.7.2  # pinned\n\nscipy\n"
    (folder / "requirements.txt").write_text(listed)
    variants = {"old": {"artifact": "models/fraud"}}
    found = lowered(Collected(root=tmp_path), variants=variants)
    service = found.services["old"]
    told = config(service)
    assert (told["model"], told["artifact"]) == ("fraud", slot("path:artifact"))
    assert "tracking_uri" not in told
    assert parse(json.dumps(told)).artifact
    assert found.volumes["model-old"].contents == "models/fraud"
    assert not found.volumes["model-old"].data
    assert [mount.name for mount in service.mounts] == ["capture", "models", "artifact"]
    assert service.software.requirements[-2:] == ("scikit-learn==1.7.2", "scipy")
    assert not found.notes
    # Another content is another version; what Python leaves behind is not content.
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.pyc").write_bytes(b"x")
    again = lowered(Collected(root=tmp_path), variants=variants)
    assert again.resources["modelserver.deployment.old"]["version"] == told["version"]
    (folder / "MLmodel").write_text("flavors: {python_function: {}}")
    changed = lowered(Collected(root=tmp_path), variants=variants)
    assert changed.resources["modelserver.deployment.old"]["version"] != told["version"]
    assert changed.services["old"].command == service.command


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    for said in ("there is no such folder", "no file MLmodel"):
        with pytest.raises(DiagnosticError, match=said) as refused:
            lowered(Collected(root=tmp_path), variants={"a": {"artifact": "model"}})
        assert refused.value.diagnostics[0].path == ("variants", "a", "artifact")
        (tmp_path / "model").mkdir(exist_ok=True)


def test_what_the_runtime_cannot_do_is_said_by_what_it_offers() -> None:
    wanted: dict[str, Any] = {
        "scale": {"replicas": "2..4", "target": {"cpu": 70}},
        "rollout": {"canary": [10, 100], "bake": "1m", "rollback": {"error_rate": 0.1}},
        "resources": {"cpu": 2, "memory": "1Gi", "gpu": 1},
    }
    plain = lowered(**wanted)
    assert set(plain.notes) == {
        "scale.replicas", "scale.target", "rollout.canary", "rollout.bake", "rollout.rollback", "resources.gpu",
    }  # fmt: skip
    assert plain.services["champion"].replicas == 1
    able = lowered(Collected(frozenset({"replicas", "autoscaling", "canary", "gpu"})), **wanted)
    assert not able.notes
    assert able.services["champion"].replicas == 2
    assert set(lowered(resources={"instance": "ml.m5.large"}).notes) == {"resources.instance"}
    # What is the default, or is so anyway, needs no word.
    assert not lowered(scale={"replicas": 1}, rollout={"canary": [100]}, resources={}).notes


def test_a_rollout_takes_servers_of_its_own_and_a_version_serves_when_it_is_over() -> None:
    rollout = {"canary": [10, 100], "bake": "1m", "rollback": {"error_rate": 0.1, "latency": "250ms"}}
    stepwise = lowered(Collected(frozenset({"canary"})), rollout=rollout)
    assert stepwise.routes[0].rollout == Rollout((10, 100), 60.0, 0.1, 0.25)
    assert not stepwise.notes
    for name, service in stepwise.services.items():
        assert {file.name for file in service.files if file.reload} == set()
        assert stepwise.after[name] == (name, "fraud")
    # Without one, or without a runtime that can, each server takes a new version over by itself.
    for at_once in (lowered(Collected(frozenset({"canary"}))), lowered(rollout=rollout)):
        assert at_once.routes[0].rollout is None
        for name, service in at_once.services.items():
            assert {file.name for file in service.files if file.reload} == {"config.json"}
            assert at_once.after[name] == (name,)
