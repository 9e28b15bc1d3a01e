"""What workloads are lowered to, without an engine: names, addresses within and without, images, ports, limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.lower import Desired
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import expression, ref, references, slot
from mlinfra.sdk.workload import Job, Limits, Mount, Port, Rollout, Route, Software, Target, Volume
from mlinfra_docker.images.software import recipe
from mlinfra_docker.naming import LABEL, Names, alias
from tests.providers.docker.runtime_lab import PYTHON, Recipe, RuntimeLab, server


def lowered(tmp_path: Path, made: Recipe, environment: Mapping[str, Any] | None = None) -> Mapping[str, Desired]:
    """The resources of a component that a recipe declares."""
    # Nothing here asks an engine, so the laboratory needs none.
    lab = RuntimeLab(tmp_path, "shop", api=None, recipe=made)  # type: ignore[arg-type] - see above
    lab.environment = {"provider": "docker", **(environment or {})}
    lab.write({}, storage={"x": {}})
    with lab.open() as workspace:
        return workspace.desire.resources


def test_a_workload_gets_the_inner_url_by_whatever_way_it_came(tmp_path: Path) -> None:
    def made(lowering: Lowering) -> Mapping[str, Any]:
        store = lowering.service(server("store")).urls["http"]
        behind = lowering.resource("docker.volume", "tool", {"name": "tool", "labels": {"url": store}})
        lowering.service(
            server(
                "user",
                env={
                    "DIRECT": store,
                    "LONGER": f"{store}/v1",
                    "FIELD": behind.ref("labels.url"),
                    "COMPUTED": expression("url ~ '/v2'", {"url": store}),
                    "OTHER": behind.ref("id"),
                },
            )
        )
        return {"url": store}

    resources = lowered(tmp_path, made)
    user = resources["storage.x/container.user"]
    found = user.fields["environment"]
    inner = "http://storage-x-store:8000"
    assert (found["DIRECT"], found["LONGER"], found["FIELD"]) == (inner, f"{inner}/v1", inner)
    assert found["COMPUTED"] == expression("url ~ '/v2'", {"url": inner})
    assert found["OTHER"] == ref("storage.x/volume.tool", "id")
    assert {"storage.x/container.store", "storage.x/volume.tool"} <= set(user.needs)


def test_who_uses_an_outer_url_comes_after_what_answers_there(tmp_path: Path) -> None:
    urls: list[str] = []

    def made(lowering: Lowering) -> Mapping[str, Any]:
        urls.append(lowering.service(server("a")).urls["http"])
        urls.append(lowering.service(server("b", ports={"http": Port(8000, number=5055)})).urls["http"])
        return {}

    resources = lowered(tmp_path, made)
    assert {r.address for r in references(urls[0])} == {"storage.x/host_port.a-http", "storage.x/container.a"}
    assert {r.address for r in references(urls[1])} == {"storage.x/container.b"}
    assert resources["storage.x/container.b"].fields["ports"] == {
        "8000/tcp": {"host_ip": "127.0.0.1", "host_port": 5055}
    }


def test_a_private_port_is_published_nowhere_and_an_exposed_one_everywhere(tmp_path: Path) -> None:
    ports = {"http": Port(8000, number=80, exposed=True), "sql": Port(5432, private=True, scheme="postgresql")}
    urls: dict[str, str] = {}

    def made(lowering: Lowering) -> Mapping[str, Any]:
        handle = lowering.service(server("a", ports=ports))
        urls.update(handle.urls)
        lowering.service(server("b", env={"DATABASE": f"{handle.urls['sql']}/x"}))
        return {}

    resources = lowered(tmp_path, made)
    assert resources["storage.x/container.a"].fields["ports"] == {"8000/tcp": {"host_ip": "0.0.0.0", "host_port": 80}}
    environment = resources["storage.x/container.b"].fields["environment"]
    assert environment["DATABASE"] == "postgresql://storage-x-a:5432/x"


def test_a_volume_lies_at_one_path_everywhere(tmp_path: Path) -> None:
    found: dict[str, Any] = {}

    def made(lowering: Lowering) -> Mapping[str, Any]:
        volume = lowering.volume(Volume("data", data=True))
        found["url"] = volume.url
        lowering.service(
            server("a", Mount("one", volume, read_only=True), Mount("two", volume), env={"P": slot("path:two")})
        )
        lowering.job(Job("j", PYTHON, ("true",), mounts=(Mount("data", volume, read_only=True),)))
        return {}

    resources = lowered(tmp_path, made)
    mount = {"source": ref("storage.x/volume.data", "id"), "target": "/mlinfra/storage/x/data"}
    assert resources["storage.x/container.a"].fields["mounts"] == [{**mount, "read_only": False}]
    assert resources["storage.x/job.j"].fields["mounts"] == [{**mount, "read_only": True}]
    assert resources["storage.x/container.a"].fields["environment"] == {"P": "/mlinfra/storage/x/data"}
    assert [r.address for r in references(found["url"])] == ["storage.x/volume.data"]


def test_what_needs_the_same_software_shares_an_image(tmp_path: Path) -> None:
    software = Software("python:3.11-slim", ("six",))

    def made(lowering: Lowering) -> Mapping[str, Any]:
        lowering.service(server("a", software=software))
        lowering.service(server("b", software=software))
        lowering.job(Job("j", Software("python:3.11-slim", lock="six==1.17.0 --hash=sha256:0"), (slot("python"),)))
        return {}

    resources = lowered(tmp_path, made, {"images": {"python:3.11-slim": "mirror.example/python:3"}})
    images = [address for address in resources if "generated_image" in address]
    assert images == ["storage.x/generated_image.python", "storage.x/generated_image.j"]
    files = resources["storage.x/generated_image.j"].fields["files"]
    assert files["Dockerfile"].startswith("FROM mirror.example/python:3\n")
    assert "--require-hashes" in files["Dockerfile"]
    assert files["requirements.txt"] == "six==1.17.0 --hash=sha256:0"
    assert "--require-hashes" not in recipe(software, "x")["Dockerfile"]
    for name in ("container.a", "container.b"):
        fields = resources[f"storage.x/{name}"].fields
        assert fields["image"] == ref("storage.x/generated_image.python", "id")
        assert fields["cap_drop"] == ["ALL"]
        assert fields["healthcheck"]["test"][1] == fields["command"][0] == "/opt/mlinfra/bin/python"


def test_an_image_that_has_all_is_taken_as_it_is(tmp_path: Path) -> None:
    def made(lowering: Lowering) -> Mapping[str, Any]:
        lowering.service(server("a", software=Software("redis:7"), command=(), probe=None, limits=Limits(gpu=1)))
        return {}

    fields = lowered(tmp_path, made)["storage.x/container.a"].fields
    assert (fields["image"], fields["command"], fields["gpus"]) == ("redis:7", [], 1)
    assert "cap_drop" not in fields
    assert "healthcheck" not in fields


def test_a_place_that_there_is_not_is_a_diagnostic(tmp_path: Path) -> None:
    def made(lowering: Lowering) -> Mapping[str, Any]:
        lowering.service(server("a", env={"P": slot("path:data")}))
        return {}

    with pytest.raises(DiagnosticError, match="path:data"):
        lowered(tmp_path, made)


def test_one_network_belongs_to_no_component(tmp_path: Path) -> None:
    def made(lowering: Lowering) -> Mapping[str, Any]:
        lowering.service(server("a"))
        lowering.service(server("b"))
        return {}

    resources = lowered(tmp_path, made)
    assert [a for a in resources if "network" in a] == ["environment/network.network"]
    assert resources["environment/network.network"].fields == {"name": "shop-test"}
    assert resources["storage.x/container.a"].fields["networks"] == [
        {"name": ref("environment/network.network", "name"), "aliases": ["storage-x-a"]}
    ]


def test_a_route_is_a_gateway_and_what_it_is_told(tmp_path: Path) -> None:
    def made(lowering: Lowering) -> Mapping[str, Any]:
        champion, shadow = (lowering.service(server(name, behind="x", replicas=2)) for name in ("a", "b"))
        targets = (Target("a", champion, "http"), Target("b", shadow, "http", shadow=True))
        url = lowering.route(Route("x", targets, Port(8080), rollout=Rollout((10, 100), 60.0, 0.1))).url
        lowering.service(server("caller", env={"URL": url}))
        return {"url": url}

    lab = RuntimeLab(tmp_path, "shop", api=None, recipe=made)  # type: ignore[arg-type] - no engine is asked
    lab.write({}, storage={"x": {}})
    with lab.open() as workspace:
        notes, resources = workspace.desire.notes, workspace.desire.resources
    assert notes == []
    route, one = resources["storage.x/route.x"].fields, resources["storage.x/server.a"].fields
    assert route["servers"]["a"] == [ref("storage.x/server.a", "id"), ref("storage.x/server.a.2", "id")]
    assert route["rollout"] == {"steps": [10, 100], "bake": 60.0, "error_rate": 0.1, "latency": None}
    assert [(target["name"], target["shadow"]) for target in route["targets"]] == [("a", False), ("b", True)]
    assert route["name"] == resources["storage.x/container.gateway"].fields["name"]
    assert one["networks"][0]["aliases"] == ["storage-x-a", "storage-x-a-1"]
    # An old and a new one run side by side, so neither can have a number that is given.
    assert one["ports"] == {"8000/tcp": {"host_ip": "127.0.0.1"}}
    caller = resources["storage.x/container.caller"]
    assert caller.fields["environment"] == {"URL": "http://storage-x-gateway:8080"}
    assert "storage.x/route.x" in caller.needs


@pytest.mark.parametrize(
    ("one", "other"),
    [(("storage.a_b", None), ("storage.a-b", None)), (("endpoint.x", "y-z"), ("endpoint.x-y", "z"))],
)
def test_two_workloads_never_share_a_name(one: tuple[str, str | None], other: tuple[str, str | None]) -> None:
    assert alias(*one) != alias(*other)


def test_names_are_names_of_hosts() -> None:
    assert alias("feature_store.fraud", "server") == "feature-store-fraud-server"
    assert len(alias("storage." + "a" * 41, "b" * 41)) <= LABEL
    place = Place("shop", "ci", Path("/b"), Path("/b/.mlinfra/ci"), {"images": {"redis:7": "mirror/redis:7"}})
    assert Names(place).object("storage.lake") == "shop-ci-storage-lake"
    assert (Names(place).image("redis:7"), Names(place).image("redis:6")) == ("mirror/redis:7", "redis:6")
