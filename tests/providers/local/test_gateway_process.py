"""The gateway as a real process in its own environment, before servers that misbehave on demand."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from mlinfra_local.gateway.bundle import gateway_lock, gateway_script

CLOCK = threading.Event()
"""Never set: its wait is a pause between two looks."""


@pytest.fixture(scope="session")
def gateway_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of the gateway's environment."""
    given = os.environ.get("MLINFRA_TEST_ENVS")
    shared = tmp_path_factory.getbasetemp()
    root = Path(given) if given else (shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared) / "envs"
    root.mkdir(parents=True, exist_ok=True)
    folder = root / f"gateway-{hashlib.sha256(gateway_lock().encode()).hexdigest()[:12]}"
    with (root / f"{folder.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            uv = [sys.executable, "-m", "uv", "--quiet"]
            subprocess.run([*uv, "venv", "--clear", "--python", sys.executable, str(folder)], check=True)
            install = [*uv, "pip", "install", "--python", str(folder / "bin" / "python"), "--require-hashes", "-r", "-"]
            subprocess.run(install, input=gateway_lock(), text=True, check=True)
            (folder / "done").touch()
    return folder / "bin" / "python"


class Upstream:
    """A server that answers who it is and what it got. ``mode`` says how it does:

    ``ok``; ``ill`` (its health says 503); ``busy`` (503 with Retry-After); ``closing`` (no answer at all); ``half`` (an answer
    that ends too early); ``slow`` (answers once `open` is set); ``stream`` (a part now, the rest once `open` is set).
    """

    def __init__(self, name: str, port: int = 0) -> None:
        self.name = name
        self.mode = "ok"
        self.open = threading.Event()
        self.seen: list[dict[str, Any]] = []
        self.arrived = threading.Semaphore(0)
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version: ClassVar[str] = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def handle(self) -> None:
                try:
                    super().handle()
                except ConnectionError:  # the gateway gave up
                    self.close_connection = True

            def do_GET(self) -> None:
                if self.path == "/ping":
                    self._say(503 if upstream.mode == "ill" else 200, {})
                elif self.path == "/metrics":
                    allowed = self.headers.get("Authorization") in (upstream.token, f"Bearer {upstream.token}")
                    self._say(200 if allowed else 401, None, b'# TYPE asked counter\nasked{code="200"} 1\n')
                else:
                    self._answer(b"")

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_POST(self) -> None:
                if self.headers.get("Transfer-Encoding"):
                    parts = []
                    while size := int(self.rfile.readline(), 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    self._answer(b"".join(parts))
                else:
                    self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def _answer(self, body: bytes) -> None:
                mode = upstream.mode
                said = {
                    "name": upstream.name,
                    "path": self.path,
                    "bytes": len(body),
                    "digest": hashlib.sha256(body).hexdigest(),
                    "headers": {key.lower(): value for key, value in self.headers.items()},
                }
                upstream.seen.append(said)
                upstream.arrived.release()
                if mode == "slow":
                    upstream.open.wait(60)
                if mode == "closing":
                    self.close_connection = True
                elif mode == "half":
                    self.send_response(200)
                    self.send_header("Content-Length", "1000")
                    self.end_headers()
                    self.wfile.write(b"half")
                    self.close_connection = True
                elif mode == "busy":
                    self._say(503, {"error": "not yet"}, **{"Retry-After": "1"})
                elif mode == "stream":
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                    self.wfile.write(b"5\r\nfirst\r\n")
                    self.wfile.flush()
                    upstream.open.wait(60)
                    self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")
                else:
                    self._say(200, said, **{"X-Variant": upstream.name, "X-Model-Version": "7"})

            def _say(self, status: int, value: Any, raw: bytes = b"", **headers: str) -> None:
                body = raw or json.dumps(value).encode()
                self.send_response(status)
                for key, text in {
                    "Content-Length": str(len(body)),
                    "Content-Type": "application/json",
                    **headers,
                }.items():
                    self.send_header(key, text)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

        self.token: str | None = None
        """What must be in the header Authorization of those who ask for metrics."""
        self._handler = Handler
        self._server_type = Server
        self._start(port)

    def _start(self, port: int) -> None:
        self._server = self._server_type(("127.0.0.1", port), self._handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def start_again(self) -> None:
        """Listen on the same port as before."""
        self._start(self.port)

    def close(self) -> None:
        self.open.set()
        if self._thread.is_alive():
            self.stop()


class Gateway:
    """A started gateway, with its files in ``folder``; ``file`` is its configuration where that is elsewhere."""

    def __init__(self, python: Path, folder: Path, file: Path | None = None) -> None:
        self.folder = folder
        self.file = file or folder / "route.json"
        self.log = folder / "log"
        script = folder / "gateway.py"
        script.write_text(gateway_script(), encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        command = [str(python), str(script), "--port", str(port), "--config", str(self.file)]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)
        self.url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.until(self._answers)

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(3000):
            if condition():
                return
            if self.process.poll() is not None:
                break
            CLOCK.wait(0.02)
        pytest.fail(f"not so in a minute, or ended with {self.process.poll()}:\n{self.log.read_text()[-3000:]}")

    def _answers(self) -> bool:
        try:
            return self.http.get("/-/health").status_code == 200
        except httpx.TransportError:
            return False

    def use(self, *targets: dict[str, Any], healthy: bool = True, **settings: Any) -> None:
        """Put a configuration in force, and wait until its targets are known to be well."""
        config = {"targets": list(targets), "health": {"path": "/ping", "every": 0.5}, **settings}
        text = json.dumps(config)
        part = self.folder / "part"
        part.write_text(text)
        part.replace(self.file)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.until(lambda: self.http.get("/-/config").json()["digest"] == digest)
        if healthy:
            self.until(lambda: all(self.health().values()))

    def health(self) -> dict[str, bool]:
        targets: dict[str, bool] = self.http.get("/-/health").json()["targets"]
        return targets

    def metric(self, line: str) -> float:
        for found in self.http.get("/-/metrics").text.splitlines():
            if found.startswith(f"{line} "):
                return float(found.rpartition(" ")[2])
        return 0.0

    def ask(self, body: bytes = b"{}", **headers: str) -> httpx.Response:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.http.post("/invocations", content=body, headers=named)

    def later(self, count: int = 1, body: bytes = b"{}") -> Later:
        """Ask in threads of their own."""
        return Later(self, count, body)

    def close(self) -> None:
        self.http.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Later:
    """Requests under way."""

    def __init__(self, gateway: Gateway, count: int, body: bytes) -> None:
        def ask() -> httpx.Response:
            return httpx.post(f"{gateway.url}/invocations", content=body, timeout=60, trust_env=False, verify=False)

        self._pool = ThreadPoolExecutor(count)
        self._answers = [self._pool.submit(ask) for _ in range(count)]

    def __enter__(self) -> Later:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown()

    def answers(self) -> list[httpx.Response]:
        return [answer.result() for answer in self._answers]


@pytest.fixture(scope="module")
def shared_gateway(gateway_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(gateway_python, tmp_path_factory.mktemp("gateway"))
    yield gateway
    gateway.close()


@pytest.fixture
def gateway(shared_gateway: Gateway) -> Gateway:
    return shared_gateway


@contextmanager
def upstreams(*names: str) -> Iterator[list[Upstream]]:
    made = [Upstream(name) for name in names]
    try:
        yield made
    finally:
        for each in made:
            each.close()


def at(upstream: Upstream, weight: int = 100, **more: Any) -> dict[str, Any]:
    return {"name": upstream.name, "url": upstream.url, "weight": weight, **more}


def who(answers: list[httpx.Response]) -> Counter[str]:
    assert {answer.status_code for answer in answers} == {200}, [answer.text for answer in answers]
    return Counter(answer.json()["name"] for answer in answers)


# -- who answers -------------------------------------------------------------------------------------------------------


def test_weights_are_met_and_the_headers_pass(gateway: Gateway) -> None:
    with upstreams("a", "b", "c") as (a, b, c):
        gateway.use(at(a, 30), at(b, 10), at(c, 0))
        assert who([gateway.ask() for _ in range(40)]) == {"a": 30, "b": 10}
        assert not c.seen
        answer = gateway.ask(x_request_id="mine", x_user="u")
        assert answer.headers["x-variant"] == answer.headers["x-mlinfra-target"] == answer.json()["name"]
        assert answer.headers["x-model-version"] == "7"
        got = answer.json()["headers"]
        assert got["x-request-id"] == "mine"
        assert got["x-user"] == "u"
        assert got["x-forwarded-for"] == "127.0.0.1"
        # A request without an id gets one, and the next another.
        ids = {gateway.ask().json()["headers"]["x-request-id"] for _ in range(3)}
        assert len(ids) == 3


def test_the_path_passes_as_it_came(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a))
        gateway.http.get("/v2/models/a%2Fb/ready?x=%20y&z")
        assert a.seen[-1]["path"] == "/v2/models/a%2Fb/ready?x=%20y&z"
        head = gateway.http.head("/example")
        assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["content-length"]) > 0


def test_a_sticky_caller_stays(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a, 50), at(b, 50), sticky="X-User")
        for user in ("ann", "bob", "cid", "dan", "eve", "fay", "gus", "hal"):
            assert len(who([gateway.ask(x_user=user) for _ in range(5)])) == 1
        assert a.seen
        assert b.seen
        # Without the header by weight alone.
        assert who([gateway.ask() for _ in range(10)]) == {"a": 5, "b": 5}


def test_weights_change_under_load_and_who_has_none_answers_none(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a, 100), at(b, 0))
        stop = threading.Event()
        lost: list[str] = []
        phase: list[int | None] = [None]
        """The weight of a that is in force; None while it changes."""
        answered: Counter[tuple[int, str]] = Counter()

        def caller() -> None:
            with httpx.Client(base_url=gateway.url, timeout=60, trust_env=False) as http:
                while not stop.is_set():
                    before = phase[0]
                    try:
                        answer = http.post("/invocations", content=b"{}")
                    except httpx.HTTPError as error:
                        lost.append(repr(error))
                        continue
                    if answer.status_code != 200:
                        lost.append(answer.text)
                    elif before is not None and phase[0] == before:
                        answered[before, answer.json()["name"]] += 1

        callers = [threading.Thread(target=caller) for _ in range(8)]
        for thread in callers:
            thread.start()
        try:
            for weight in (100, 51, 0, 70, 30):
                phase[0] = None
                gateway.use(at(a, weight), at(b, 100 - weight))
                phase[0] = weight
                wanted = [(weight, name) for name, share in (("a", weight), ("b", 100 - weight)) if share]
                gateway.until(lambda keys=wanted: all(answered[key] > 30 for key in keys))
        finally:
            stop.set()
            for thread in callers:
                thread.join()
        assert not lost
        assert answered[100, "b"] == answered[0, "a"] == 0


