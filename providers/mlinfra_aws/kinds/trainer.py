"""Runs a training inside its container on SageMaker: requirements, the user's command, then its model where SageMaker looks.

It is sent as text and runs in the image's own Python, so it imports the standard library only, and nothing of mlinfra. What to
do stands in hyperparameters, which SageMaker gives as a file. A failure is told in the file that SageMaker shows as its reason.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path

LONGEST = 1000
"""Characters of a reason that SageMaker shows."""
PIECE = 2500
"""Characters of a hyperparameter."""
FIND = """
import sys
from mlflow import MlflowClient, artifacts
name, into = sys.argv[1:]
versions = MlflowClient().search_model_versions(f"name='{name}'")
if not versions:
    sys.exit(f"the training registered no version of {name}, and left no files in {into}")
newest = max(versions, key=lambda one: int(one.version))
artifacts.download_artifacts(artifact_uri=f"models:/{name}/{newest.version}", dst_path=into)
"""
"""Run in the training's Python: puts the newest version that the command registered into a folder."""


def train(root: Path) -> int:
    """Run what the hyperparameters below ``root`` (``/opt/ml``) say; gives the exit code."""
    given = json.loads((root / "input/config/hyperparameters.json").read_text("utf-8"))
    task = json.loads(given["mlinfra_task"])
    work, model = root / "input/data/source", root / "model"
    model.mkdir(parents=True, exist_ok=True)
    # A store of this run alone: SageMaker has the registry, and takes the model from the folder.
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db"}
    env = {**store, **os.environ, "PYTHONUNBUFFERED": "1", "SM_MODEL_DIR": str(model), **task["env"]}
    try:
        if task["requirements"]:
            call([sys.executable, "-m", "pip", "install", "--quiet", *task["requirements"]], work, env)
        words = list(task["run"])
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        call(words, work, env)
        if task["model"] and not any(model.iterdir()):
            call([sys.executable, "-c", FIND, task["model"], str(model)], work, env)
    except (subprocess.CalledProcessError, OSError) as error:
        return failed(root, str(error))
    return 0


def call(words: list[str], work: Path, env: dict[str, str]) -> None:
    """Run a command in the source's folder; what it prints is the job's log."""
    sys.stdout.write(f"$ {' '.join(words[:6])}\n")
    sys.stdout.flush()
    subprocess.run(words, cwd=work, env=env, check=True)


def failed(root: Path, reason: str) -> int:
    """Tell SageMaker why."""
    (root / "output").mkdir(parents=True, exist_ok=True)
    (root / "output/failure").write_text(reason[:LONGEST], "utf-8")
    sys.stderr.write(f"{reason}\n")
    return 1


def packed(text: str) -> dict[str, str]:
    """A program's text as hyperparameters can carry it: pieces that are put together again by name."""
    told = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    pieces = range(0, len(told), PIECE)
    return {f"mlinfra_program_{index:02}": told[start : start + PIECE] for index, start in enumerate(pieces)}


if __name__ == "__main__":
    sys.exit(train(Path("/opt/ml")))
