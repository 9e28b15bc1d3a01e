"""`local.route` over a real gateway: the file, what is in force, and what a plan says of a change."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.resource import FieldChange, Known
from mlinfra_local.route import LocalRoute
from tests.providers.local.bench import Bench, Subject
from tests.providers.local.test_gateway_process import Gateway, Upstream, gateway_python, upstreams

__all__ = ["gateway_python"]  # a fixture


class Hasty(threading.Event):
    """Its waits take no time."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


@pytest.fixture
def gateway(gateway_python: Path, tmp_path: Path) -> Iterator[Gateway]:
    folder = tmp_path / "gateway"
    folder.mkdir()
    gateway = Gateway(gateway_python, folder, tmp_path / "shop" / ".mlinfra" / "test" / "routes" / "r.json")
    yield gateway
    gateway.close()


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with upstreams("a") as (a,):
        yield a


def route(bench: Bench, url: str, *targets: dict[str, Any], **more: Any) -> Subject:
    return bench.subject(
        "local.route",
        path=".mlinfra/test/routes/r.json",
        url=url,
        targets=list(targets),
        health={"path": "/ping"},
        **more,
    )


def test_it_is_there_when_the_gateway_works_by_it(bench: Bench, gateway: Gateway, upstream: Upstream) -> None:
    target = {"name": "a", "url": upstream.url, "weight": 100}
    wanted = route(bench, gateway.url, target, sticky="X-User", timeout=5, hold=6, repeat=True, metrics="/metrics")
    live = wanted.apply()
    assert live["health"] == {"path": "/ping", "every": 5.0, "timeout": 2.0, "failures": 3}
    gateway.until(lambda: gateway.health() == {"a": True})
    assert gateway.ask().status_code == 200
    assert (bench.work / "routes" / "r.json").stat().st_mode & 0o777 == 0o600
    status = LocalRoute.status(bench.client, known(wanted))
    assert status is not None
    assert (status.state, status.detail, status.url) == ("running", "a 100", gateway.url)


def test_what_somebody_wrote_into_the_file_is_seen_and_mended(
    bench: Bench, gateway: Gateway, upstream: Upstream
) -> None:
    wanted = route(bench, gateway.url, {"name": "a", "url": upstream.url, "weight": 100})
    wanted.apply()
    file = bench.work / "routes" / "r.json"
    config = json.loads(file.read_text())
    config["targets"][0]["weight"] = 0
    file.write_text(json.dumps(config))
    assert wanted.told() == "a 0 → 100"
    wanted.apply()
    for damage in (lambda: file.write_text("{"), file.unlink):
        damage()
        assert wanted.told() == "its file was deleted or is damaged → written again"
        wanted.apply()
    assert json.loads(file.read_text())["targets"][0]["weight"] == 100


def test_what_a_plan_says() -> None:
    def target(weight: int, **more: Any) -> dict[str, Any]:
        return {"url": "http://x", "weight": weight, **more}

    old = [{"name": "a", **target(100)}, {"name": "b", **target(0)}, {"name": "c", **target(1)}]
    new = [{"name": "a", **target(50)}, {"name": "b", **target(0, shadow=True)}, {"name": "d", **target(7)}]
    said = LocalRoute.explain([FieldChange("targets", old, new)])
    assert said == "c 1 → gone, a 100 → 50, b 0 → shadow, d joins with 7"
    changes = [FieldChange("health.every", 5.0, 0.5), FieldChange("sticky", None, "X-User")]
    assert LocalRoute.explain(changes) == "health.every 5 → 0.5, sticky none → X-User"
    assert LocalRoute.explain([FieldChange("url", "a", "b")]) is None


def test_a_file_of_somebody_else_is_not_taken(bench: Bench, gateway: Gateway, upstream: Upstream) -> None:
    wanted = route(bench, gateway.url, {"name": "a", "url": upstream.url})
    file = bench.work / "routes" / "r.json"
    file.parent.mkdir(parents=True)
    file.write_text('{"targets": []}')
    with pytest.raises(NotOurs):
        wanted.apply()
    assert file.read_text() == '{"targets": []}'
    wanted.apply(adopt=True)


def test_a_gateway_that_is_not_there_is_told(bench: Bench, gateway: Gateway, upstream: Upstream) -> None:
    gateway.close()
    wanted = route(bench, gateway.url, {"name": "a", "url": upstream.url})
    bench.cancelled = Hasty()
    with pytest.raises(ProviderError, match="does not answer"):
        wanted.apply()
    status = LocalRoute.status(bench.client, known(wanted))
    assert status is not None
    assert status.state == "failed"


def test_it_leaves_nothing(bench: Bench, gateway: Gateway, upstream: Upstream) -> None:
    wanted = route(bench, gateway.url, {"name": "a", "url": upstream.url})
    wanted.apply()
    wanted.delete(wanted.id)
    wanted.delete(str(bench.work / "routes" / "r.json"))
    assert not (bench.work / "routes").exists()


def known(subject: Subject) -> Known:
    live = subject.read()
    assert live is not None
    return Known(subject.address, subject.id, live)
