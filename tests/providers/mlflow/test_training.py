"""What a training becomes: an experiment and a job; what its command is told; what makes which alias."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.kinds.registry import Registry
from mlinfra.kinds.training import Training
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.refs import ref, slot
from mlinfra.sdk.workload import Job, Limits, VolumeHandle
from mlinfra_tools.mlflow import produce, registry, training
from mlinfra_tools.versions import TOOLS

from .collected import Collected

LAKE = VolumeHandle("storage.lake/folder.folder", ref("storage.lake/folder.folder", "path"), "")
URL = ref("storage.lake/folder.folder", "url")
MODELS = {
    "fraud": {"aliases": ["champion", "challenger"]},
    "churn": {"aliases": ["champion"], "approval": "manual"},
    "bare": {},
}
CHAMPION = "registry.models/fraud@champion"


def blueprint() -> dict[tuple[str, str], Any]:
    """What the components before it shared: a storage and a registry."""
    models = Collected("registry.models")
    registry.lower(Registry.model_validate({"models": MODELS}), models)
    return {**models.linked, ("storage.lake", "volume"): LAKE}


def lowered(
    *capabilities: str, name: str = "fraud", linked: dict[tuple[str, str], Any] | None = None, **fields: Any
) -> tuple[Collected, Any]:
    """A training with these fields, and its outputs."""
    lowering = Collected(f"training.{name}", frozenset(capabilities), blueprint() if linked is None else linked)
    model = Training.model_validate({"run": "python train.py", **fields})
    return lowering, training.lower(model, lowering)


def job(*capabilities: str, **fields: Any) -> Job:
    """The job of a training with these fields."""
    return lowered(*capabilities, **fields)[0].jobs["train"]


def users_part(command: tuple[str, ...]) -> list[str]:
    """The words of a job's command that the blueprint gave."""
    return list(command[command.index("--") + 1 :])


# -- what it becomes --------------------------------------------------------------------------------------------------


def test_a_training_is_an_experiment_and_a_job() -> None:
    lowering, outputs = lowered(
        produces=CHAMPION, source="code", timeout="1h", retries=2, resources={"cpu": 2, "memory": "4Gi"}
    )
    experiment = lowering.resources["training.fraud/experiment.experiment"]
    uri = ref("registry.models/process.server", "urls.http")
    assert experiment.fields == {"tracking_uri": uri, "name": "fraud"}
    made = lowering.jobs["train"]
    assert (made.source, made.timeout, made.retries, made.limits) == ("code", 3600, 2, Limits(2, 4 * 1024**3, None))
    # MLflow would make the model by itself, and it would not be ours.
    assert set(made.after) == {"training.fraud/experiment.experiment", "registry.models/registered_model.fraud"}
    assert made.env["MLFLOW_TRACKING_URI"] == uri
    assert made.env["MLFLOW_EXPERIMENT_NAME"] == "fraud"
    assert made.env["MLINFRA_MODEL_NAME"] == "fraud"
    assert outputs == {"experiment": "fraud", "job": "training.fraud/job.train"}
    assert lowering.shared("training.fraud", "job").address == outputs["job"]
    assert lowering.notes == {}


def test_a_training_without_a_registry_is_a_job() -> None:
    lowering, outputs = lowered(env={"MLFLOW_TRACKING_URI": "https://mlflow.example.com"})
    assert lowering.resources == {}
    assert outputs["experiment"] == "fraud"
    env = lowering.jobs["train"].env
    assert env["MLFLOW_TRACKING_URI"] == "https://mlflow.example.com"
    assert "MLFLOW_EXPERIMENT_NAME" not in env
    assert job(experiment="trials").env["MLFLOW_EXPERIMENT_NAME"] == "trials"


def test_an_experiment_that_two_trainings_log_to_is_declared_once() -> None:
    first, _ = lowered(registry="registry.models", experiment="trials")
    second, outputs = lowered(name="other", linked=first.linked, registry="registry.models", experiment="trials")
    assert second.resources == {}
    assert second.jobs["train"].after == ("training.fraud/experiment.experiment",)
    assert outputs["experiment"] == "trials"
    third, _ = lowered(name="third", linked=first.linked, registry="registry.models")
    assert list(third.resources) == ["training.third/experiment.experiment"]


