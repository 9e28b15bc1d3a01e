"""Workloads on a real engine: what a container is given, what outlives it, what is mended, and that nothing stays behind."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import File, HealthCheck, Job, Limits, Mount, Port, Route, Software, Target, Volume
from tests.providers.docker.lab import NOTHING
from tests.providers.docker.runtime_lab import PYTHON, RuntimeLab, ask, server


@pytest.fixture
def lab(tmp_path: Path, api: APIClient) -> Iterator[RuntimeLab]:
    made = RuntimeLab(
        tmp_path, f"lab{uuid.uuid4().hex[:10]}", api, environment={"provider": "docker", "disposable": True}
    )
    if not api.images(name="python:3.11-slim"):
        pytest.fail("the engine has no python:3.11-slim: run scripts/docker_engine.sh")
    yield made
    made.clean()


def written(lab: RuntimeLab, text: str) -> bool:
    """Whether a text stands in a file that mlinfra keeps."""
    return any(text.encode() in path.read_bytes() for path in (lab.folder / ".mlinfra").rglob("*") if path.is_file())


# -- services -----------------------------------------------------------------------------------------------------------------


def pair(lowering: Lowering) -> Mapping[str, Any]:
    """A service, and another that knows the first by the one URL that a recipe has."""
    store = lowering.service(server("store", env={"COLOUR": "blue"}, secrets={"token": "hunter2"}))
    user = lowering.service(
        server(
            "user",
            env={"STORE": f"{store.urls['http']}/v1"},
            files=(File("settings.json", f'{{"store": "{store.urls["http"]}"}}', reload=True),),
        )
    )
    return {"store": store.urls["http"], "user": user.urls["http"]}


def test_users_and_workloads_each_have_a_url_that_works_for_them(lab: RuntimeLab) -> None:
    found = lab.up(pair)
    assert found["store"].startswith("http://127.0.0.1:")
    told = ask(found["user"])["env"]
    assert told["STORE"] == "http://storage-x-store:8000/v1"
    assert "http://storage-x-store:8000" in ask(found["user"], "/read=/mlinfra/files/settings.json")["text"]
    script = f"import urllib.request as u; print(u.urlopen('{told['STORE']}').status)"
    inside = lab.api.exec_create(lab.called("test-storage-x-user"), ["python3", "-c", script])
    assert lab.api.exec_start(inside["Id"]).strip() == b"200"


def test_a_secret_is_a_file_of_the_user_alone(lab: RuntimeLab) -> None:
    found = lab.up(pair)
    assert ask(found["store"], "/read=/run/secrets/token") == {"text": "hunter2", "mode": "0o400"}
    assert "hunter2" not in str(ask(found["store"]))
    assert "hunter2" not in str(lab.api.inspect_container(lab.called("test-storage-x-store"))["Config"])
    assert not written(lab, "hunter2")


def test_a_port_is_chosen_once(lab: RuntimeLab) -> None:
    found = lab.up(pair)
    lab.api.remove_container(lab.called("test-storage-x-store"), force=True)
    lab.mend()
    assert lab.outputs() == found
    assert ask(found["store"])["env"]["COLOUR"] == "blue"


def test_a_new_value_in_a_reloaded_file_restarts_nothing(lab: RuntimeLab) -> None:
    def telling(text: str) -> Any:
        return lambda lowering: {
            "url": lowering.service(server("s", files=(File("live", text, reload=True), File("fixed", "1")))).urls[
                "http"
            ]
        }

    url = lab.up(telling("one"))["url"]
    before = lab.fields("container.s")["id"]
    lab.up(telling("two"))
    assert ask(url, "/read=/mlinfra/files/live")["text"] == "two"
    assert lab.fields("container.s")["id"] == before


def test_what_restarts_a_service(lab: RuntimeLab) -> None:
    def with_reason(reason: str) -> Any:
        return lambda lowering: {"url": lowering.service(server("s", restart_on={"schema": reason})).urls["http"]}

    lab.up(with_reason("1"))
    before = lab.fields("container.s")["id"]
    lab.up(with_reason("2"))
    assert lab.fields("container.s")["id"] != before


def test_limits_reach_the_engine(lab: RuntimeLab) -> None:
    lab.up(
        lambda lowering: {"u": lowering.service(server("s", limits=Limits(cpu=0.5, memory=64 * 2**20))).urls["http"]}
    )
    host = lab.api.inspect_container(lab.called("test-storage-x-s"))["HostConfig"]
    assert (host["NanoCpus"], host["Memory"]) == (500_000_000, 64 * 2**20)


def test_a_service_that_is_ill_is_told(lab: RuntimeLab) -> None:
    from mlinfra.sdk.workload import Probe

    sick = server("s", command=(slot("python"), "-c", "print('no port given'); raise SystemExit(3)"))
    lab.recipe = lambda lowering: {"u": lowering.service(sick).urls["http"]}
    lab.write({}, storage={"x": {}})
    outcome = lab.apply()
    assert outcome is not None
    assert "exit code 3" in str(outcome.failed)
    wrong = server("s", probe=Probe("http", "/", timeout=1), command=(slot("python"), "-m", "http.server", "81"))
    lab.recipe = lambda lowering: {"u": lowering.service(wrong).urls["http"]}
    outcome = lab.apply()
    assert outcome is not None
    assert "health check fails" in str(outcome.failed)


def test_destroy_leaves_nothing(lab: RuntimeLab) -> None:
    def all_sorts(lowering: Lowering) -> Mapping[str, Any]:
        volume = lowering.volume(Volume("data", data=True))
        lowering.service(server("s", Mount("data", volume)))
        lowering.job(Job("j", Software("python:3.11-slim", ("six",)), (slot("python"), "-c", "import six")))
        return {}

    lab.up(all_sorts)
    assert lab.run().succeeded
    assert lab.owned()["images"]
    assert len(lab.owned()["containers"]) == 2
    outcome = lab.apply(destroy=True)
    assert outcome is not None
    assert outcome.succeeded
    assert lab.owned() == NOTHING


# -- volumes ------------------------------------------------------------------------------------------------------------------


def seeded(lowering: Lowering) -> Mapping[str, Any]:
    volume = lowering.volume(Volume("data", contents="seed"))
    other = lowering.service(server("s", Mount("data", volume), env={"WHERE": slot("path:data")}))
    return {"path": volume.path, "url": volume.url, "server": other.urls["http"]}


def test_files_of_the_blueprint_are_in_a_volume(lab: RuntimeLab) -> None:
    seed = lab.folder / "seed"
    (seed / "sub").mkdir(parents=True)
    (seed / "a.bin").write_bytes(b"a1")
    (seed / "sub" / "b").write_text("b1")
    found = lab.up(seeded)
    where = "/mlinfra/storage/x/data"
    assert (found["path"], found["url"]) == (where, f"file://{where}")
    assert ask(found["server"])["env"]["WHERE"] == where

    def text(name: str) -> str | None:
        return ask(found["server"], f"/read={where}/{name}").get("text")

    def inside(*command: str) -> None:
        made = lab.api.exec_create(lab.called("test-storage-x-s"), list(command))
        lab.api.exec_start(made["Id"])
        assert lab.api.exec_inspect(made["Id"])["ExitCode"] == 0

    assert (text("a.bin"), text("sub/b")) == ("a1", "b1")
    inside("rm", f"{where}/a.bin")
    assert lab.node("storage.x/contents.data").summary == "a.bin → copied"
    lab.mend()
    assert text("a.bin") == "a1"
    inside("sh", "-c", f"echo mine > {where}/a.bin; echo own > {where}/own")
    (seed / "a.bin").write_bytes(b"a2")
    (seed / "sub" / "b").write_text("b2")
    lab.mend()
    assert (text("a.bin"), text("sub/b"), text("own")) == ("mine\n", "b2", "own\n")
    (seed / "sub" / "b").unlink()
    lab.mend()
    assert text("sub/b") is None
    assert text("own") == "own\n"


# -- jobs ---------------------------------------------------------------------------------------------------------------------


def job(script: str, **more: Any) -> Any:
    """A recipe of one job."""

    def lower(lowering: Lowering) -> Mapping[str, Any]:
        lowering.job(Job("j", PYTHON, (slot("python"), "-c", script), **more))
        return {}

    return lower


def test_a_job_runs_in_a_fresh_container_with_its_source(lab: RuntimeLab) -> None:
    (lab.folder / "code").mkdir(parents=True)
    (lab.folder / "code" / "data.txt").write_text("first")
    lab.up(job("import os; print(os.listdir('.'), open('data.txt').read()); open('left', 'w')", source="code"))
    assert lab.run().succeeded
    assert "['data.txt'] first" in lab.said()
    (lab.folder / "code" / "data.txt").write_text("second")
    assert lab.run().succeeded
    assert "['data.txt'] second" in lab.said()
    assert lab.plan().empty


def test_how_a_job_ended_is_told(lab: RuntimeLab) -> None:
    lab.up(job("import sys; print('so it is'); sys.exit(7)", retries=1))
    outcome = lab.run()
    assert "ended with exit code 7" in str(outcome.failed)
    assert lab.said().count("so it is") == 2


def test_a_job_that_takes_too_long_is_stopped(lab: RuntimeLab) -> None:
    lab.up(job("import threading; threading.Event().wait()", timeout=1.0))
    assert "stopped at its limit of 1 s" in str(lab.run().failed)
    state = lab.api.inspect_container(lab.called("test-storage-x-j"))["State"]
    assert not state["Running"]


def test_a_job_that_needs_too_much_memory_is_told_so(lab: RuntimeLab) -> None:
    lab.up(job("x = b'x' * (200 * 2**20); print(len(x))", limits=Limits(memory=32 * 2**20)))
    assert "out of memory: it needed more than its limit of 32 MiB" in str(lab.run().failed)


def test_a_changed_job_is_known_without_the_engine_having_run_it(lab: RuntimeLab) -> None:
    lab.up(job("print(1)"))
    assert lab.owned()["containers"] == []
    lab.recipe = job("print(2)")
    assert [node.address for node in lab.plan().shown()] == ["storage.x/job.j"]


# -- secrets ------------------------------------------------------------------------------------------------------------------


def test_a_generated_secret_stays_and_never_reaches_the_state(lab: RuntimeLab) -> None:
    def token_of(lowering: Lowering) -> Mapping[str, Any]:
        return {"url": lowering.service(server("s", secrets={"token": slot_of("secret.token")})).urls["http"]}

    def slot_of(component: str) -> str:
        from mlinfra.sdk.refs import ref

        return ref(f"{component}/secret.secret", "value")

    lab.recipe = token_of
    lab.write({}, secret={"token": {"generate": {"length": 40}}}, storage={"x": {}})
    lab.mend()
    url = lab.outputs()["url"]
    made = ask(url, "/read=/run/secrets/token")["text"]
    assert len(made) == 40
    assert not written(lab, made)
    lab.api.remove_container(lab.called("test-storage-x-s"), force=True)
    lab.mend()
    assert ask(url, "/read=/run/secrets/token")["text"] == made


# -- routes -------------------------------------------------------------------------------------------------------------------


def routed(weights: Mapping[str, int], *, replicas: int = 1, sticky: str | None = None) -> Any:
    def lower(lowering: Lowering) -> Mapping[str, Any]:
        targets = tuple(
            Target(name, lowering.service(server(name, env={"ME": name}, replicas=replicas)), "http", weight)
            for name, weight in weights.items()
        )
        health = HealthCheck("/", every=0.5, timeout=1.0)
        return {"url": lowering.route(Route("x", targets, Port(8080), health=health, sticky=sticky)).url}

    return lower


def test_weights_share_requests_and_a_change_loses_none(lab: RuntimeLab) -> None:
    url = lab.up(routed({"a": 100, "b": 0}))["url"]
    assert {ask(url)["env"]["ME"] for _ in range(20)} == {"a"}
    gateway = lab.fields("container.gateway")["id"]
    over = threading.Event()
    lost: list[str] = []
    answered: list[str] = []

    def load() -> None:
        while not over.is_set():
            try:
                answered.append(ask(url)["env"]["ME"])
            except OSError as error:
                lost.append(str(error))

    callers = [threading.Thread(target=load) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        lab.up(routed({"a": 50, "b": 50}))
        lab.up(routed({"a": 0, "b": 100}))
    finally:
        over.set()
        for caller in callers:
            caller.join()
    assert lost == []
    assert set(answered) == {"a", "b"}
    assert {ask(url)["env"]["ME"] for _ in range(20)} == {"b"}
    assert lab.fields("container.gateway")["id"] == gateway


def test_replicas_share_the_requests_of_their_target(lab: RuntimeLab) -> None:
    url = lab.up(routed({"a": 100}, replicas=2))["url"]
    seen: set[str] = set()
    clock = threading.Event()
    for _ in range(600):  # the second may still have to pass its first checks
        seen.add(ask(url)["host"])
        if len(seen) == 2:
            break
        clock.wait(0.1)
    assert len(seen) == 2
    lab.api.stop(lab.called("test-storage-x-a"), timeout=1)
    assert len({ask(url)["host"] for _ in range(20)}) == 1


def test_a_caller_stays_on_its_target(lab: RuntimeLab) -> None:
    url = lab.up(routed({"a": 50, "b": 50}, sticky="X-User"))["url"]
    for user in ("u1", "u2", "u3"):
        assert len({ask(url, headers={"X-User": user})["env"]["ME"] for _ in range(15)}) == 1
    assert {ask(url, headers={"X-User": f"u{n}"})["env"]["ME"] for n in range(40)} == {"a", "b"}