def test_a_wrong_configuration_leaves_the_old_one_in_force(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a))
        gateway.file.write_text('{"targets": [')
        gateway.until(lambda: gateway.http.get("/-/config").json()["error"] is not None)
        assert who([gateway.ask()]) == {"a": 1}
        gateway.use(at(a))
        gateway.until(lambda: gateway.http.get("/-/config").json()["error"] is None)


# -- targets that fail -------------------------------------------------------------------------------------------------


def test_requests_wait_for_a_target_that_is_being_restarted(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a), hold=60)
        a.stop()
        with gateway.later(20) as requests:
            gateway.until(lambda: gateway.metric("mlinfra_route_waiting") == 20)
            # Whoever asks how it does is told at once.
            assert gateway.http.get("/ping").status_code == 503
            a.start_again()
            assert who(requests.answers()) == {"a": 20}


def test_they_do_not_wait_for_ever(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a), hold=0.2)
        a.stop()
        answer = gateway.ask(x_request_id="mine")
        assert answer.status_code == 503
        assert answer.json() == {"error": "no target can take this request now"}
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["x-request-id"] == "mine"


def test_a_target_that_is_not_ready_yet_is_asked_no_more_until_it_is(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a), at(b), health={"path": "/ping", "every": 3600})
        # Its last check went well, and the process behind it has been exchanged since.
        a.mode = "busy"
        assert who([gateway.ask() for _ in range(10)]) == {"b": 10}
        a.mode = "ok"
        gateway.until(lambda: gateway.health()["a"])
        assert who([gateway.ask() for _ in range(10)]) == {"a": 5, "b": 5}