def test_the_software_is_the_client_s_and_the_user_s() -> None:
    assert job().software.lock
    with_more = job(requirements=["scikit-learn", "pandas>=2"]).software
    assert not with_more.lock
    client = TOOLS["mlflow-client"].requirements
    assert with_more.requirements == (*client, "scikit-learn", "pandas>=2", "skops")


@pytest.mark.parametrize(
    ("wanted", "besides"),
    [
        (["scikit_learn>=1.5"], ["skops"]),
        (["Scikit.Learn[x]"], ["skops"]),
        (["scikit-learn @ https://x"], ["skops"]),
        (["scikit-learn", "skops==0.13"], []),
        (["scikit-learn-extra"], []),
        ([ref("storage.lake/folder.folder", "url")], []),
    ],
)
def test_what_mlflow_needs_to_save_a_library_s_models_is_there(wanted: list[str], besides: list[str]) -> None:
    client = TOOLS["mlflow-client"].requirements
    assert job(requirements=wanted).software.requirements == (*client, *wanted, *besides)


# -- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["python", "python3", "python3.12"])
def test_python_is_the_environment_s(word: str) -> None:
    assert users_part(job(run=f"{word} train.py --python 'a b'").command) == [
        slot("python"), "train.py", "--python", "a b",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["./python", "pythonw", "torchrun", "dvc"])
def test_other_programs_stay_as_they_are(word: str) -> None:
    assert users_part(job(run=f"{word} python").command) == [word, "python"]


def test_the_program_around_it_is_told_what_is_made() -> None:
    made = job(produces=[CHAMPION, "registry.models/churn@champion", "registry.models/bare"], checkpoints={"keep": 3})
    assert made.command[:2] == (slot("python"), slot("path:produce.py"))
    (file,) = made.files
    assert file.content.startswith('"""Runs a training')
    told = produce.parsed(made.command[2:])
    assert told.produces == [
        produce.Product("fraud", "champion"),
        produce.Product("churn", "champion", manual=True),
        produce.Product("bare"),
    ]
    assert told.keep == 3
    assert dict(told.tag) == {
        "mlinfra:blueprint": "fraud",
        "mlinfra:environment": "laptop",
        "mlinfra:training": "training.fraud",
    }
    assert told.command == [slot("python"), "train.py"]
    assert made.env["MLINFRA_MODEL_NAMES"] == "fraud,churn,bare"


# -- who makes which alias --------------------------------------------------------------------------------------------


def test_a_run_makes_each_alias_that_needs_no_approval() -> None:
    lowering, _ = lowered(
        produces=[
            CHAMPION,
            "registry.models/fraud@challenger",
            "registry.models/churn@champion",
            "registry.models/bare",
        ]
    )
    assert lowering.producers == [
        ("registry.models/model_alias.fraud@champion", "training.fraud/job.train"),
        ("registry.models/model_alias.fraud@challenger", "training.fraud/job.train"),
    ]


def test_a_model_that_the_registry_does_not_declare_is_made_all_the_same() -> None:
    lowering, _ = lowered(produces="registry.models/new@champion")
    assert lowering.producers == []
    assert "--produces=new@champion:auto" in lowering.jobs["train"].command


def test_endpoints_find_the_requirements_by_the_model() -> None:
    lowering, _ = lowered(produces=[CHAMPION, "registry.models/churn"], requirements=["scikit-learn"])
    assert lowering.offers("requirements:registry.models/fraud") == [("scikit-learn",)]
    assert lowering.offers("requirements:registry.models/churn") == [("scikit-learn",)]
    assert lowering.offers("requirements:registry.models/bare") == []


def test_a_run_speaks_to_one_registry() -> None:
    for fields in (
        {"produces": [CHAMPION, "registry.other/fraud@champion"]},
        {"produces": CHAMPION, "registry": "registry.other"},
    ):
        with pytest.raises(DiagnosticError, match="logs to one registry"):
            lowered(**fields)


