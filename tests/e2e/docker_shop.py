"""One endpoint on a Docker engine, applied by the command line, and a steady stream of requests against it.

Its models lie in folders of the blueprint, so that nothing but the endpoint is needed. Each answers with a word of its own.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from docker import APIClient

SAVE = """
import sys, time, mlflow.pyfunc, pandas
from mlflow.models import infer_signature
class Fixed(mlflow.pyfunc.PythonModel):
    def __init__(self, said): self.said = said
    def predict(self, context, model_input, params=None):
        if self.said == "broken": raise RuntimeError("this model is broken")
        if self.said == "slow": time.sleep(4)
        return [self.said] * len(model_input)
frame = pandas.DataFrame({"amount": [1.0]})
for said in sys.argv[2:]:
    mlflow.pyfunc.save_model(f"{sys.argv[1]}/{said}", python_model=Fixed(said),
                             signature=infer_signature(frame, ["x"]), pip_requirements=[])
"""
WORDS = ("one", "two", "three", "broken", "slow")
ASKED = {"dataframe_records": [{"amount": 3.0}]}
CLOCK = threading.Event()
"""Never set: its wait is a pause between two looks."""
LONGEST = 1200
"""Seconds that a command may take: the first apply builds an image, and the machine may be busy."""


class Shop:
    """A folder with a blueprint of one endpoint, under a name of its own."""

    def __init__(self, root: Path, models: Path, api: APIClient) -> None:
        self.root = root
        self.api = api
        self.name = f"shop{uuid.uuid4().hex[:8]}"
        self._models = models

    def model(self, name: str, said: str) -> None:
        """Put the model that answers ``said`` into the folder ``name``."""
        target = self.root / "models" / name
        target.mkdir(parents=True, exist_ok=True)
        for file in (self._models / said).iterdir():
            (target / file.name).write_bytes(file.read_bytes())

    def write(self, weights: Mapping[str, int], *, besides: Mapping[str, Any] | None = None, **fields: Any) -> None:
        """Write the blueprint: the weight of each variant (below 0: a shadow), other fields of the endpoint, other sections."""
        variants = {
            name: {"artifact": f"models/{name}", **({"shadow": True} if weight < 0 else {"weight": weight})}
            for name, weight in weights.items()
        }
        blueprint = {
            "blueprint": self.name,
            "environments": {"ci": {"provider": "docker", "default": True, "disposable": True}},
            **(besides or {}),
            "endpoint": {"fraud": {"variants": variants, "health": {"every": "1s"}, "timeout": "10m", **fields}},
        }
        # JSON is YAML.
        (self.root / "blueprint.yaml").write_text(json.dumps(blueprint, indent=1))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command under way."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLINFRA_")}
        return subprocess.Popen(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.root,
            env={**environment, "NO_COLOR": "1", "COLUMNS": "160"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0) -> str:
        """A command run to its end; gives what it printed, its complaints included."""
        child = self.start(*arguments)
        out, err = child.communicate(timeout=LONGEST)
        assert child.returncode == code, f"mlinfra {' '.join(arguments)}: {child.returncode}\n{out}\n{err}"
        return out + err

    def apply(self) -> str:
        """Apply; afterwards nothing is left to do."""
        said = self.run("apply", "--auto-approve")
        assert "No changes" in self.run("plan", "--detailed-exitcode")
        return said

    def plan(self) -> list[str]:
        """The lines of a plan that tell a change."""
        return [line.strip() for line in self.run("plan").splitlines() if re.match(r"\s+[~+-]", line)]

    @property
    def url(self) -> str:
        return self.run("output", "endpoint.fraud.url").strip()

    def standing(self) -> list[tuple[str, str]]:
        """The containers behind the gateway: whose they are (``a``, ``a.2``), and their ids."""
        rows = self.api.containers(all=True, filters={"label": f"mlinfra:blueprint={self.name}"})
        begin = "endpoint.fraud/server."
        owners = [(row["Labels"]["mlinfra:address"], row["Id"]) for row in rows]
        return [(owner.removeprefix(begin), found) for owner, found in owners if owner.startswith(begin)]

    def containers(self) -> dict[str, str]:
        """The same where there is one of each."""
        found = self.standing()
        assert len(dict(found)) == len(found), f"not one of each: {found}"
        return dict(found)

    def owned(self) -> dict[str, list[str]]:
        """All objects of the engine that carry our labels, by sort."""
        filters: dict[str, Any] = {"label": f"mlinfra:blueprint={self.name}"}
        return {
            "containers": [row["Names"][0] for row in self.api.containers(all=True, filters=filters)],
            "networks": [network["Name"] for network in self.api.networks(filters=filters)],
            "volumes": [volume["Name"] for volume in self.api.volumes(filters=filters)["Volumes"] or []],
            "images": [image["Id"] for image in self.api.images(all=True, filters=filters)],
        }

    def end(self) -> None:
        """Remove what is still there, however a test ended."""
        owned = self.owned()
        for name in owned["containers"]:
            self.api.remove_container(name, v=True, force=True)
        for name in owned["networks"]:
            self.api.remove_network(name)
        for name in owned["volumes"]:
            self.api.remove_volume(name)
        for image in self.api.images(filters={"label": f"mlinfra:blueprint={self.name}"}):
            self.api.remove_image(image["Id"], force=True)


class Stream:
    """Requests from several threads, each with a breath between two: more would take the processor from what is watched. ``phase``
    says what is in force; None while that changes. ``answers`` counts what was asked and answered within one phase, ``every``
    all; ``lost`` is what had no answer below 500, ``torn`` the answers that ended midway, ``failed`` counts the answers 500 of
    models."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.phase: str | None = None
        self.answers: Counter[tuple[str, str, str]] = Counter()
        self.every: Counter[tuple[str, str]] = Counter()
        self.lost: list[str] = []
        self.torn: list[str] = []
        self.failed: Counter[str] = Counter()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(4)]

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=900, trust_env=False) as http:
            while not self._stop.is_set():
                self._stop.wait(0.01)
                phase = self.phase
                try:
                    answer = http.post("/invocations", json=ASKED)
                except httpx.HTTPError as error:
                    midway = "without sending complete message body" in str(error)
                    (self.torn if midway else self.lost).append(repr(error))
                    continue
                if answer.status_code == 500 and "x-variant" in answer.headers:
                    with self._lock:
                        self.failed[answer.headers["x-variant"]] += 1
                    continue
                if answer.status_code != 200:
                    self.lost.append(f"{answer.status_code} {answer.text}")
                    continue
                who, said = answer.headers["x-variant"], answer.json()["predictions"][0]
                with self._lock:
                    self.every[who, said] += 1
                    if phase is not None and phase == self.phase:
                        self.answers[phase, who, said] += 1

    def during(self, phase: str, *wanted: tuple[str, str]) -> None:
        """Wait until each of (variant, answer) was given often in a phase; all others never."""
        self.phase = phase
        until(
            lambda: all(self.answers[(phase, *key)] > 30 for key in wanted), lambda: str((self.answers, self.lost[:5]))
        )
        self.phase = None
        assert {key[1:] for key in self.answers if key[0] == phase} == set(wanted)


def until(condition: Callable[[], bool], told: Callable[[], str] = lambda: "") -> None:
    """Look until something is so."""
    for _ in range(6000):
        if condition():
            return
        CLOCK.wait(0.05)
    pytest.fail(f"not so in five minutes: {told()}")
