"""Runs a training inside its container on SageMaker: requirements, the user's command, then its model where SageMaker takes it from.

It is sent as text and runs in the image's own Python, so it imports the standard library only, and nothing of mlinfra. What to
do stands in hyperparameters, which SageMaker gives as a file. A failure is told in the file that SageMaker shows as its reason.
"""

import base64
import json
import os
import subprocess
import sys
import zlib

LONGEST = 1000
"""Characters of a reason that SageMaker shows."""
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


def train(root):
    """Run what the hyperparameters below ``root`` (``/opt/ml``) say; gives the exit code."""
    with open(f"{root}/input/config/hyperparameters.json", encoding="utf-8") as file:
        given = json.load(file)
    task = json.loads(given["mlinfra_task"])
    work = f"{root}/input/data/source"
    model = f"{root}/model"
    os.makedirs(model, exist_ok=True)
    env = dict(os.environ, PYTHONUNBUFFERED="1", SM_MODEL_DIR=model, **task["env"])
    if "MLFLOW_TRACKING_URI" not in env:
        # A store of this run alone: SageMaker has the registry, and takes the model from the folder.
        env["MLFLOW_TRACKING_URI"] = f"sqlite:///{root}/mlflow.db"
    try:
        if task["requirements"]:
            call([sys.executable, "-m", "pip", "install", "--quiet", *task["requirements"]], work, env)
        words = list(task["run"])
        if words[0] in ("python", "python3"):
            words[0] = sys.executable
        call(words, work, env)
        if task["model"] and not os.listdir(model):
            call([sys.executable, "-c", FIND, task["model"], model], work, env)
    except (subprocess.CalledProcessError, OSError) as error:
        return failed(root, str(error))
    return 0


def call(words, work, env):
    """Run a command in the source's folder; its output is the job's log."""
    print("$", " ".join(words[:6]), flush=True)
    subprocess.run(words, cwd=work, env=env, check=True)


def failed(root, reason):
    """Tell SageMaker why."""
    os.makedirs(f"{root}/output", exist_ok=True)
    with open(f"{root}/output/failure", "w", encoding="utf-8") as file:
        file.write(reason[:LONGEST])
    print(reason, file=sys.stderr, flush=True)
    return 1


def packed(text):
    """A program's text as hyperparameters can carry it: pieces that are put together again by name."""
    told = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return {
        f"mlinfra_program_{index:02}": told[start : start + 2500]
        for index, start in enumerate(range(0, len(told), 2500))
    }


if __name__ == "__main__":
    sys.exit(train("/opt/ml"))
