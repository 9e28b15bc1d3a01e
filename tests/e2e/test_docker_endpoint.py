"""An endpoint on a Docker engine under a steady stream of requests: whatever changes, none is lost, and none is answered by who
should not."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from docker import APIClient
from docker.errors import DockerException

from tests.acceptance.conftest import ToolEnv
from tests.acceptance.conftest import tool_env as tool_env
from tests.e2e.docker_shop import ASKED, SAVE, WORDS, Shop, Stream, until

IMAGES = ("python:3.11-slim", "haproxy:2.6")


def absent(why: str) -> None:
    """Skip with the reason; in CI, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def api() -> Iterator[APIClient]:
    try:
        client = APIClient(base_url=os.environ.get("DOCKER_HOST"), version="auto")
        missing = [image for image in IMAGES if not client.images(name=image)]
    except DockerException as error:
        absent(f"no Docker engine answers (scripts/docker_engine.sh brings one up): {error}")
    if missing:
        absent(f"the Docker engine has no {' and no '.join(missing)} (scripts/docker_engine.sh provides them)")
    yield client
    client.close()


@pytest.fixture(scope="module")
def shop(tool_env: ToolEnv, tmp_path_factory: pytest.TempPathFactory, api: APIClient) -> Iterator[Shop]:
    """A shop whose endpoint runs; afterwards destroyed, with nothing left."""
    root, models = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("models")
    saved = [str(tool_env("modelserver")), "-c", SAVE, str(models), *WORDS]
    subprocess.run(saved, check=True, capture_output=True)
    shop = Shop(root, models, api)
    try:
        reset(shop)
        yield shop
        shop.run("destroy", "--auto-approve")
        assert shop.owned() == {"containers": [], "networks": [], "volumes": [], "images": []}
    finally:
        shop.end()


def reset(shop: Shop, weights: dict[str, int] | None = None, **fields: Any) -> None:
    """One variant that answers ``one``, another that answers ``two`` and gets nothing."""
    shop.model("a", "one")
    shop.model("b", "two")
    shop.write(weights or {"a": 100, "b": 0}, **fields)
    shop.apply()


@contextmanager
def stream(shop: Shop, headers: dict[str, str] | None = None) -> Iterator[Stream]:
    """A stream of which nothing may be lost."""
    with Stream(shop.url, headers) as asked:
        yield asked
    assert not asked.lost, asked.lost[:10]


def test_weights_move_without_a_lost_request(shop: Shop) -> None:
    reset(shop)
    containers = shop.containers()
    with stream(shop) as asked:
        asked.during("100/0", ("a", "one"))
        shop.write({"a": 50, "b": 50})
        assert shop.plan() == ["~ weights  a 100 → 50, b 0 → 50"]
        shop.apply()
        asked.during("50/50", ("a", "one"), ("b", "two"))
        shop.write({"a": 0, "b": 100})
        shop.apply()
        asked.during("0/100", ("b", "two"))
    even = [asked.answers["50/50", who, said] for who, said in (("a", "one"), ("b", "two"))]
    assert 0.8 < even[0] / even[1] < 1.25
    assert not asked.failed
    assert shop.containers() == containers


def test_a_version_takes_over_in_its_server_without_a_lost_request(shop: Shop) -> None:
    reset(shop)
    containers = shop.containers()
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.model("a", "three")
        shop.apply()
        asked.during("after", ("a", "three"))
    assert set(asked.every) == {("a", "one"), ("a", "three")}
    assert shop.containers() == containers
    assert shop.run("check")


def test_a_container_is_replaced_beside_the_one_that_serves(shop: Shop) -> None:
    reset(shop)
    containers = shop.containers()
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.write({"a": 100, "b": 0}, env={"MODE": "fast"})
        shop.apply()
        asked.during("after", ("a", "one"))
    now = shop.containers()
    assert set(now) == set(containers)
    assert not set(now.values()) & set(containers.values())
    assert "MODE=fast" in shop.api.inspect_container(now["a"])["Config"]["Env"]


def test_replicas_come_and_go_without_a_lost_request(shop: Shop) -> None:
    reset(shop)
    with stream(shop) as asked:
        asked.during("one", ("a", "one"))
        shop.write({"a": 100, "b": 0}, scale={"replicas": 3})
        shop.apply()
        assert {"a", "a.2", "a.3", "b", "b.2", "b.3"} == set(shop.containers())
        asked.during("three", ("a", "one"))
        shop.write({"a": 100, "b": 0})
        shop.apply()
        asked.during("one again", ("a", "one"))
    assert len(shop.containers()) == 2


def test_a_server_that_dies_loses_no_request_and_comes_back(shop: Shop) -> None:
    reset(shop)
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.api.kill(shop.containers()["a"])
        # Nobody else may answer, so requests wait.
        shop.apply()
        asked.during("started again", ("a", "one"))
        shop.api.remove_container(shop.containers()["a"], force=True)
        shop.apply()
        asked.during("made again", ("a", "one"))
        # With another variant in force it answers meanwhile.
        shop.write({"a": 50, "b": 50})
        shop.apply()
        shop.api.kill(shop.containers()["a"])
        asked.during("one of two", ("b", "two"))
        shop.apply()
        asked.during("both again", ("a", "one"), ("b", "two"))


