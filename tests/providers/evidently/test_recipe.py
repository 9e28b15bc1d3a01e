"""What a monitor becomes: one service, a file that it reads again, and only what it may reach."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mlinfra.blueprint.expressions import evaluate
from mlinfra.kinds.monitor import Monitor
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import fill, ref, resolve, slot
from mlinfra.sdk.workload import JobHandle, Service, ServiceHandle, Volume, VolumeHandle
from mlinfra_tools.evidently import recipe
from mlinfra_tools.evidently.monitor.config import parse
from mlinfra_tools.prometheus.watched import COMMON, SHARED

LAKE = ref("storage.lake/folder.folder", "url")
JOB = JobHandle("training.fraud/job.train", ("/run",))
CAPTURE = VolumeHandle("endpoint.fraud/folder.capture", "/capture", "file:///capture")


@dataclass
class Collected:
    """A lowering that keeps what it is given."""

    component: str = "monitor.drift"
    capabilities: frozenset[str] = frozenset()
    place: Place = field(default_factory=lambda: Place("fraud", "laptop", Path("/b"), Path("/b/.mlinfra/laptop")))
    job: JobHandle | None = JOB
    volumes: dict[str, Volume] = field(default_factory=dict)
    services: list[Service] = field(default_factory=list)
    checks: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    offered: dict[str, Any] = field(default_factory=dict)
    common: list[str] = field(default_factory=list)

    def volume(self, volume: Volume) -> VolumeHandle:
        self.volumes[volume.name] = volume
        return VolumeHandle(f"{self.component}/folder.{volume.name}", "", "")

    def service(self, service: Service) -> ServiceHandle:
        self.services.append(service)
        return ServiceHandle("s", {"http": ref("monitor.drift/process.monitor", "urls.http")})

    def shared(self, component: str, name: str) -> Any:
        offered = {
            ("endpoint.fraud", "capture"): CAPTURE,
            ("endpoint.fraud", "variants"): ("champion", "challenger"),
            ("training.fraud", "job"): self.job,
            ("storage.lake", "volume"): VolumeHandle("storage.lake/folder.folder", "", LAKE),
        }
        return offered.get((component, name))

    def share(self, name: str, handle: Any) -> None:
        self.offered[name] = handle

    def once(self, recipe: str) -> None:
        self.common.append(recipe)

    def check(self, name: str, function: str, **arguments: Any) -> None:
        self.checks.append((name, function, arguments))

    def unsupported(self, field: str, why: str = "") -> None:
        self.notes[field] = why


def lowered(lowering: Collected | None = None, **changed: Any) -> tuple[Collected, Service, Any]:
    """What the recipe makes, and the configuration as the monitor reads it."""
    collected = lowering or Collected()
    told = {"of": "endpoint.fraud", "reference": f"{LAKE}/reference.parquet", "every": "1h", **changed}
    monitor = Monitor.model_validate({key: value for key, value in told.items() if value is not None})
    outputs = recipe.lower(monitor, collected)  # type: ignore[arg-type]  # what the recipe uses of a lowering
    assert set(outputs) == set(Monitor.outputs) - {"prometheus"}  # which the recipe of that tells
    (service,) = collected.services
    (file,) = (file for file in service.files if file.name == "config.json")
    assert file.reload
    slots = {f"path:{mount.name}": f"/mnt/{mount.name}" for mount in service.mounts}
    text = resolve(fill(file.content, slots), lambda reference: "file:///lake")
    return collected, service, parse(text)


def test_a_monitor_is_one_service_beside_the_captured_requests() -> None:
    found, service, config = lowered(variants=["champion"], window="2h", threshold=0.3)
    assert [(mount.name, mount.read_only) for mount in service.mounts] == [
        ("state", False),
        ("capture", True),
        ("storage-lake", True),
    ]
    assert slot("path:capture") in service.command
    assert found.volumes == {"reports": Volume("reports")}
    assert (config.monitor, config.of, config.variants) == ("drift", "endpoint.fraud", ("champion",))
    assert (config.window, config.threshold, config.every) == (7200.0, 0.3, 3600.0)
    assert (config.reference, config.places) == (
        "file:///lake/reference.parquet",
        (("file:///lake", "/mnt/storage-lake"),),
    )
    ((name, function, arguments),) = found.checks
    assert (name, function, arguments["every"]) == ("verdict", "mlinfra_tools.evidently.check:verdict", 3600.0)
    assert found.notes == {}


def test_a_threshold_changes_the_file_that_is_read_again_and_nothing_else() -> None:
    _, before, _ = lowered(threshold=0.3)
    _, after, _ = lowered(threshold=0.4, every="2h", columns=["a"], keep="1d")
    names = [file.name for file in before.files]
    assert before.files[1] != after.files[1]
    assert names == ["monitor.py", "config.json"]
    assert before.files[0] == after.files[0]
    assert [getattr(before, name) for name in Service.__slots__ if name != "files"] == [
        getattr(after, name) for name in Service.__slots__ if name != "files"
    ]


def test_the_script_starts_the_monitor_without_mlinfra() -> None:
    _, service, _ = lowered()
    (script,) = (file for file in service.files if file.name == "monitor.py")
    compile(script.content, "monitor.py", "exec")
    assert "import mlinfra" not in script.content
    assert "from mlinfra" not in script.content


def test_a_breach_may_start_a_training_and_tell_a_webhook_that_stays_secret() -> None:
    secret = f"https://hooks.example/{ref('secret.slack/secret_file.value', 'value')}"
    _, service, _ = lowered(then="training.fraud", notify={"webhook": secret})
    assert service.triggers == {"then": JOB}
    assert service.secrets == {"webhook": secret}
    assert service.command[-4:] == ("--webhook", slot("secret:webhook"), "--then", slot("trigger:then"))
    assert all(secret not in text for text in (*service.command, *(file.content for file in service.files)))


@pytest.mark.parametrize("job", [None, JobHandle("training.fraud/job.train")])
def test_a_training_that_cannot_be_started_is_told(job: JobHandle | None) -> None:
    found, service, _ = lowered(Collected(job=job), then="training.fraud")
    assert list(found.notes) == ["then"]
    assert not service.triggers
    assert "--then" not in service.command


def test_data_may_come_from_tables_with_labels() -> None:
    labels = {"source": f"{LAKE}/labels", "key": "id", "delay": "7d"}
    _, service, config = lowered(
        of=None, current="data/now.parquet", reference=None, type="performance", labels=labels, threshold=0.9,
        timestamp_field="at", metric="f1", port=9000, expose=True, resources={"cpu": 1, "memory": "1Gi"},
    )  # fmt: skip
    assert (config.current, config.timestamp_field) == ("/b/data/now.parquet", "at")
    assert config.labels is not None
    assert (config.labels.source, config.labels.key, config.labels.delay) == ("file:///lake/labels", "id", 604_800.0)
    assert [mount.name for mount in service.mounts] == ["state", "storage-lake"]
    assert "--captures" not in service.command
    port = service.ports["http"]
    assert (port.number, port.exposed) == (9000, True)
    assert (service.limits.cpu, service.limits.memory) == (1.0, 1 << 30)


@pytest.mark.parametrize(
    ("changed", "noted"),
    [
        ({"labels": {"source": "l"}}, {"labels"}),
        ({"metric": "f1"}, {"metric"}),
        ({"column_threshold": 0.2}, {"column_threshold"}),
        ({"method": "psi", "column_threshold": 0.2}, set()),
        ({"type": "data_quality", "column_threshold": 0.2}, {"column_threshold"}),
        (
            {"type": "concept_drift", "labels": {"source": "l"}, "method": "psi", "columns": ["a"]},
            {"method", "columns"},
        ),
        ({"timestamp_field": "at"}, {"timestamp_field"}),
        ({"resources": {"gpu": 1}}, {"resources.gpu"}),
        ({"resources": {"instance": "large"}}, {"resources.instance"}),
        ({"reference": "s3://bucket/r.parquet"}, {"reference"}),
    ],
)
def test_what_has_no_meaning_here_is_told(changed: dict[str, Any], noted: set[str]) -> None:
    found, _, _ = lowered(**changed)
    assert set(found.notes) == noted


def test_a_path_of_this_machine_is_out_of_reach_of_a_container() -> None:
    for source, noted in (("data/r.parquet", ["reference"]), ("https://host/r.parquet", []), (f"{LAKE}/r", [])):
        found, _, _ = lowered(Collected(capabilities=frozenset({"images"})), reference=source)
        assert list(found.notes) == noted


def test_a_variant_that_the_endpoint_does_not_have_is_refused() -> None:
    with pytest.raises(DiagnosticError, match='Did you mean "champion"'):
        lowered(variants=["champoin"])


def test_a_prometheus_of_the_environment_watches_it_where_the_runtime_has_one() -> None:
    assert lowered()[0].common == []
    found = lowered(Collected(capabilities=frozenset({"prometheus"})), notify={"webhook": "https://hooks.example"})[0]
    assert found.common == [COMMON]
    told = found.offered[SHARED]
    assert (told.component, told.of, told.webhook) == ("monitor.drift", "endpoint.fraud", "https://hooks.example")
    assert resolve(told.place, lambda reference: "http://drift:8090", evaluate) == "drift:8090"
