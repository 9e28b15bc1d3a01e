"""What monitors have in common on a runtime with images: one Prometheus and one Alertmanager, whose files say what is watched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlinfra.engine.lower import Desire
from mlinfra.engine.workspace import Selection, Workspace
from mlinfra.sdk.refs import references

HOOK = "https://hooks.example/x"
QUALITY = {"of": "endpoint.fraud", "type": "data_quality"}
ENDPOINT: dict[str, Any] = {"variants": {"a": {"artifact": "model"}, "b": {"artifact": "model"}}, "capture": {}}


def lowered(folder: Path, provider: str = "docker", **sections: Any) -> Desire:
    """A blueprint's desired resources. No engine is asked."""
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "MLmodel").write_text("flavors: {}\n")
    environments = {"ci": {"provider": provider}}
    blueprint = {"blueprint": "shop", "environments": environments, "endpoint": {"fraud": ENDPOINT}, **sections}
    (folder / "blueprint.yaml").write_text(json.dumps(blueprint))  # JSON is YAML
    with Workspace.open(Selection(folder / "blueprint.yaml", environ={})) as workspace:
        return workspace.desire


def fields(desire: Desire, address: str) -> Any:
    return desire.resources[f"environment/{address}"].fields


def file(desire: Desire, name: str) -> str:
    text: str = fields(desire, "container.prometheus")["live_files"][f"/mlinfra/files/{name}"]["content"]
    return text


def jobs(desire: Desire) -> dict[str, Any]:
    from mlinfra.blueprint.expressions import evaluate
    from mlinfra.sdk.refs import resolve

    config = yaml.safe_load(resolve(file(desire, "prometheus.yml"), lambda _: "?", evaluate))
    return {job["job_name"]: job for job in config["scrape_configs"]}


def targets(job: dict[str, Any]) -> dict[str, list[str]]:
    return {each.get("labels", {}).get("variant", ""): each["targets"] for each in job["static_configs"]}


def test_without_a_monitor_there_is_none(tmp_path: Path) -> None:
    assert not [address for address in lowered(tmp_path).resources if "prometheus" in address]


def test_a_runtime_without_images_has_none(tmp_path: Path) -> None:
    desire = lowered(tmp_path, "local", monitor={"one": QUALITY})
    assert not [address for address in desire.resources if "prometheus" in address]
    assert "prometheus" not in desire.outputs["monitor.one"]


def test_one_serves_all_monitors_and_is_of_none(tmp_path: Path) -> None:
    desire = lowered(tmp_path, monitor={"one": QUALITY, "two": QUALITY})
    ours = {address for address, resource in desire.resources.items() if resource.component == "environment"}
    assert ours == {
        "environment/network.network",
        "environment/volume.metrics",
        "environment/volume.alerts",
        "environment/container.prometheus",
        "environment/container.alertmanager",
        "environment/host_port.prometheus-http",
        "environment/host_port.alertmanager-http",
        "environment/rules.rules",
    }
    assert fields(desire, "volume.metrics")["data"]
    assert not fields(desire, "volume.alerts").get("data")
    url = fields(desire, "rules.rules")["url"]
    assert [desire.outputs[f"monitor.{name}"]["prometheus"] for name in ("one", "two")] == [url, url]
    assert "environment/container.prometheus" in {reference.address for reference in references(url)}
    assert desire.notes == []


def test_things_are_asked_where_workloads_reach_them(tmp_path: Path) -> None:
    desire = lowered(tmp_path, monitor={"one": QUALITY})
    names = {
        name: (resource.component, address.rpartition(".")[2])
        for address, resource in desire.resources.items()
        for network in resource.fields.get("networks", ())
        for name in network["aliases"]
    }

    def reached(job: str) -> set[tuple[str, str, str]]:
        places = [place.split(":") for found in targets(jobs(desire)[job]).values() for place in found]
        return {(*names[host], port) for host, port in places}

    assert reached("monitor one") == {("monitor.one", "monitor", "8090")}
    assert reached("alertmanager") == {("environment", "alertmanager", "9093")}
    assert reached("servers fraud") == {("endpoint.fraud", "a", "8080"), ("endpoint.fraud", "b", "8080")}
    assert set(targets(jobs(desire)["servers fraud"])) == {"a", "b"}
    assert targets(jobs(desire)["prometheus"]) == {"": ["127.0.0.1:9090"]}


