"""The model server as a real process, with a model that a real MLflow registered: protocols, hot swap, capture, the end."""

from __future__ import annotations

import collections
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlinfra_tools.modelserver.bundle import server_script

from .conftest import ToolEnv

TRAIN = """
import sys, time, mlflow, numpy, pandas
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_experiment("fraud")
for seed in (1, 2):
    random = numpy.random.default_rng(seed)
    x = pandas.DataFrame({"amount": random.gamma(2, 50, 300), "txn_count_7d": random.integers(0, 40, 300)})
    y = ((x.amount > 100) & (x.txn_count_7d > 15)).astype(int)
    model = LogisticRegression().fit(x, y)
    with mlflow.start_run():
        mlflow.sklearn.log_model(model, name="model", signature=infer_signature(x, model.predict(x)),
                                 input_example=x.head(3), registered_model_name="fraud",
                                 pip_requirements=["scikit-learn"])
class Blunt(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        if (model_input["amount"] < 0).any():
            raise RuntimeError("negative amount")
        time.sleep(2 if (model_input["amount"] == 1234).any() else 0)
        return model_input["amount"] * 2
with mlflow.start_run():
    mlflow.pyfunc.log_model(name="blunt", python_model=Blunt(), registered_model_name="blunt",
                            signature=infer_signature(x[["amount"]], x["amount"]), pip_requirements=[])
"""
ROWS = {"dataframe_records": [{"amount": 300, "txn_count_7d": 30}, {"amount": 1, "txn_count_7d": 1}]}


@dataclass(frozen=True)
class Registry:
    """A running tracking server, and the interpreter that model servers before it run with."""

    url: str
    python: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1800):
        if condition():
            return
        if process.poll() is not None:
            break
        time.sleep(0.1)
    pytest.fail(f"not so in three minutes, or ended with {process.poll()}:\n{log.read_text()[-3000:]}")


