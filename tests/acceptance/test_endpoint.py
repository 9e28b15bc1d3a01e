"""An endpoint from its blueprint, applied by the command line: real servers and a real gateway under a steady stream of requests.

The models lie in folders of the blueprint, so that nothing but the endpoint is needed. Each answers with a word of its own.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from .conftest import ToolEnv

SAVE = """
import shutil, sys, mlflow.pyfunc, pandas
from mlflow.models import infer_signature
class Fixed(mlflow.pyfunc.PythonModel):
    def __init__(self, said): self.said = said
    def predict(self, context, model_input, params=None): return [self.said] * len(model_input)
frame = pandas.DataFrame({"amount": [1.0]})
for said in sys.argv[2:]:
    mlflow.pyfunc.save_model(f"{sys.argv[1]}/{said}", python_model=Fixed(said), input_example=frame,
                             signature=infer_signature(frame, ["x"]), pip_requirements=[])
"""
ASKED = {"dataframe_records": [{"amount": 3.0}]}
CLOCK = threading.Event()
"""Never set: its wait is a pause between two looks."""


class Shop:
    """A folder with a blueprint of one endpoint."""

    def __init__(self, root: Path, models: Path) -> None:
        self.root = root
        self._models = models
        self.fields: dict[str, Any] = {}

    def model(self, name: str, said: str) -> None:
        """Put the model that answers ``said`` into the folder ``name``."""
        target = self.root / "models" / name
        target.mkdir(parents=True, exist_ok=True)
        for file in (self._models / said).iterdir():
            (target / file.name).write_bytes(file.read_bytes())

    def write(self, a: int, b: int, **fields: Any) -> None:
        """Write the blueprint: the weights of both variants, and other fields of the endpoint."""
        variants = {
            "a": {"artifact": "models/a", "weight": a},
            "b": {"artifact": "models/b", "weight": b},
            **fields.pop("variants", {}),
        }
        blueprint = {
            "blueprint": "shop",
            "environments": {"laptop": {"provider": "local", "default": True, "disposable": True}},
            **fields.pop("besides", {}),
            "endpoint": {"fraud": {"variants": variants, **fields}},
        }
        # JSON is YAML.
        (self.root / "blueprint.yaml").write_text(json.dumps(blueprint, indent=1))

    def run(self, *arguments: str, code: int = 0, **env: str) -> str:
        """Run mlinfra, and give what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "mlinfra", *arguments],
            cwd=self.root,
            env={**os.environ, "NO_COLOR": "1", "COLUMNS": "160", **env},
            capture_output=True,
            text=True,
        )
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def apply(self, **env: str) -> None:
        self.run("apply", "--auto-approve", **env)
        assert "No changes" in self.run("plan", "--detailed-exitcode", **env)

    def plan(self) -> list[str]:
        """The lines of a plan that tell a change."""
        return [line.strip() for line in self.run("plan").splitlines() if re.match(r"\s+[~+-]", line)]

    @property
    def url(self) -> str:
        return self.run("output", "endpoint.fraud.url").strip()

    def process(self, variant: str) -> psutil.Process:
        """The living process of a variant."""
        run = self.root / ".mlinfra" / "laptop" / "processes" / f"endpoint.fraud.{variant}" / "run.json"
        return psutil.Process(json.loads(run.read_text())["pid"])

    def captured(self, variant: str) -> list[dict[str, Any]]:
        folder = self.root / ".mlinfra" / "laptop" / "volumes" / "endpoint.fraud" / "capture" / variant
        return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