def test_each_replica_is_asked(tmp_path: Path) -> None:
    scaled = {"fraud": {"variants": {"a": {"artifact": "model"}}, "scale": {"replicas": 2}, "capture": {}}}
    found = jobs(lowered(tmp_path, endpoint=scaled, monitor={"one": QUALITY}))
    assert len(set(targets(found["servers fraud"])["a"])) == 2


def test_an_endpoint_that_no_monitor_watches_is_left_alone(tmp_path: Path) -> None:
    data = {"current": "${storage.x.url}/now", "type": "data_quality"}
    desire = lowered(tmp_path, monitor={"one": data}, storage={"x": {}})
    assert set(jobs(desire)) == {"prometheus", "alertmanager", "monitor one"}
    assert "endpoint.fraud" not in file(desire, "rules.yml")


def test_a_threshold_touches_nothing_and_another_monitor_the_files_only(tmp_path: Path) -> None:
    one = lowered(tmp_path, monitor={"one": {**QUALITY, "threshold": 0.1}})
    other = lowered(tmp_path, monitor={"one": {**QUALITY, "threshold": 0.2, "every": "5m"}})
    more = lowered(tmp_path, monitor={"one": QUALITY, "two": QUALITY})
    for address in ("container.prometheus", "container.alertmanager", "rules.rules"):
        assert fields(one, address) == fields(other, address)
    assert fields(one, "container.alertmanager") == fields(more, "container.alertmanager")
    before, after = (dict(fields(each, "container.prometheus")) for each in (one, more))
    assert before.pop("live_files") != after.pop("live_files")
    assert before == after
    assert fields(one, "rules.rules")["content"] != fields(more, "rules.rules")["content"]
    assert len(fields(more, "rules.rules")["alerts"]) - len(fields(one, "rules.rules")["alerts"]) == 4


def test_the_error_rate_of_a_rollback_is_that_of_the_rule(tmp_path: Path) -> None:
    limited = {"fraud": {**ENDPOINT, "rollout": {"rollback": {"error_rate": 0.25}}}}
    assert "> 0.05" in file(lowered(tmp_path, monitor={"one": QUALITY}), "rules.yml")
    assert "> 0.25" in file(lowered(tmp_path, endpoint=limited, monitor={"one": QUALITY}), "rules.yml")


@pytest.mark.parametrize("secret", [False, True])
def test_what_is_secret_is_in_no_file_that_anybody_reads(tmp_path: Path, secret: bool) -> None:
    hook = "${secret.hook.value}" if secret else HOOK
    desire = lowered(
        tmp_path,
        secret={"hook": {"generate": True}, "token": {"generate": True}},
        endpoint={"fraud": {**ENDPOINT, "auth": {"token": "${secret.token.value}"}}},
        monitor={"one": {**QUALITY, "notify": {"webhook": hook}}},
    )
    told, asks = fields(desire, "container.alertmanager"), fields(desire, "container.prometheus")
    assert list(told["secrets"]) == ["alertmanager.yml"]
    assert not told["live_files"]
    assert not told["files"]
    receiver = yaml.safe_load(told["secrets"]["alertmanager.yml"].replace("\ue000", "<").replace("\ue001", ">"))
    url = receiver["receivers"][1]["webhook_configs"][0]["url"]
    assert url.startswith("<secret.hook/") if secret else url == HOOK
    assert list(asks["secrets"]) == ["token-fraud"]
    assert jobs(desire)["servers fraud"]["authorization"] == {"credentials_file": "/run/secrets/token-fraud"}
