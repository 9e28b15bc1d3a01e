"""What Prometheus and Alertmanager are told, judged by their own programs: the files are valid, and rules fire when they should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mlinfra.sdk.refs import ref
from mlinfra_tools.prometheus.texts import Places, Receiver, alerts, alerts_text, config_text, receivers, rules_text
from mlinfra_tools.prometheus.watched import Serving, Watching
from tests.providers.prometheus.programs import run

ENDPOINTS = [
    Serving("endpoint.fraud", "gateway:8404", {"champion": ("c1:8080", "c2:8080"), "b": ("b:8080",)}, 0.05, "a token"),
    Serving("endpoint.other", None, {"a": ("a:8080",)}, 0.1),
]
MONITORS = [
    Watching("monitor.drift", "drift:8090", "endpoint.fraud", "https://hooks.example/it's"),
    Watching("monitor.quality", "quality:8090"),
]
PLACES = Places("rules.yml", "localhost:9090", "alerts:9093", {"fraud": "token"})


def files() -> dict[str, str]:
    return {
        "prometheus.yml": config_text(ENDPOINTS, MONITORS, PLACES),
        "rules.yml": rules_text(ENDPOINTS, MONITORS),
        "token": "a token",
    }


def test_the_configuration_and_the_rules_are_valid(tmp_path: Path) -> None:
    code, said = run("promtool", ["check", "config", "prometheus.yml"], files(), tmp_path)
    assert code == 0, said
    assert "15 rules found" in said


def test_what_is_told_of_the_rules_is_what_they_are() -> None:
    made = yaml.safe_load(files()["rules.yml"])["groups"]
    assert alerts(files()["rules.yml"]) == sorted(f"{g['name']}/{rule['alert']}" for g in made for rule in g["rules"])
    assert {rule["labels"]["component"] for group in made for rule in group["rules"]} == {
        each.component for each in (*ENDPOINTS, *MONITORS)
    }


def test_nothing_to_watch_is_valid_too(tmp_path: Path) -> None:
    empty = {"prometheus.yml": config_text([], [], PLACES), "rules.yml": rules_text([], [])}
    code, said = run("promtool", ["check", "config", "prometheus.yml"], empty, tmp_path)
    assert code == 0, said
    code, said = run("amtool", ["check-config", "a.yml"], {"a.yml": alerts_text([])}, tmp_path)
    assert code == 0, said


def test_who_wants_a_token_is_asked_with_it() -> None:
    jobs = {job["job_name"]: job for job in yaml.safe_load(files()["prometheus.yml"])["scrape_configs"]}
    assert set(jobs) - {"prometheus", "alertmanager"} == {
        "route fraud",
        "servers fraud",
        "servers other",
        "monitor drift",
        "monitor quality",
    }
    assert jobs["servers fraud"]["authorization"] == {"credentials_file": "token"}
    assert "authorization" not in jobs["servers other"]
    assert jobs["servers fraud"]["static_configs"][0]["targets"] == ["c1:8080", "c2:8080"]


def test_alertmanager_tells_each_webhook_once_and_leaves_breaches_to_the_monitor(tmp_path: Path) -> None:
    both = [*MONITORS, Watching("monitor.later", "later:8090", "endpoint.other", MONITORS[0].webhook)]
    (receiver,) = receivers(both)
    assert receiver.components == ("monitor.drift", "endpoint.fraud", "monitor.later", "endpoint.other")
    told = {"alertmanager.yml": alerts_text([receiver])}
    code, said = run("amtool", ["check-config", "alertmanager.yml"], told, tmp_path)
    assert code == 0, said
    made = yaml.safe_load(told["alertmanager.yml"])
    assert made["receivers"][1]["webhook_configs"][0]["url"] == "https://hooks.example/it's"

    def route(*labels: str) -> str:
        asked = ["config", "routes", "test", "--config.file=alertmanager.yml", *labels]
        code, said = run("amtool", asked, told, tmp_path)
        assert code == 0, said
        (receiver,) = [line for line in said.splitlines() if not line.startswith("Warning")]
        return receiver

    assert route("component=endpoint.fraud", "alertname=EndpointErrors") == "webhook-1"
    assert route("component=monitor.drift", "alertname=MonitorBreach", "told_by=monitor") == "nobody"
    assert route("component=monitor.quality", "alertname=MonitorSilent") == "nobody"
    assert route("component=endpoint.fraudulent", "alertname=EndpointErrors") == "nobody"


def test_a_webhook_that_is_a_secret_stays_a_token() -> None:
    secret = ref("secret.hook/secret.secret", "value")
    assert secret in alerts_text([Receiver("w", secret, ("monitor.drift",))])


ROUTE = 'mlinfra_route_requests_total{component="endpoint.fraud",target="%s",code="%s"}'
SERVER = 'mlinfra_model_requests_total{component="endpoint.other",variant="%s",code="%s"}'
UP = 'up{component="endpoint.fraud",job="servers fraud",instance="%s",variant="champion"}'
FAILS = {"component": "endpoint.fraud", "severity": "critical"}
DRIFT = {"component": "monitor.drift", "severity": "warning"}
CASES: dict[str, tuple[dict[str, str], str, dict[str, str], str]] = {
    "6 of 100 requests fail": (
        {ROUTE % ("champion", "200"): "0+94x20", ROUTE % ("champion", "503"): "0+6x20"},
        "EndpointErrors",
        FAILS,
        "endpoint.fraud: 6% of the requests fail",
    ),
    "4 of 100 requests fail": (
        {ROUTE % ("champion", "200"): "0+96x20", ROUTE % ("champion", "500"): "0+4x20"},
        "EndpointErrors",
        {},
        "",
    ),
    "requests that are wrong are no failures": (
        {ROUTE % ("champion", "200"): "0+50x20", ROUTE % ("champion", "400"): "0+50x20"},
        "EndpointErrors",
        {},
        "",
    ),
    "what the gateway answers itself counts too": (
        {ROUTE % ("champion", "200"): "0+90x20", ROUTE % ("", "5xx"): "0+10x20"},
        "EndpointErrors",
        FAILS,
        "endpoint.fraud: 10% of the requests fail",
    ),
    "a route that counts nothing leaves it to its servers": (
        {SERVER % ("a", "200"): "0+80x20", SERVER % ("a", "500"): "0+20x20"},
        "EndpointErrors",
        {"component": "endpoint.other", "severity": "critical"},
        "endpoint.other: 20% of the requests fail",
    ),
    "servers that fail as seldom as they may": (
        {SERVER % ("a", "200"): "0+90x20", SERVER % ("a", "500"): "0+10x20"},
        "EndpointErrors",
        {},
        "",
    ),
    "nobody asks": ({ROUTE % ("champion", "200"): "7+0x20"}, "EndpointErrors", {}, ""),
    "another endpoint fails": (
        {'mlinfra_route_requests_total{component="endpoint.b",target="a",code="500"}': "0+9x20"},
        "EndpointErrors",
        {},
        "",
    ),
    "no server of an endpoint is left": (
        {UP % "c1:8080": "1x5 0x20", UP % "c2:8080": "0x25"},
        "EndpointDown",
        FAILS,
        "endpoint.fraud: no server answers",
    ),
    "one server of an endpoint is left": ({UP % "c1:8080": "1x20", UP % "c2:8080": "0x20"}, "EndpointDown", {}, ""),
    "its route answers and no server does": (
        {'up{component="endpoint.fraud",job="route fraud",instance="gateway:8404"}': "1x20", UP % "c1:8080": "0x20"},
        "EndpointDown",
        FAILS,
        "endpoint.fraud: no server answers",
    ),
    "a variant has no server": (
        {'mlinfra_route_target_healthy{component="endpoint.fraud",target="b"}': "1x2 0x20"},
        "VariantDown",
        {"component": "endpoint.fraud", "severity": "warning", "target": "b"},
        "endpoint.fraud: no server of b answers",
    ),
    "a variant has a server": (
        {'mlinfra_route_target_healthy{component="endpoint.fraud",target="b"}': "0x12 1x20"},
        "VariantDown",
        {},
        "",
    ),
    "a breach": (
        {'mlinfra_monitor_alarm{component="monitor.drift",type="data_drift"}': "0 1x20"},
        "MonitorBreach",
        {**DRIFT, "told_by": "monitor", "type": "data_drift"},
        "monitor.drift: breach of data_drift",
    ),
    "no breach": (
        {'mlinfra_monitor_alarm{component="monitor.drift",type="data_drift"}': "1x5 0x20"},
        "MonitorBreach",
        {},
        "",
    ),
    "what it watches cannot be looked at": (
        {'mlinfra_monitor_verdict{component="monitor.drift",verdict="error"}': "1x20"},
        "MonitorError",
        {**DRIFT, "verdict": "error"},
        "monitor.drift: what it watches cannot be looked at",
    ),
    "another verdict": (
        {
            'mlinfra_monitor_verdict{component="monitor.drift",verdict="error"}': "0x20",
            'mlinfra_monitor_verdict{component="monitor.drift",verdict="breach"}': "1x20",
        },
        "MonitorError",
        {},
        "",
    ),
    "it looks no more": (
        {'mlinfra_monitor_next_run_timestamp_seconds{component="monitor.drift"}': "-60x20"},
        "MonitorSilent",
        DRIFT,
        "monitor.drift: its look is late by 16m 0s",
    ),
    "it looks as it should": (
        {'mlinfra_monitor_next_run_timestamp_seconds{component="monitor.drift"}': "0+60x20"},
        "MonitorSilent",
        {},
        "",
    ),
    "it looks once a month": (
        {'mlinfra_monitor_next_run_timestamp_seconds{component="monitor.drift"}': "2592000x20"},
        "MonitorSilent",
        {},
        "",
    ),
    "a target is gone": (
        {'up{component="monitor.drift",instance="drift:8090"}': "0x20"},
        "TargetDown",
        {**DRIFT, "instance": "drift:8090"},
        "monitor.drift: drift:8090 tells no metrics",
    ),
    "a server is gone": (
        {UP % "c1:8080": "1x20", UP % "c2:8080": "0x20"},
        "TargetDown",
        {
            "component": "endpoint.fraud",
            "severity": "warning",
            "instance": "c2:8080",
            "job": "servers fraud",
            "variant": "champion",
        },
        "endpoint.fraud: c2:8080 tells no metrics",
    ),
    "a target is back": ({'up{component="monitor.drift",instance="drift:8090"}': "0x12 1x20"}, "TargetDown", {}, ""),
}


def test_each_rule_has_a_case_that_fires_and_one_that_does_not() -> None:
    fires = {alert for _, alert, labels, _ in CASES.values() if labels}
    stays = {alert for _, alert, labels, _ in CASES.values() if not labels}
    assert fires == stays == {name.partition("/")[2] for name in alerts(files()["rules.yml"])}


def test_rules_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    tests: list[dict[str, Any]] = []
    for case, (series, alert, labels, summary) in CASES.items():
        expected = [{"exp_labels": labels, "exp_annotations": {"summary": summary}}] if labels else []
        tests.append(
            {
                "name": case,
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "alert_rule_test": [{"eval_time": "15m", "alertname": alert, "exp_alerts": expected}],
            }
        )
    given = {**files(), "test.yml": yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests})}
    code, said = run("promtool", ["test", "rules", "test.yml"], given, tmp_path)
    assert code == 0, said


def test_a_rule_that_does_not_fire_as_told_is_seen(tmp_path: Path) -> None:
    (series, alert, labels, summary) = CASES["a breach"]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": "15m", "alertname": alert, "exp_alerts": []}],
    }
    given = {**files(), "test.yml": yaml.safe_dump({"rule_files": ["rules.yml"], "tests": [test]})}
    code, said = run("promtool", ["test", "rules", "test.yml"], given, tmp_path)
    assert code == 1, said
    assert labels["told_by"] in said
    assert summary in said