class Stream:
    """Requests from several threads, one after the other without a pause. ``phase`` says what is in force; None while that
    changes. ``answers`` counts what was asked and answered within one phase; ``lost`` is what was not answered with 200."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.phase: str | None = None
        self.answers: Counter[tuple[str, str, str]] = Counter()
        self.every: Counter[tuple[str, str]] = Counter()
        self.lost: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(6)]

    def __enter__(self) -> Stream:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=120, trust_env=False) as http:
            while not self._stop.is_set():
                phase = self.phase
                try:
                    answer = http.post("/invocations", json=ASKED)
                except httpx.HTTPError as error:
                    self.lost.append(repr(error))
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
    for _ in range(2400):
        if condition():
            return
        CLOCK.wait(0.05)
    pytest.fail(f"not so in two minutes: {told()}")


@pytest.fixture(scope="module")
def shop(tool_env: ToolEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shop whose endpoint runs, with words ``one`` and ``two`` behind ``a`` and ``b``."""
    root, models = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("models")
    saved = [str(tool_env("modelserver")), "-c", SAVE, str(models), "one", "two", "three"]
    subprocess.run(saved, check=True, capture_output=True)
    shop = Shop(root, models)
    try:
        reset(shop)
        yield shop
    finally:
        shop.run("destroy", "--auto-approve")
    left = [path for path in (root / ".mlinfra" / "laptop").glob("*") if path.is_dir()]
    assert not left
    assert not [p for p in psutil.process_iter() if _belongs(p, root)]


def _belongs(process: psutil.Process, root: Path) -> bool:
    try:
        return any(str(root) in word for word in process.cmdline())
    except psutil.Error:
        return False


def reset(shop: Shop, **fields: Any) -> None:
    shop.model("a", "one")
    shop.model("b", "two")
    shop.write(100, 0, **fields)
    shop.apply()


@contextmanager
def stream(shop: Shop) -> Iterator[Stream]:
    """A stream of which nothing may be lost."""
    with Stream(shop.url) as asked:
        yield asked
    assert not asked.lost, asked.lost[:10]


def test_weights_move_without_a_lost_request(shop: Shop) -> None:
    reset(shop)
    with stream(shop) as asked:
        asked.during("100/0", ("a", "one"))
        shop.write(50, 50)
        assert shop.plan() == ["~ weights  a 100 → 50, b 0 → 50"]
        shop.apply()
        asked.during("50/50", ("a", "one"), ("b", "two"))
        shop.write(0, 100)
        shop.apply()
        asked.during("0/100", ("b", "two"))
    even = [asked.answers["50/50", who, said] for who, said in (("a", "one"), ("b", "two"))]
    assert 0.8 < even[0] / even[1] < 1.25


def test_another_version_takes_over_without_a_lost_request(shop: Shop) -> None:
    reset(shop)
    process = shop.process("a")
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.model("a", "three")
        assert re.fullmatch(r"~ a serving  version \w+ → \w+", shop.plan()[-1])
        shop.apply()
        # The apply ended, so the new version is in force: nobody gets the old one any more.
        asked.during("after", ("a", "three"))
    assert set(asked.every) == {("a", "one"), ("a", "three")}
    assert shop.process("a") == process
    assert shop.run("check")


def test_a_server_that_is_restarted_loses_no_request(shop: Shop) -> None:
    reset(shop)
    process = shop.process("a")
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.write(100, 0, env={"MODE": "fast"})
        shop.apply()
        asked.during("after", ("a", "one"))
    assert shop.process("a") != process
    assert shop.process("a").environ()["MODE"] == "fast"


def test_a_killed_server_loses_no_request_and_an_apply_mends_just_that(shop: Shop) -> None:
    reset(shop)
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        for _ in range(2):
            os.kill(shop.process("a").pid, signal.SIGKILL)
            # Nobody else may answer, so requests wait.
            assert shop.plan() == ["~ process a  stopped → start  (changed outside mlinfra)"]
            shop.apply()
            asked.during("after", ("a", "one"))
        # With another variant in force it answers meanwhile.
        shop.write(50, 50)
        shop.apply()
        asked.during("both", ("a", "one"), ("b", "two"))
        os.kill(shop.process("a").pid, signal.SIGKILL)
        asked.during("one of two", ("b", "two"))
        shop.apply()
        asked.during("both again", ("a", "one"), ("b", "two"))