def test_one_that_says_it_is_well_and_takes_nothing_is_not_asked_without_end(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a), hold=1)
        a.mode = "busy"
        assert gateway.ask().status_code == 503
        assert 2 <= len(a.seen) <= 10
        # Whoever asks how it does gets one try.
        before = len(a.seen)
        gateway.use(at(a), hold=1, health={"path": "/healthy"}, healthy=False)
        gateway.until(lambda: len(a.seen) > before)
        assert gateway.http.get("/healthy").status_code == 503


def test_an_ill_target_gets_nothing_after_so_many_failures(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a), at(b), health={"path": "/ping", "every": 0.05, "failures": 2})
        a.mode = "ill"
        gateway.until(lambda: not gateway.health()["a"])
        assert who([gateway.ask() for _ in range(10)]) == {"b": 10}
        a.mode = "ok"
        gateway.until(lambda: gateway.health()["a"])
        assert who([gateway.ask() for _ in range(10)]) == {"a": 5, "b": 5}


@pytest.mark.parametrize("mode", ["closing", "half"])
def test_an_answer_that_never_came_whole_is_asked_of_another(gateway: Gateway, mode: str) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a), at(b), repeat=True)
        a.mode = mode
        assert who([gateway.ask() for _ in range(10)]) == {"b": 10}
        assert a.seen
        b.mode = mode
        before = len(a.seen) + len(b.seen)
        answer = gateway.ask()
        assert answer.status_code == 502
        assert len(a.seen) + len(b.seen) == before + 3


