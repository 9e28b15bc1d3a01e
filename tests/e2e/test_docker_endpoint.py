"""An endpoint on a Docker engine under a steady stream of requests: whatever changes, none is lost, and none is answered by who
should not."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from docker import APIClient

from tests.acceptance.conftest import ToolEnv
from tests.acceptance.conftest import tool_env as tool_env
from tests.e2e.docker_engine import engine
from tests.e2e.docker_shop import ASKED, SAVE, WORDS, Shop, Stream, until

IMAGES = ("python:3.11-slim", "haproxy:2.6")


@pytest.fixture(scope="module")
def api() -> Iterator[APIClient]:
    yield from engine(IMAGES)


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
    shop.run("apply", "--auto-approve")


@contextmanager
def stream(shop: Shop, *, kills: int = 0) -> Iterator[Stream]:
    """A stream of which nothing may be lost. A server sends one answer at a time, first its head: what it was sending when it
    was killed is the one thing that nobody can send again."""
    with Stream(shop.url) as asked:
        yield asked
    assert not asked.lost, asked.lost[:10]
    assert len(asked.torn) <= kills, asked.torn


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
    assert "a 0, b 100" in shop.run("status")
    logged = shop.run("logs", "endpoint.fraud")
    assert "gateway" in logged
    assert "server.a" in logged


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


def test_a_container_is_replaced_beside_the_one_that_serves(shop: Shop) -> None:
    reset(shop)
    containers = shop.containers()
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.write({"a": 100, "b": 0}, env={"MODE": "fast"}, resources={"memory": "1Gi"})
        shop.apply()
        asked.during("after", ("a", "one"))
    now = shop.containers()
    assert set(now) == set(containers)
    assert not set(now.values()) & set(containers.values())
    found = shop.api.inspect_container(now["a"])
    assert "MODE=fast" in found["Config"]["Env"]
    assert found["HostConfig"]["Memory"] == 1 << 30


def test_replicas_come_and_go_and_die_without_a_lost_request(shop: Shop) -> None:
    reset(shop)
    first = shop.containers()["a"]
    with stream(shop, kills=2) as asked:
        asked.during("one", ("a", "one"))
        shop.write({"a": 100, "b": 0}, scale={"replicas": 3})
        shop.apply()
        assert {"a", "a.2", "a.3", "b", "b.2", "b.3"} == set(shop.containers())
        asked.during("three", ("a", "one"))
        for name in ("a.2", "a"):
            shop.api.kill(shop.containers()[name])
            asked.during(f"without {name}", ("a", "one"))
        shop.apply()
        asked.during("three again", ("a", "one"))
        shop.write({"a": 100, "b": 0})
        shop.apply()
        asked.during("one again", ("a", "one"))
    assert len(shop.standing()) == 2
    assert shop.containers()["a"] == first


def test_while_the_only_server_is_dead_requests_wait(shop: Shop) -> None:
    reset(shop)
    with stream(shop, kills=2) as asked:
        asked.during("before", ("a", "one"))
        shop.api.kill(shop.containers()["a"])
        # Nobody else may answer.
        shop.apply()
        asked.during("started again", ("a", "one"))
        shop.api.remove_container(shop.containers()["a"], force=True)
        shop.apply()
        asked.during("made again", ("a", "one"))
    assert set(asked.every) == {("a", "one")}


def test_what_cannot_be_started_leaves_the_old_one_serving(shop: Shop) -> None:
    reset(shop)
    old = shop.containers()["a"]
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        shop.write({"a": 100, "b": 0}, env={"PYTHONHOME": "/nowhere"})
        shop.run("apply", "--auto-approve", code=1)
        asked.during("old", ("a", "one"))
        assert ("a", old) in shop.standing()
        shop.write({"a": 100, "b": 0})
        shop.apply()
        asked.during("after", ("a", "one"))
    assert len(shop.standing()) == 2


def test_a_header_keeps_a_caller_to_a_variant_and_a_shadow_sees_what_is_asked(shop: Shop) -> None:
    shop.model("c", "three")
    reset(shop, {"a": 50, "b": 50, "c": -1}, sticky="X-User")
    seen: dict[str, set[str]] = {}
    with httpx.Client(base_url=shop.url, trust_env=False, timeout=60) as http:
        for number in range(120):
            user = f"user-{number % 24}"
            answer = http.post("/invocations", json=ASKED, headers={"x-user": user})
            assert answer.status_code == 200
            seen.setdefault(user, set()).add(answer.headers["x-variant"])

        def copied() -> bool:
            # Copies are answered after the requests that they are of.
            return (
                float(line_of(http.get("/metrics").text, 'mlinfra_route_shadow_total{target="c",result="sent"}')) >= 120
            )

        until(copied)
        page = http.get("/metrics").text
    assert {len(variants) for variants in seen.values()} == {1}
    assert set.union(*seen.values()) == {"a", "b"}
    for variant in ("a", "b", "c"):
        assert f'mlinfra_model_info{{target="{variant}",endpoint="fraud"' in page
    answered = [float(line_of(page, f'mlinfra_route_requests_total{{target="{name}",code="200"}}')) for name in "ab"]
    assert sum(answered) >= 120
    assert float(line_of(page, 'mlinfra_route_shadow_total{target="c",result="failed"}')) == 0
    assert "a 50, b 50, c shadow" in shop.run("status")


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
    shop.api.stop(shop.containers()["a"])
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
        said = shop.run("apply", "--auto-approve", "--json")
        asked.during("after", ("a", "three"))
        assert shop.plan() == []
    assert "a canary 20 %: " in said
    assert ", 0 errors" in said
    assert shop.containers()["a"] != containers["a"]
    assert len(shop.standing()) == 2
    assert not asked.failed


def test_a_bad_version_is_rolled_back_by_itself(shop: Shop) -> None:
    reset(shop, **canary("60s"))
    old = shop.containers()["a"]
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        for word, why in (("broken", "requests failed"), ("slow", "took longer than 3 s")):
            shop.model("a", word)
            said = shop.run("apply", "--auto-approve", code=1)
            assert "rolled back at 20 %" in said
            assert why in said
            asked.during(f"after {word}", ("a", "one"))
            # The old one serves on, the new one stands idle, and the plan says that it is still to take over.
            assert ("a", old) in shop.standing()
            assert len(shop.standing()) >= 3
            assert any("other containers answer" in line for line in shop.plan()), shop.plan()
        shop.model("a", "one")
        shop.write({"a": 100, "b": 0}, **canary("2s"))
        shop.apply()
        asked.during("mended", ("a", "one"))
    assert len(shop.standing()) == 2
    # What the broken version could not answer the old one has answered.
    assert not asked.failed


def test_an_apply_that_is_cut_off_in_a_bake_leaves_a_mixture_and_the_next_goes_on(shop: Shop) -> None:
    reset(shop, **canary())
    with stream(shop) as asked:
        asked.during("before", ("a", "one"))
        for old, new, how in (("one", "three", signal.SIGINT), ("three", "one", signal.SIGKILL)):
            shop.model("a", new)
            shop.write({"a": 100, "b": 0}, **canary("300s"))
            cut_off(shop, asked, ("a", new), how)
            asked.during(f"mixture after {how.name}", ("a", old), ("a", new))
            there = shop.standing()
            assert any("canary a 20 % → settled" in line for line in shop.plan()), shop.plan()
            shop.write({"a": 100, "b": 0}, **canary("2s"))
            shop.apply()
            asked.during(f"after {how.name}", ("a", new))
            assert len(shop.standing()) == 2
            assert set(shop.standing()) < set(there)
    assert not asked.failed


def cut_off(shop: Shop, asked: Stream, answer: tuple[str, str], how: signal.Signals) -> None:
    """Begin an apply and end it when the new server has begun to answer."""
    child, before = shop.start("apply", "--auto-approve"), asked.every[answer]
    until(lambda: asked.every[answer] > before + 30, lambda: f"{child.poll()}: {asked.lost[:5]}")
    child.send_signal(how)
    if how == signal.SIGINT:  # the first asks it to finish what it does
        assert child.stderr is not None
        assert any("Once more ends the waits" in line for line in child.stderr)
        child.send_signal(how)
    child.communicate(timeout=120)