def test_a_shadow_sees_what_the_others_answer(shop: Shop) -> None:
    reset(shop, variants={"s": {"artifact": "models/b", "shadow": True}})
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as http:
        ids = [f"order-{number}" for number in range(20)]
        for name in ids:
            answer = http.post("/invocations", json=ASKED, headers={"x-request-id": name})
            assert (answer.headers["x-variant"], answer.headers["x-request-id"]) == ("a", name)
        unnamed = http.post("/invocations", json=ASKED).headers["x-request-id"]
        both = {*ids, unnamed}

        def seen(variant: str) -> set[str]:
            return {row["request_id"] for row in shop.captured(variant)}

        until(lambda: both <= seen("a") and both <= seen("s"))
        assert {row["prediction"] for row in shop.captured("s")} == {"two"}
        page = http.get("/metrics").text
        assert 'mlinfra_route_shadow_total{target="s",result="sent"}' in page
        for variant in ("a", "b", "s"):
            assert f'mlinfra_model_info{{target="{variant}",endpoint="fraud"' in page


def test_who_has_no_token_is_refused(shop: Shop) -> None:
    secret = {"secret": {"api": {"generate": True}}}
    reset(shop, auth={"token": "${secret.api.value}"}, besides=secret)
    token = (shop.root / ".mlinfra" / "laptop" / "secrets" / "api").read_text()
    right, wrong = {"authorization": f"Bearer {token}"}, {"authorization": "Bearer sesame"}
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as http:
        for headers in ({}, wrong, {"authorization": token}):
            for path in ("/invocations", "/v2/models/fraud/infer"):
                refused = http.post(path, json=ASKED, headers=headers)
                assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
                assert "Authorization: Bearer TOKEN" in refused.text
            for path in ("/metrics", "/config", "/example", "/version", "/nowhere"):
                assert http.get(path, headers=headers).status_code == 401
        # A large body of somebody who may not ask gets its answer too, not a broken connection.
        assert http.post("/invocations", content=b"x" * 20_000_000).status_code == 401
        assert http.post("/invocations", content=b"x" * 20_000_000, headers=right).status_code == 413
        assert http.post("/invocations", json=ASKED, headers=right).json() == {"predictions": ["one"]}
        assert http.get("/metrics", headers=right).status_code == 200
        assert http.get("/ping").status_code == 200
        assert set(http.get("/ready").json()) == {"state", "wanted", "in_force"}
    assert "✓" in shop.run("check")
    assert token not in shop.run("show")
    # Nowhere but in files that are made for it: not in the environment or command, the state, the logs, the rest.
    process = shop.process("a")
    assert token not in " ".join([*process.cmdline(), *process.environ().values()])
    holders = {
        str(path.relative_to(shop.root / ".mlinfra" / "laptop"))
        for path in (shop.root / ".mlinfra").rglob("*")
        if path.is_file() and "envs" not in path.parts and token.encode() in path.read_bytes()
    }
    assert holders == {"secrets/api", *(f"processes/endpoint.fraud.{name}/secrets/token" for name in ("a", "b"))}


def test_a_model_that_cannot_be_loaded_leaves_the_old_one_serving(shop: Shop) -> None:
    reset(shop)
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        (shop.root / "models" / "a" / "python_model.pkl").write_bytes(b"damaged")
        failed = subprocess.run(
            [sys.executable, "-m", "mlinfra", "apply", "--auto-approve"], cwd=shop.root, capture_output=True, text=True
        )
        assert failed.returncode == 1
        assert "cannot be loaded" in failed.stderr
        assert "goes on serving" in failed.stderr
        asked.during("old", ("a", "one"))
        shop.model("a", "one")
        shop.apply()
        asked.during("after", ("a", "one"))


def test_a_folder_that_is_no_model_is_told_at_its_place(shop: Shop) -> None:
    shop.write(100, 0, variants={"c": {"artifact": "models/none"}})
    try:
        refused = subprocess.run(
            [sys.executable, "-m", "mlinfra", "plan"], cwd=shop.root, capture_output=True, text=True
        )
        assert refused.returncode == 1
        assert "there is no such folder" in refused.stderr
        assert "blueprint.yaml:" in refused.stderr
    finally:
        shop.write(100, 0)