@contextmanager
def running(command: list[str], log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, cwd=log.parent, env={**os.environ, **env}, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def registry(tool_env: ToolEnv, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A tracking server with ``fraud`` 1 and 2, and ``blunt`` 1."""
    folder = tmp_path_factory.mktemp("registry")
    python = tool_env("mlflow")
    url = f"http://127.0.0.1:{free_port()}"
    server = [
        str(python), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", url.rpartition(":")[2], "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with running(server, folder / "server.log", **quiet) as process:
        until(lambda: answers(f"{url}/health"), process, folder / "server.log")
        train = subprocess.run(
            [str(python), "-c", TRAIN, url], capture_output=True, text=True, cwd=folder, env={**os.environ, **quiet}
        )
        assert train.returncode == 0, train.stderr[-3000:]
        yield Registry(url, tool_env("modelserver"))


class Server:
    """A started model server."""

    def __init__(self, folder: Path, registry: Registry, **settings: Any) -> None:
        self.folder = folder
        self.registry = registry
        self.settings = {"endpoint": "fraud", "variant": "champion", "model": "fraud", "capture": {}, **settings}
        self.port = free_port()
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes]
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    @property
    def command(self) -> list[str]:
        script = self.folder / "server.py"
        script.write_text(server_script(), encoding="utf-8")
        return [
            str(self.registry.python), str(script), "--port", str(self.port), "--config", str(self.folder / "config.json"),
            "--captures", str(self.folder / "captures"), "--models", str(self.folder / "models"),
        ]  # fmt: skip

    def serve(self, version: int, **settings: Any) -> None:
        self.settings.update(settings)
        content = {**self.settings, "version": version, "tracking_uri": self.registry.url}
        (self.folder / "config.json").write_text(json.dumps(content))

    def ready(self) -> bool:
        return answers(f"http://127.0.0.1:{self.port}/ready")

    def wait(self) -> None:
        until(self.ready, self.process, self.log)

    def ask(self, body: Any = ROWS, **headers: str) -> httpx.Response:
        return self.http.post("/invocations", json=body, headers=headers)

    def captured(self) -> list[Any]:
        files = (self.folder / "captures" / "champion").glob("*.jsonl")
        return [json.loads(line) for file in sorted(files) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def shared_server(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with started(Server(tmp_path_factory.mktemp("server"), registry)) as server:
        yield server


@contextmanager
def started(server: Server, version: int = 1) -> Iterator[Server]:
    server.serve(version)
    with running(server.command, server.log) as process, server.http:
        server.process = process
        server.wait()
        yield server


@pytest.fixture
def server(shared_server: Server) -> Server:
    """The shared server with version 1 in force and no special settings."""
    shared_server.serve(1, model="fraud", cache=None, batching=None)
    shared_server.wait()
    return shared_server


@pytest.mark.parametrize(
    "body",
    [
        ROWS,
        {"dataframe_split": {"columns": ["txn_count_7d", "amount"], "data": [[30, 300.0], [1, 1.0]]}},
        {"inputs": {"amount": [300, 1], "txn_count_7d": [30, 1]}},
        {"inputs": [[300.0, 30], [1, 1]]},
        {"instances": [{"amount": 300.0, "txn_count_7d": 30}, {"amount": 1, "txn_count_7d": 1}]},
    ],
)
def test_every_form_of_mlflow_s_protocol_gives_the_same_answer(server: Server, body: Any) -> None:
    answer = server.ask(body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == [1, 0]
    assert [round(sum(row), 6) for row in answer.json()["probabilities"]] == [1, 1]
    assert (answer.headers["x-model-version"], answer.headers["x-variant"]) == ("1", "champion")


def test_csv_the_example_and_the_health_paths(server: Server) -> None:
    csv = server.http.post(
        "/invocations",
        content="amount,txn_count_7d\n300,30\n1,1\n",
        headers={"content-type": "text/csv; charset=utf-8"},
    )
    assert csv.json()["predictions"] == [1, 0]
    example = server.http.get("/example").json()
    assert len(example["dataframe_split"]["data"]) == 1
    assert server.ask(example).status_code == 200
    assert server.http.get("/version").text == "3.17.2"
    assert [server.http.get(path).status_code for path in ("/ping", "/health", "/v2/health/live")] == [200] * 3


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"dataframe_records": [{"amounts": 3, "txn_count_7d": 1}]}, 400, "missing column: amount; unknown: amounts"),
        ({"dataframe_records": [{"amount": "much", "txn_count_7d": 1}]}, 400, "amount"),
        ({"dataframe_records": [{"amount": 3, "txn_count_7d": None}]}, 400, "txn_count_7d"),
        ({"inputs": {"amount": ["much"], "txn_count_7d": [1]}}, 400, "column amount"),
        ({"inputs": [[1.0, 1.5]]}, 400, "column txn_count_7d"),
        ({"inputs": [[1.0]]}, 400, "amount, txn_count_7d"),
        ({"dataframe_records": []}, 400, "amount"),
        ({"rows": []}, 400, "it has rows"),
        ([1], 400, "not a list"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(server: Server, body: Any, status: int, words: str) -> None:
    answer = server.ask(body)
    assert answer.status_code == status
    assert answer.json()["error_code"] == "BAD_REQUEST"
    assert words in answer.json()["message"]


def test_other_refusals_have_their_status(server: Server) -> None:
    post = server.http.post
    assert post("/invocations", content="{", headers={"content-type": "application/json"}).status_code == 400
    assert post("/invocations", content="x", headers={"content-type": "application/xml"}).status_code == 415
    server.serve(1, max_body=1000)
    server.wait()
    assert post("/invocations", content="x" * 2000).status_code == 413
    server.serve(1, max_body=10_000_000)
    assert server.http.get("/invocations").status_code == 405
    assert server.http.get("/nowhere").status_code == 404


def test_the_open_inference_protocol(server: Server) -> None:
    meta = server.http.get("/v2/models/fraud").json()
    assert (meta["name"], meta["versions"]) == ("fraud", ["1"])
    assert [(item["name"], item["datatype"]) for item in meta["inputs"]] == [
        ("amount", "FP64"),
        ("txn_count_7d", "INT64"),
    ]
    assert server.http.get("/v2/models/fraud/versions/1/ready").json()["ready"] is True
    columns = [
        {"name": "amount", "shape": [2], "datatype": "FP64", "data": [300, 1]},
        {"name": "txn_count_7d", "shape": [2, 1], "datatype": "INT64", "data": [30, 1]},
    ]
    answer = server.http.post("/v2/models/fraud/infer", json={"id": "q1", "inputs": columns}).json()
    assert (answer["id"], answer["model_version"]) == ("q1", "1")
    predictions, chances = answer["outputs"]
    assert predictions == {"name": "predictions", "shape": [2], "datatype": "INT64", "data": [1, 0]}
    assert (chances["name"], chances["shape"], chances["datatype"]) == ("probabilities", [2, 2], "FP64")
    matrix = [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [[300, 30], [1, 1]]}]
    only = {"inputs": matrix, "outputs": [{"name": "predictions"}]}
    assert server.http.post("/v2/models/fraud/infer", json=only).json()["outputs"] == [predictions]
    for inputs, words in (
        (columns[:1], "missing column: txn_count_7d"),
        ([{**columns[0], "shape": [3]}], 'input "amount": shape [3]'),
        ([{**columns[0], "datatype": "REAL"}], 'input "amount": datatype'),
        ([], "inputs"),
    ):
        refused = server.http.post("/v2/models/fraud/infer", json={"inputs": inputs})
        assert refused.status_code == 400
        assert words in refused.json()["error"]
    assert server.http.get("/v2/models/other").status_code == 404
    assert server.http.get("/v2/models/fraud/versions/9").status_code == 404


def test_a_moved_version_takes_over_and_no_request_is_lost(server: Server) -> None:
    seen: collections.Counter[Any] = collections.Counter()
    stop = threading.Event()

    def caller() -> None:
        with httpx.Client(base_url=server.http.base_url, timeout=30) as client:
            while not stop.is_set():
                answer = client.post("/invocations", json=ROWS)
                seen[answer.status_code, answer.headers["x-model-version"]] += 1

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for thread in callers:
        thread.start()
    try:
        until(lambda: seen[200, "1"] > 20, server.process, server.log)
        server.serve(2)
        assert server.http.get("/ready").status_code == 503
        server.wait()
        assert server.http.get("/config").json()["in_force"] == {"model": "fraud", "version": "2"}
        until(lambda: seen[200, "2"] > 20, server.process, server.log)
    finally:
        stop.set()
        for thread in callers:
            thread.join()
    assert set(seen) == {(200, "1"), (200, "2")}
    page = server.http.get("/metrics").text
    assert 'mlinfra_model_info{endpoint="fraud",model="fraud",variant="champion",version="2"} 1.0' in page
    assert 'code="200",endpoint="fraud",protocol="invocations",variant="champion",version="1"' in page


def test_a_version_that_cannot_be_loaded_leaves_the_old_one_serving(server: Server) -> None:
    server.serve(99)
    until(lambda: server.http.get("/ready").status_code == 500, server.process, server.log)
    assert "fraud version 99 cannot be loaded" in server.http.get("/ready").json()["failure"]
    assert server.ask().headers["x-model-version"] == "1"
    assert "version 99 cannot be loaded" in server.log.read_text()
    server.serve(1)
    assert server.ready()


def test_a_model_of_anybody_s_code(server: Server) -> None:
    server.serve(1, model="blunt")
    server.wait()
    assert server.ask({"dataframe_records": [{"amount": 2.0}]}).json() == {"predictions": [4.0]}
    failed = server.ask({"dataframe_records": [{"amount": -1.0}]})
    assert failed.status_code == 500
    assert "negative amount" in failed.json()["message"]
    assert server.http.get("/example").json() == {"dataframe_split": {"columns": ["amount"], "data": [[0]]}}
    # A batch with a bad request in it: each of the others still gets its answer.
    server.serve(1, batching={"max_rows": 16, "max_wait": 0.2})
    server.wait()
    found: dict[int, int] = {}

    def one(amount: int) -> None:
        found[amount] = server.ask({"dataframe_records": [{"amount": float(amount)}]}).status_code

    threads = [threading.Thread(target=one, args=(amount,)) for amount in (-1, 1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {-1: 500, 1: 200, 2: 200, 3: 200}


def test_equal_requests_are_answered_from_the_cache_and_captured_still(server: Server) -> None:
    server.serve(1, cache={"ttl": 600})
    server.wait()
    for name in ("once", "again"):
        assert server.ask(ROWS, **{"x-request-id": f"cached-{name}"}).json()["predictions"] == [1, 0]
    assert (
        'mlinfra_model_cache_total{endpoint="fraud",result="hit",variant="champion"} 1.0'
        in server.http.get("/metrics").text
    )
    until(
        lambda: {row["request_id"] for row in server.captured()} >= {"cached-once", "cached-again"},
        server.process,
        server.log,
    )


def test_the_end_answers_what_is_under_way_and_writes_what_was_asked(registry: Registry, tmp_path: Path) -> None:
    slow: list[httpx.Response] = []
    flight = 'mlinfra_model_in_flight{endpoint="fraud",variant="champion"} 1.0'
    with started(Server(tmp_path, registry)) as server:
        assert server.ask(ROWS, **{"x-request-id": "first"}).status_code == 200
        server.serve(1, model="blunt")
        server.wait()
        last = {"dataframe_records": [{"amount": 1234.0}]}
        caller = threading.Thread(target=lambda: slow.append(server.ask(last, **{"x-request-id": "last"})))
        caller.start()
        until(lambda: flight in server.http.get("/metrics").text, server.process, server.log)
        server.process.terminate()
        caller.join()
        assert server.process.wait(30) == 0
        first, second, third = server.captured()
    assert slow[0].json() == {"predictions": [2468.0]}
    assert (first["row"], first["version"], first["prediction"]) == (0, "1", 1)
    assert first["inputs"] == {"amount": 300.0, "txn_count_7d": 30}
    assert len(first["probabilities"]) == 2
    assert (second["request_id"], second["row"], second["prediction"]) == ("first", 1, 0)
    assert (third["request_id"], third["model"], third["prediction"]) == ("last", "blunt", 2468.0)
    assert not [path for path in (tmp_path / "models").iterdir() if path.is_dir()]


def test_a_server_without_any_model_ends_and_says_why(registry: Registry, tmp_path: Path) -> None:
    server = Server(tmp_path, registry)
    server.serve(99)
    with running(server.command, server.log) as process:
        assert process.wait(120) == 1
    assert "fraud version 99 cannot be loaded" in server.log.read_text()