def test_a_model_must_be_known_while_planning() -> None:
    with pytest.raises(DiagnosticError, match="only an apply can tell"):
        lowered(produces=ref("storage.lake/folder.folder", "url"))


# -- what a run is told -----------------------------------------------------------------------------------------------


def test_inputs_features_and_secrets_are_found_in_variables() -> None:
    made = job(
        inputs={"transactions": f"{URL}/t.parquet", "day": "2026-01-31"},
        features="feature_store.fraud",
        secrets={"DB_PASSWORD": ref("secret.db/secret_file.secret", "value")},
        env={"SEED": 7, "PYTHONUNBUFFERED": "0"},
    )
    assert made.env["MLINFRA_INPUT_TRANSACTIONS"] == f"{URL}/t.parquet"
    assert made.env["MLINFRA_INPUT_DAY"] == "2026-01-31"
    assert made.env["FEATURE_STORE_URL"] == ref("feature_store.fraud/process.server", "urls.http")
    assert made.env["DB_PASSWORD_FILE"] == slot("secret:DB_PASSWORD")
    assert made.secrets == {"DB_PASSWORD": ref("secret.db/secret_file.secret", "value")}
    assert "secret.db" not in str(made.env) + str(made.command)
    assert made.env["SEED"] == "7"
    assert made.env["PYTHONUNBUFFERED"] == "0", "a blueprint may set what is only a habit"


@pytest.mark.parametrize(
    ("fields", "variable"),
    [
        ({"produces": CHAMPION, "env": {"MLFLOW_TRACKING_URI": "http://x"}}, "MLFLOW_TRACKING_URI"),
        ({"inputs": {"a": "x"}, "env": {"MLINFRA_INPUT_A": "x"}}, "MLINFRA_INPUT_A"),
        ({"inputs": {"a": "x", "A": "y"}}, "MLINFRA_INPUT_A"),
        ({"secrets": {"DB": "x"}, "env": {"DB_FILE": "x"}}, "DB_FILE"),
        ({"secrets": {"MLINFRA_INPUT_A": "x"}, "inputs": {"a_file": "x"}}, "MLINFRA_INPUT_A_FILE"),
    ],
)
def test_a_variable_that_would_be_set_twice_is_refused(fields: dict[str, Any], variable: str) -> None:
    with pytest.raises(DiagnosticError, match=f"{variable} cannot have two values"):
        lowered(**fields)


def test_storages_that_it_refers_to_are_mounted() -> None:
    (read,) = job(inputs={"a": f"{URL}/t.parquet"}).mounts
    assert (read.name, read.volume, read.read_only) == ("storage-lake", LAKE, True)
    for fields in ({"env": {"OUT": URL}}, {"run": f"python train.py {URL}"}, {"checkpoints": {"url": f"{URL}/c"}}):
        (written,) = job(inputs={"a": f"{URL}/t.parquet"}, **fields).mounts
        assert not written.read_only


def test_checkpoints_lie_in_a_volume_of_their_own_or_where_they_shall() -> None:
    lowering, _ = lowered(checkpoints=True)
    assert lowering.volumes["checkpoints"].data
    made = lowering.jobs["train"]
    assert [mount.name for mount in made.mounts] == ["checkpoints"]
    assert made.env["MLINFRA_CHECKPOINTS"] == slot("path:checkpoints")
    elsewhere, _ = lowered(checkpoints={"url": f"{URL}/checkpoints"})
    assert elsewhere.volumes == {}
    assert elsewhere.jobs["train"].env["MLINFRA_CHECKPOINTS"] == f"{URL}/checkpoints"
    assert "MLINFRA_CHECKPOINTS" not in job().env


def test_what_the_runtime_cannot_do_is_told() -> None:
    wanted: dict[str, Any] = {"spot": True, "resources": {"gpu": 1}}
    assert set(lowered(**wanted)[0].notes) == {"spot", "resources.gpu"}
    assert lowered("spot", "gpu", **wanted)[0].notes == {}
    assert lowered(spot=False, resources={"gpu": 0})[0].notes == {}
