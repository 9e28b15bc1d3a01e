"""Trainings as real jobs on this machine that log to a real MLflow: what a run makes, and how its failures are told."""

from __future__ import annotations

import signal
import textwrap
from pathlib import Path
from typing import Any

import pytest

from .mlflow_lab import Lab
from .servers import MlflowServer

CHAMPION: dict[str, Any] = {"aliases": ["champion"]}

DOCS = Path(__file__).parents[2] / "docs" / "training.md"
MINIMAL = DOCS.read_text(encoding="utf-8").split("```python\n", 1)[1].partition("```")[0]
"""The program that the docs show."""
REGISTER = """
import json, os, urllib.request

def call(path, **values):
    url = os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/" + path
    request = urllib.request.Request(url, json.dumps(values).encode(), {"Content-Type": "application/json"})
    return json.loads(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read())

def register():
    run = call("runs/create", experiment_id="0")["run"]["info"]
    source = run["artifact_uri"] + "/model"
    call("model-versions/create", name=os.environ["MLINFRA_MODEL_NAME"], source=source, run_id=run["run_id"])
"""
"""What registers a version in a moment."""


@pytest.fixture
def lab(mlflow_server: MlflowServer, tmp_path: Path) -> Lab:
    """A blueprint that is not written yet."""
    (tmp_path / "code").mkdir()
    return Lab(tmp_path, mlflow_server)


def write(lab: Lab, program: str, model: dict[str, Any] | None = None, **fields: Any) -> None:
    """A training with this program, and a file that follows the champion."""
    (lab.folder / "code" / "train.py").write_text(textwrap.dedent(program))
    training = {
        "source": "code",
        "run": "python train.py --trees 20",
        "produces": f"registry.models/{lab.model}@champion",
        "experiment": lab.model,
        **fields,
    }
    lab.write(model or CHAMPION, training={"fraud": training}, resource=lab.follower)


def test_a_plan_runs_a_training_once_and_what_follows_the_alias_goes_on(lab: Lab) -> None:
    data = lab.folder / "seeds"
    data.mkdir()
    lines = [f"{amount},{amount % 40},{int(amount > 150)}" for amount in range(1, 300, 3)]
    (data / "transactions.csv").write_text("amount,count,fraud\n" + "\n".join(lines))
    write(
        lab,
        MINIMAL + "print('trained with', os.sys.argv[1:])",
        requirements=["scikit-learn"],
        inputs={"transactions": "${storage.lake.url}/transactions.csv"},
    )
    text = (lab.folder / "blueprint.yaml").read_text() + "storage: { lake: { contents: seeds } }\n"
    (lab.folder / "blueprint.yaml").write_text(text)

    planned = lab.planned()
    alias = f"registry.models/model_alias.{lab.model}@champion"
    assert planned[alias] == ("adopt", "made by a run of training.fraud")
    assert planned["training.fraud/job.train"][0] in ("create", "run")
    outcome = lab.apply()
    assert outcome.succeeded, outcome.failed
    assert "training.fraud/job.train!run" in outcome.done
    assert "trained with ['--trees', '20']" in lab.told()
    assert f"champion of {lab.model} is version 1 now" in lab.told()
    assert lab.seen() == "version 1"
    assert lab.plan().empty

    version = lab.call("GET", "model-versions/get", name=lab.model, version="1")["model_version"]
    tags = {tag["key"]: tag["value"] for tag in version["tags"]}
    assert tags["mlinfra:training"] == "training.fraud"
    run = lab.call("GET", "runs/get", run_id=version["run_id"])["run"]
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["mlinfra:run"] == tags["mlinfra:run"]
    assert [metric["key"] for metric in run["data"]["metrics"]] == ["accuracy"]
    experiment = lab.call("GET", "experiments/get", experiment_id=run["info"]["experiment_id"])["experiment"]
    assert experiment["name"] == lab.model

    assert lab.run("training.fraud").succeeded
    assert lab.aliases() == {"champion": 2}
    assert {address: action for address, (action, _) in lab.planned().items()} == {"resource.seen": "update"}
    assert lab.apply().succeeded
    assert lab.seen() == "version 2"
    assert lab.plan().empty


def test_a_run_that_fails_is_told_with_its_last_lines_and_tried_again_at_the_next_apply(lab: Lab) -> None:
    write(lab, REGISTER + "print('loading'); raise SystemExit('no rows in transactions')", retries=1)
    outcome = lab.apply()
    (failed,) = outcome.failed
    assert failed.address == "training.fraud/job.train"
    assert "exit code 1" in failed.detail
    assert "no rows in transactions" in f"{failed.detail}{failed.remedy}"
    assert lab.told().count("no rows in transactions") == 2, "it was tried again"
    assert "attempt 2 of 2" in lab.told()
    assert lab.aliases() == {}
    assert not (lab.folder / "seen.txt").exists()
    write(lab, REGISTER + "register()", retries=1)
    assert lab.apply().succeeded
    assert lab.seen() == "version 1"


def test_a_run_that_registers_nothing_says_so(lab: Lab) -> None:
    write(lab, "print('trained, and told nobody')")
    (failed,) = lab.apply().failed
    assert f"registered no version of {lab.model}" in f"{failed.detail}{failed.remedy}"
    assert "MLINFRA_MODEL_NAME" in lab.told()


def test_a_run_that_takes_too_long_or_is_killed_is_told(lab: Lab) -> None:
    write(lab, REGISTER + "import time; time.sleep(600)", timeout="2s")
    (failed,) = lab.apply().failed
    assert "limit of 2 s" in failed.detail
    assert lab.aliases() == {}
    write(lab, REGISTER + f"import os, signal; os.kill(os.getpid(), {int(signal.SIGKILL)})")
    (failed,) = lab.apply().failed
    assert "killed by signal 9" in failed.detail


def test_with_manual_approval_a_run_leaves_the_alias_to_a_person(lab: Lab) -> None:
    write(lab, REGISTER + "register()", {**CHAMPION, "approval": "manual"})
    alias = f"registry.models/model_alias.{lab.model}@champion"
    assert lab.planned()[alias] == ("wait", f"nobody holds {lab.model}@champion (set by a person) yet")
    outcome = lab.apply()
    assert [failed.address for failed in outcome.failed] == [alias]
    assert lab.run("training.fraud").succeeded
    assert f"version 1 of {lab.model} waits for approval" in lab.told()
    assert lab.aliases() == {}
    assert lab.version_tags(1)["mlinfra.approval"] == "pending"
    lab.set_alias("champion", 1)
    assert lab.apply().succeeded
    assert lab.seen() == "version 1"
    assert lab.plan().empty


def test_checkpoints_outlive_a_run_that_was_cut_off(lab: Lab) -> None:
    program = """
    import os, pathlib, sys
    folder = pathlib.Path(os.environ["MLINFRA_CHECKPOINTS"])
    done = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    print("resume", os.environ["MLINFRA_RESUME"], done)
    for step in range(len(done), 4):
        (folder / str(step)).write_text("weights")
        if step == 1 and not done:
            os.abort()
    """
    write(lab, program + "\n", produces=[], checkpoints=True)
    (lab.folder / "blueprint.yaml").write_text(
        (lab.folder / "blueprint.yaml").read_text().partition("resource:")[0], encoding="utf-8"
    )
    assert lab.apply().succeeded
    assert not lab.run("training.fraud").succeeded
    assert lab.run("training.fraud").succeeded
    assert "resume false []" in lab.told()
    assert "resume true [0, 1]" in lab.told()
    assert lab.run("training.fraud").succeeded
    assert "resume false [0, 1, 2, 3]" in lab.told()