def test_what_may_have_been_done_is_not_asked_twice_unless_it_is_safe(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        a.mode = b.mode = "closing"
        gateway.use(at(a), at(b), repeat=False)
        assert gateway.ask().status_code == 502
        assert len(a.seen) + len(b.seen) == 1
        assert gateway.http.get("/example").status_code == 502
        assert len(a.seen) + len(b.seen) == 4


def test_a_target_that_takes_too_long(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a), timeout=0.3)
        a.mode = "slow"
        answer = gateway.ask()
        assert answer.status_code == 504
        assert "within 0.3 s" in answer.json()["error"]
        assert len(a.seen) == 1


# -- bodies and answers of all sizes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000, 30_000_000])
def test_bodies_of_any_size_arrive_whole(gateway: Gateway, size: int) -> None:
    body = os.urandom(size)
    with upstreams("a") as (a,):
        gateway.use(at(a))
        answer = gateway.ask(body, content_encoding="gzip")
        assert answer.status_code == 200
        assert answer.json()["digest"] == hashlib.sha256(body).hexdigest()
        # What is packed stays packed: the gateway does not look into bodies.
        assert answer.json()["headers"]["content-encoding"] == "gzip"


def test_an_answer_comes_as_it_is_made(gateway: Gateway) -> None:
    with upstreams("a") as (a,):
        gateway.use(at(a))
        a.mode = "stream"
        with gateway.http.stream("POST", "/invocations", content=b"{}") as answer:
            parts = answer.iter_raw()
            assert next(parts) == b"first"
            a.open.set()
            assert b"".join(parts) == b"last"


def test_many_at_once_and_over_one_connection(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a), at(b))
        a.mode = b.mode = "slow"
        with gateway.later(150) as requests:
            for _ in range(75):
                assert a.arrived.acquire(timeout=60)
                assert b.arrived.acquire(timeout=60)
            a.open.set()
            b.open.set()
            assert who(requests.answers()) == {"a": 75, "b": 75}
        a.mode = b.mode = "ok"
        connection = http.client.HTTPConnection("127.0.0.1", int(gateway.url.rpartition(":")[2]), timeout=60)
        connection.connect()
        first = connection.sock
        for _ in range(20):
            connection.request("POST", "/invocations", b"{}")
            assert connection.getresponse().read()
            assert connection.sock is first
        connection.close()


