"""The program around a training's command, as its own process, against a small MLflow server."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from mlinfra_tools.mlflow import produce

from .fake_mlflow import FakeMlflow


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    code: int
    out: str
    err: str


def run(mlflow: FakeMlflow, *options: str, code: str = "pass", **env: str) -> Ended:
    """Run ``python -c code`` as a training."""
    command = [sys.executable, produce.__file__, *options, "--", sys.executable, "-c", code]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": mlflow.uri, **env}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    return Ended(done.returncode, done.stdout, done.stderr)


def registering(mlflow: FakeMlflow, times: int = 1, marked: bool = True, model: str = "fraud") -> str:
    """Code that registers versions: over an extra call of the fake."""

    def register(values: dict[str, str]) -> tuple[int, dict[str, object]]:
        tags = {"mlinfra__run": values["run"]} if values["run"] else {}
        return 200, {"version": mlflow.add_version(values["model"], values["run_id"], **tags)}

    mlflow._post_register = register  # type: ignore[attr-defined]
    run_tag = "json.loads(os.environ['MLFLOW_RUN_CONTEXT'])['mlinfra:run']" if marked else "''"
    return f"""
import json, os, urllib.request
for number in range({times}):
    run_id = f"run-{model}-{{number}}" if {marked} else ""
    body = json.dumps({{"model": "{model}", "run": {run_tag}, "run_id": run_id}}).encode()
    urllib.request.urlopen(os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/register", body).read()
"""


@pytest.fixture
def registry(mlflow: FakeMlflow) -> FakeMlflow:
    """A registry with the model fraud."""
    mlflow.models["fraud"] = {"description": "", "tags": {}, "aliases": {}}
    return mlflow


def test_the_new_version_gets_tags_and_the_alias(registry: FakeMlflow) -> None:
    registry.add_version("fraud")
    ended = run(
        registry, "--produces=fraud@champion", "--tag", "mlinfra:training=training.fraud", code=registering(registry)
    )
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {"champion": 2}
    tags = registry.versions["fraud"][2]["tags"]
    assert tags["mlinfra:training"] == "training.fraud"
    assert tags["mlinfra:run"]
    assert registry.versions["fraud"][1]["tags"] == {}
    assert "champion of fraud is version 2 now" in ended.out


def test_the_newest_of_several_gets_the_alias(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud@champion", code=registering(registry, times=3))
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {"champion": 3}
    assert all(version["tags"]["mlinfra:run"] for version in registry.versions["fraud"].values())


def test_a_version_that_somebody_else_registers_meanwhile_is_not_taken(registry: FakeMlflow) -> None:
    theirs = """
body = json.dumps({"model": "fraud", "run": "another", "run_id": "theirs"}).encode()
urllib.request.urlopen(os.environ["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/register", body).read()
"""
    ended = run(registry, "--produces=fraud@champion", code=registering(registry) + theirs)
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {"champion": 1}
    assert registry.versions["fraud"][2]["tags"] == {}


def test_a_version_without_a_run_is_taken(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud@champion", code=registering(registry, marked=False))
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {"champion": 1}


def test_several_models_get_their_aliases(registry: FakeMlflow) -> None:
    registry.models["churn"] = {"description": "", "tags": {}, "aliases": {}}
    code = registering(registry, times=2) + registering(registry, model="churn")
    wanted = ["--produces=fraud@champion", "--produces=fraud@newest:auto", "--produces=churn@champion:manual"]
    ended = run(registry, *wanted, code=code)
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {"champion": 2, "newest": 2}
    assert registry.models["churn"]["aliases"] == {}
    assert registry.versions["churn"][1]["tags"]["mlinfra.approval"] == "pending"
    assert "mlinfra.approval" not in registry.versions["fraud"][2]["tags"]


def test_no_alias_is_moved_unless_each_model_has_a_version(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud@champion", "--produces=churn@champion", code=registering(registry))
    assert ended.code == produce.NO_VERSION
    assert "registered no version of churn" in ended.err
    assert 'registered_model_name="churn"' in ended.err
    assert registry.models["fraud"]["aliases"] == {}


def test_a_model_without_an_alias_gets_tags_only(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud", code=registering(registry))
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {}
    assert registry.versions["fraud"][1]["tags"]["mlinfra:run"]


@pytest.mark.parametrize("text", ["", "@champion", "fraud@champion:perhaps"])
def test_what_is_no_product_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        produce.Product.parse(text)


def test_manual_approval_leaves_the_alias_and_says_what_to_do(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud@champion:manual", code=registering(registry))
    assert ended.code == 0, ended.err
    assert registry.models["fraud"]["aliases"] == {}
    assert registry.versions["fraud"][1]["tags"]["mlinfra.approval"] == "pending"
    assert f"{registry.uri}/#/models/fraud/versions/1" in ended.out


def test_a_command_that_registers_nothing_fails_with_the_reason(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud@champion")
    assert ended.code == produce.NO_VERSION
    assert "registered no version of fraud" in ended.err
    assert "MLINFRA_MODEL_NAME" in ended.err


def test_a_command_that_fails_keeps_its_exit_code_and_the_alias(registry: FakeMlflow) -> None:
    ended = run(registry, "--produces=fraud@champion", code=registering(registry) + "raise SystemExit(7)")
    assert ended.code == 7
    assert registry.models["fraud"]["aliases"] == {}


def test_a_server_that_says_no_is_told_without_a_trace(registry: FakeMlflow) -> None:
    registry.trouble = [403]
    ended = run(registry, "--produces=fraud@champion")
    assert ended.code == produce.NO_SERVER
    assert "said 403" in ended.err
    assert "Traceback" not in ended.err


def test_a_busy_server_is_asked_again(registry: FakeMlflow) -> None:
    registry.trouble = [503]
    slept: list[float] = []
    assert produce.Registry(registry.uri, slept.append).versions("fraud") == {}
    assert len(slept) == 1


def test_versions_are_read_in_pages(registry: FakeMlflow) -> None:
    registry.page = 2
    for _ in range(5):
        registry.add_version("fraud")
    assert sorted(produce.Registry(registry.uri).versions("fraud")) == [1, 2, 3, 4, 5]


def test_what_the_user_put_into_the_run_context_stays(registry: FakeMlflow, tmp_path: Path) -> None:
    out = tmp_path / "context"
    code = f"import os, pathlib; pathlib.Path({str(out)!r}).write_text(os.environ['MLFLOW_RUN_CONTEXT'])"
    run(registry, code=code, MLFLOW_RUN_CONTEXT='{"team": "risk"}')
    context = json.loads(out.read_text())
    assert context["team"] == "risk"
    assert context["mlinfra:run"]


def test_a_request_to_stop_is_passed_on(registry: FakeMlflow) -> None:
    code = "import sys, time; sys.stdout.write('up\\n'); sys.stdout.flush(); time.sleep(60)"
    command = [sys.executable, produce.__file__, "--produces=fraud", "--", sys.executable, "-c", code]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": registry.uri}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as job:
        assert job.stdout is not None
        assert job.stdout.readline() == b"up\n"
        job.send_signal(signal.SIGTERM)
        assert job.wait(30) == 128 + signal.SIGTERM


def test_a_command_that_is_not_there_is_told(registry: FakeMlflow) -> None:
    command = [sys.executable, produce.__file__, "--", "/no/such/program"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 127
    assert "cannot be started" in done.stderr


def test_programs_of_the_environment_are_found_first(mlflow: FakeMlflow, tmp_path: Path) -> None:
    out = tmp_path / "found"
    code = f"""
import os, pathlib, shutil
pathlib.Path({str(out)!r}).write_text(shutil.which("python") + "\\n" + os.environ.get("VIRTUAL_ENV", ""))
"""
    assert run(mlflow, code=code).code == 0
    program, active = out.read_text().split("\n")
    assert Path(program).parent == Path(sys.executable).parent
    assert active == (sys.prefix if sys.prefix != sys.base_prefix else os.environ.get("VIRTUAL_ENV", ""))


# -- checkpoints ------------------------------------------------------------------------------------------------------

WRITING = """
import os, pathlib
folder = pathlib.Path(os.environ["MLINFRA_CHECKPOINTS"])
for number in range(5):
    (folder / f"step-{number}").mkdir(exist_ok=True)
    (folder / f"step-{number}" / "weights").write_text("w")
    os.utime(folder / f"step-{number}", (number, number))
(folder / "latest").exists() or (folder / "latest").symlink_to("step-4")
print("resume:", os.environ["MLINFRA_RESUME"])
"""


def kept(folder: Path) -> set[str]:
    """The names of the checkpoints in a folder."""
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_the_newest_checkpoints_are_kept(mlflow: FakeMlflow, tmp_path: Path) -> None:
    folder = tmp_path / "a b" / "checkpoints"
    ended = run(mlflow, "--keep=2", code=WRITING, MLINFRA_CHECKPOINTS=folder.as_uri())
    assert ended.code == 0, ended.err
    assert kept(folder) == {"step-3", "step-4", "latest"}
    assert (folder / "latest" / "weights").read_text() == "w"


def test_after_a_failed_run_one_more_is_kept_since_the_newest_may_be_half_written(
    mlflow: FakeMlflow, tmp_path: Path
) -> None:
    run(mlflow, "--keep=2", code=WRITING + "raise SystemExit(1)", MLINFRA_CHECKPOINTS=str(tmp_path))
    assert kept(tmp_path) == {"step-2", "step-3", "step-4", "latest"}


def test_without_a_number_all_are_kept(mlflow: FakeMlflow, tmp_path: Path) -> None:
    run(mlflow, code=WRITING, MLINFRA_CHECKPOINTS=str(tmp_path))
    assert len(kept(tmp_path)) == 6


def test_a_run_is_told_whether_the_last_one_was_cut_off(mlflow: FakeMlflow, tmp_path: Path) -> None:
    def resumed(code: str) -> bool:
        return "resume: true" in run(mlflow, code=code, MLINFRA_CHECKPOINTS=str(tmp_path)).out

    assert not resumed(WRITING + "raise SystemExit(1)"), "there is nothing to go on with"
    assert resumed(WRITING + "raise SystemExit(1)")
    assert resumed(WRITING)
    assert not resumed(WRITING), "the last one ended well"


def test_a_place_that_is_no_folder_is_passed_on(mlflow: FakeMlflow) -> None:
    code = "import os; print('at', os.environ['MLINFRA_CHECKPOINTS'], 'MLINFRA_RESUME' in os.environ)"
    ended = run(mlflow, "--keep=2", code=code, MLINFRA_CHECKPOINTS="s3://lake/checkpoints")
    assert ended.code == 0, ended.err
    assert "at s3://lake/checkpoints False" in ended.out
    assert "are not pruned" in ended.out


def test_a_folder_that_cannot_be_made_is_told(mlflow: FakeMlflow, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run(mlflow, MLINFRA_CHECKPOINTS=str(tmp_path / "file" / "below"))
    assert ended.code == produce.NO_FOLDER
    assert "no checkpoints can be kept" in ended.err
    assert "Traceback" not in ended.err
