"""The recipe of what all monitors of an environment have in common: a Prometheus that asks endpoints and monitors for their
metrics and judges them by rules, and an Alertmanager that tells what they find.

A monitor tells a breach itself; these tell what it cannot know: that an endpoint fails, that a server or a monitor is gone.
What is watched and the rules are files that Prometheus reads again; `prometheus.rules` has it do so. Must not know a runtime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlinfra.sdk.lowering import Lowering, Outputs
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import File, Mount, Port, Probe, Service, ServiceHandle, Volume
from mlinfra_tools.prometheus import texts
from mlinfra_tools.prometheus.watched import SHARED, Serving, Watching, place
from mlinfra_tools.versions import ALERTMANAGER, PROMETHEUS

PORT: Final = 9090
ALERTS: Final = 9093
START: Final = 120.0
KEEP: Final = "30d"
"""How long metrics are kept."""


def lower(lowering: Lowering) -> dict[str, Outputs]:
    """Both services, the rules in force, and the proof that they work; each monitor tells where Prometheus is."""
    offers = lowering.offers(SHARED)
    monitors = [offer for offer in offers if isinstance(offer, Watching)]
    watched = {monitor.of for monitor in monitors}
    endpoints = [offer for offer in offers if isinstance(offer, Serving) and offer.component in watched]
    alertmanager = _alertmanager(monitors, lowering)
    rules = texts.rules_text(endpoints, monitors)
    config = texts.config_text(
        endpoints,
        monitors,
        texts.Places(
            rules=slot("path:rules.yml"),
            itself=f"127.0.0.1:{slot('port:http')}",
            alertmanager=place(alertmanager.urls["http"]),
            tokens={each.name: slot(f"secret:{_token(each)}") for each in endpoints if each.token is not None},
        ),
    )
    url = _prometheus(config, rules, endpoints, lowering).urls["http"]
    alerts = texts.alerts(rules)
    fields = {"url": url, "alerts": alerts, "content": texts.digest(config, rules)}
    lowering.resource("prometheus.rules", "rules", fields, label="rules")
    lowering.check("metrics", "mlinfra_tools.prometheus.check:watches", url=url, alerts=alerts)
    return {monitor.component: {"prometheus": url} for monitor in monitors}


def _prometheus(config: str, rules: str, endpoints: Sequence[Serving], lowering: Lowering) -> ServiceHandle:
    data = lowering.volume(Volume("metrics", data=True))
    return lowering.service(
        Service(
            name="prometheus",
            software=PROMETHEUS,
            command=(
                *("--config.file", slot("path:prometheus.yml"), "--storage.tsdb.path", slot("path:data")),
                *("--storage.tsdb.retention.time", KEEP, "--web.enable-lifecycle"),
                *("--web.listen-address", f"{slot('host')}:{slot('port:http')}"),
            ),
            ports={"http": Port(PORT)},
            probe=Probe(
                "http", "", command=("promtool", "query", "instant", f"http://127.0.0.1:{PORT}", "1"), timeout=START
            ),
            files=(File("prometheus.yml", config, reload=True), File("rules.yml", rules, reload=True)),
            secrets={_token(endpoint): endpoint.token for endpoint in endpoints if endpoint.token is not None},
            mounts=(Mount("data", data, at="/prometheus"),),
        )
    )


def _alertmanager(monitors: Sequence[Watching], lowering: Lowering) -> ServiceHandle:
    # What it remembers is which alerts were told: without it they are told again.
    data = lowering.volume(Volume("alerts"))
    return lowering.service(
        Service(
            name="alertmanager",
            software=ALERTMANAGER,
            command=(
                *("--config.file", slot("secret:alertmanager.yml"), "--storage.path", slot("path:data")),
                *("--web.listen-address", f"{slot('host')}:{slot('port:http')}", "--cluster.listen-address", ""),
            ),
            ports={"http": Port(ALERTS)},
            probe=Probe(
                "http",
                "",
                command=("amtool", f"--alertmanager.url=http://127.0.0.1:{ALERTS}", "alert", "query"),
                timeout=START,
            ),
            # The URL of a webhook is often all that it takes to write to it: the file is kept like a secret.
            secrets={"alertmanager.yml": texts.alerts_text(texts.receivers(monitors))},
            mounts=(Mount("data", data, at="/alertmanager"),),
        )
    )


def _token(endpoint: Serving) -> str:
    return f"token-{endpoint.name}"