def test_a_caller_that_goes_away_costs_nothing(gateway: Gateway) -> None:
    gone = 'mlinfra_route_requests_total{target="",code="499"}'
    with upstreams("a") as (a,):
        gateway.use(at(a))
        before = gateway.metric(gone)
        a.mode = "slow"
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as caller:
            caller.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            assert a.arrived.acquire(timeout=60)
        gateway.until(lambda: gateway.metric(gone) == before + 1)
        # One that goes away in the middle of its body is never sent.
        with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2]))) as caller:
            caller.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n{")
        gateway.until(lambda: gateway.metric(gone) == before + 2)
        assert len(a.seen) == 1
        a.open.set()
        a.mode = "ok"
        assert who([gateway.ask()]) == {"a": 1}


# -- shadows ------------------------------------------------------------------------------------------------------------


def test_a_shadow_gets_copies_and_delays_nobody(gateway: Gateway) -> None:
    with upstreams("a", "s") as (a, s):
        gateway.use(at(a), at(s, 100, shadow=True))
        s.mode = "slow"
        sent = gateway.metric('mlinfra_route_shadow_total{target="s",result="sent"}')
        dropped = gateway.metric('mlinfra_route_shadow_total{target="s",result="dropped"}')
        # The shadow answers none of them yet: that all come back shows that none waits for it.
        assert who([gateway.ask(json.dumps({"n": n}).encode()) for n in range(100)]) == {"a": 100}
        s.open.set()
        gateway.until(lambda: gateway.metric('mlinfra_route_shadow_total{target="s",result="sent"}') == sent + 64)
        assert gateway.metric('mlinfra_route_shadow_total{target="s",result="dropped"}') == dropped + 36
        ids = {one["headers"]["x-request-id"]: one["digest"] for one in a.seen}
        assert all(ids[one["headers"]["x-request-id"]] == one["digest"] for one in s.seen)


def test_a_shadow_that_fails_harms_nobody(gateway: Gateway) -> None:
    with upstreams("a", "s") as (a, s):
        gateway.use(at(a), at(s, shadow=True))
        s.mode = "closing"
        failed = gateway.metric('mlinfra_route_shadow_total{target="s",result="failed"}')
        assert who([gateway.ask() for _ in range(5)]) == {"a": 5}
        gateway.until(lambda: gateway.metric('mlinfra_route_shadow_total{target="s",result="failed"}') == failed + 5)


# -- what it tells, and its end -------------------------------------------------------------------------------------------


def test_metrics_are_those_of_all_targets(gateway: Gateway) -> None:
    with upstreams("a", "b") as (a, b):
        gateway.use(at(a), at(b, shadow=True), metrics="/metrics")
        page = gateway.http.get("/metrics").text
        assert page.startswith('# TYPE asked counter\nasked{target="a",code="200"} 1\nasked{target="b",code')
        assert "mlinfra_route_target_healthy" in page
        a.token = b.token = "sesame"
        assert gateway.http.get("/metrics").status_code == 401
        assert gateway.http.get("/metrics", headers={"authorization": "Bearer sesame"}).status_code == 200
        a.stop()
        b.stop()
        gateway.until(lambda: not any(gateway.health().values()))
        assert gateway.http.get("/metrics").status_code == 503


def test_at_its_end_it_answers_what_is_under_way(gateway_python: Path, tmp_path: Path) -> None:
    gateway = Gateway(gateway_python, tmp_path)
    try:
        with upstreams("a") as (a,):
            gateway.use(at(a))
            a.mode = "slow"
            with gateway.later(3) as requests:
                for _ in range(3):
                    assert a.arrived.acquire(timeout=60)
                gateway.process.send_signal(signal.SIGTERM)
                gateway.until(lambda: _refused(gateway.url))
                a.open.set()
                assert who(requests.answers()) == {"a": 3}
            assert gateway.process.wait(60) == 0
    finally:
        gateway.close()


def _refused(url: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0