def test_what_cannot_be_started_leaves_the_old_one_serving(shop: Shop) -> None:
    reset(shop)
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.write({"a": 100, "b": 0}, env={"PYTHONHOME": "/nowhere"})
        shop.run("apply", "--auto-approve", code=1)
        asked.during("old", ("a", "one"))
        shop.write({"a": 100, "b": 0})
        shop.apply()
        asked.during("after", ("a", "one"))
    assert len(shop.containers()) == 2


def test_a_shadow_sees_what_the_others_answer(shop: Shop) -> None:
    reset(shop, {"a": 100, "b": -1})
    with stream(shop) as asked:
        asked.during("shadowed", ("a", "one"))
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as http:
        page = http.get("/metrics").text
    sent = float(line_of(page, 'mlinfra_route_shadow_total{target="b",result="sent"}'))
    assert sent > 0.9 * asked.every["a", "one"]
    for variant in ("a", "b"):
        assert f'mlinfra_model_info{{target="{variant}",endpoint="fraud"' in page
    assert float(line_of(page, 'mlinfra_route_requests_total{target="a",code="200"}')) >= asked.every["a", "one"]


def line_of(page: str, sample: str) -> str:
    (found,) = [line.split()[-1] for line in page.splitlines() if line.startswith(sample)]
    return found


def test_who_has_no_token_is_refused(shop: Shop) -> None:
    secret = {"secret": {"api": {"generate": True}}}
    reset(shop, auth={"token": "${secret.api.value}"}, besides=secret)
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as http:
        for headers in ({}, {"authorization": "Bearer sesame"}):
            refused = http.post("/invocations", json=ASKED, headers=headers)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert http.get("/metrics", headers=headers).status_code == 401
        assert http.get("/ping").status_code == 200
    assert "✓" in shop.run("check")


def test_nobody_to_answer_is_told_after_the_timeout(shop: Shop) -> None:
    reset(shop, timeout="3s")
    for name in ("a", "b"):
        shop.api.stop(shop.containers()[name])
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as http:
        answer = http.post("/invocations", json=ASKED)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error_code"] == "TEMPORARILY_UNAVAILABLE"
        assert http.get("/ping").status_code == 503
    shop.apply()
    assert "✓" in shop.run("check")


# -- canaries -----------------------------------------------------------------------------------------------------------------


def canary(bake: str = "3s") -> dict[str, Any]:
    """A rollout in two steps that errors and slowness end. A busy machine is not slow by that measure."""
    return {"rollout": {"canary": [20, 100], "bake": bake, "rollback": {"error_rate": 0.05, "latency": "3s"}}}


def test_a_good_version_gets_all_requests_step_by_step(shop: Shop) -> None:
    reset(shop, **canary())
    containers = shop.containers()
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.model("a", "three")
        said = shop.apply()
        asked.during("after", ("a", "three"))
    assert "a canary 20 %: " in said
    assert ", 0 errors" in said
    assert shop.containers()["a"] != containers["a"]
    assert len(shop.containers()) == 2
    assert not asked.failed


@pytest.mark.parametrize(("word", "why"), [("broken", "requests failed"), ("slow", "took longer than 3 s")])
def test_a_bad_version_is_rolled_back_by_itself(shop: Shop, word: str, why: str) -> None:
    reset(shop, **canary("60s"))
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.model("a", word)
        said = shop.run("apply", "--auto-approve", code=1)
        assert "rolled back at 20 %" in said
        assert why in said
        answered = sum(asked.every.values())
        failed = sum(asked.failed.values())
        asked.during("after", ("a", "one"))
        # The plan says what is so: the version is still to take over.
        assert any("new containers take over" in line or "other containers answer" in line for line in shop.plan())
        shop.model("a", "one")
        shop.apply()
        asked.during("mended", ("a", "one"))
    # Only the canary's share was ever in danger.
    assert failed < 0.5 * answered
    assert len(shop.containers()) == 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_an_apply_that_is_cut_off_in_a_bake_leaves_a_mixture_and_the_next_goes_on(
    shop: Shop, how: signal.Signals
) -> None:
    reset(shop, **canary())
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.model("a", "three")
        shop.write({"a": 100, "b": 0}, **canary("300s"))
        child = shop.start("apply", "--auto-approve")
        until(lambda: asked.every["a", "three"] > 30, lambda: str(child.poll()))
        child.send_signal(how)
        if how == signal.SIGINT:
            until(lambda: child.poll() is not None or child.send_signal(how) is not None)
        child.communicate(timeout=120)
        asked.during("mixture", ("a", "one"), ("a", "three"))
        assert any("canary a 20 % → settled" in line for line in shop.plan()), shop.plan()
        shop.write({"a": 100, "b": 0}, **canary("2s"))
        shop.apply()
        asked.during("after", ("a", "three"))
    assert len(shop.containers()) == 2
    assert not asked.failed
