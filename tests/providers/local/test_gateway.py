"""The gateway's pure parts: its configuration, who takes a request, and what Prometheus reads."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from mlinfra_local.gateway.config import Config, Health, TargetConfig, parse
from mlinfra_local.gateway.exposition import joined
from mlinfra_local.gateway.metrics import Metrics
from mlinfra_local.gateway.targets import Pool, Target

A = {"name": "a", "url": "http://127.0.0.1:1"}


def pool(*targets: TargetConfig, failures: int = 3) -> Pool:
    """A pool whose targets all answer."""
    made = Pool()
    made.use(Config(targets, Health(failures=failures)))
    for target in made.targets:
        made.mark(target, True)
    return made


def target(name: str, weight: int = 100, *, shadow: bool = False) -> TargetConfig:
    return TargetConfig(name, f"http://127.0.0.1/{name}", weight, shadow)


def picked(pool: Pool, count: int, key: Any = lambda number: None) -> Counter[str]:
    found = (pool.pick(key(number)) for number in range(count))
    return Counter(each.config.name for each in found if each is not None)


def test_a_whole_configuration() -> None:
    text = json.dumps(
        {
            "targets": [A, {**A, "name": "b", "weight": 0, "shadow": True}],
            "health": {"path": "/ping", "every": 1, "timeout": 0.5, "failures": 2},
            "sticky": "X-User",
            "timeout": 5,
            "hold": 0,
            "repeat": True,
            "metrics": "/metrics",
        }
    )
    config = parse(text)
    assert config.targets == (
        TargetConfig("a", "http://127.0.0.1:1"),
        TargetConfig("b", "http://127.0.0.1:1", 0, True),
    )
    assert config.health == Health("/ping", 1.0, 0.5, 2)
    assert (config.sticky, config.timeout, config.hold, config.repeat) == ("X-User", 5.0, 0.0, True)
    assert config.digest != parse(text + " ").digest


def test_by_itself_nothing_is_asked_twice() -> None:
    assert parse(json.dumps({"targets": [A]})) == Config(
        (TargetConfig("a", "http://127.0.0.1:1"),), digest=parse(json.dumps({"targets": [A]})).digest
    )
    assert not Config().repeat


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"targets": {}}, "list of targets"),
        ({"targets": [A, A]}, "same name"),
        ({"targets": [{**A, "url": "ftp://x"}]}, "no http URL"),
        ({"targets": [{**A, "weight": -1}]}, "weight of a"),
        ({"targets": [{**A, "weight": True}]}, "weight of a"),
        ({"targets": [{**A, "shadow": "no"}]}, "shadow"),
        ({"targets": [A], "colour": 1}, "unknown keys: colour"),
        ({"targets": [A], "health": "/ping"}, "health is not an object"),
        ({"targets": [A], "health": {"path": "ping"}}, "begins with /"),
        ({"targets": [A], "health": {"every": 0}}, "every"),
        ({"targets": [A], "health": {"failures": 0}}, "failures"),
        ({"targets": [A], "timeout": 0}, "timeout"),
        ({"targets": [A], "hold": -1}, "hold"),
        ({"targets": [A], "sticky": 7}, "sticky"),
        ({"targets": [A], "metrics": "metrics"}, "metrics"),
    ],
)
def test_a_wrong_configuration_is_told(wrong: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(json.dumps(wrong))


def test_weights_are_met_exactly_and_mixed() -> None:
    asked = pool(target("a", 70), target("b", 30), target("c", 0), target("d", shadow=True))
    assert picked(asked, 1000) == {"a": 700, "b": 300}
    # Never a run of one target longer than its weight asks for.
    assert picked(asked, 10) == {"a": 7, "b": 3}


def test_one_of_weight_nothing_answers_not_even_when_it_is_alone() -> None:
    asked = pool(target("a", 100), target("b", 0))
    asked.mark(asked.targets[0], False, at_once=True)
    assert asked.pick(None) is None
    assert asked.pick("a key") is None
    assert not asked.hopeless()
    asked.use(Config((target("b", 0), target("s", shadow=True))))
    assert asked.hopeless()


def test_a_key_stays_with_its_target_and_keys_are_spread_by_weight() -> None:
    asked = pool(target("a", 75), target("b", 25))
    found = picked(asked, 8000, lambda number: f"user-{number}")
    assert 0.72 < found["a"] / 8000 < 0.78
    before = {number: asked.pick(f"user-{number}") for number in range(500)}
    assert all(asked.pick(f"user-{number}") is before[number] for number in range(500))
    # More weight for one only takes callers to it, none from it.
    asked.use(Config((target("a", 150), target("b", 25))))
    moved = [n for n in range(500) if asked.pick(f"user-{n}") is not before[n]]
    assert moved
    assert all(before[number] is asked.targets[1] for number in moved)


def test_a_target_is_ill_after_so_many_failures_and_well_with_one_answer() -> None:
    asked = pool(target("a"), failures=3)
    (one,) = asked.targets
    for _ in range(2):
        asked.mark(one, False)
        assert one.healthy
    asked.mark(one, False)
    assert not one.healthy
    asked.mark(one, True)
    assert one.healthy
    asked.mark(one, False, at_once=True)
    assert not one.healthy


def test_one_that_was_never_asked_gets_nothing_and_one_that_stays_is_still_known() -> None:
    asked = pool(target("a"))
    asked.use(Config((target("a", 10), target("new", 90))))
    assert picked(asked, 10) == {"a": 10}
    asked.mark(asked.targets[1], True)
    assert picked(asked, 10) == {"a": 1, "new": 9}


def test_its_health_is_asked_soon_once_a_request_found_it_ill() -> None:
    async def scene() -> None:
        asked = Pool()
        asked.use(Config((target("a"),)))
        (one,) = asked.targets
        asked.mark(one, True)
        resting = asyncio.create_task(one.rest(3600))
        await asyncio.sleep(0)
        asked.mark(one, False, at_once=True)
        assert not await asyncio.wait_for(resting, 60)
        assert await one.rest(0.001)

    asyncio.run(scene())


def test_metrics_of_several_targets_are_one_page_with_families_together() -> None:
    page = (
        "# HELP reqs_total Requests.\n# TYPE reqs_total counter\n"
        'reqs_total{code="200"} 3.0\n'
        "# TYPE took histogram\n"
        'took_bucket{le="+Inf"} 3.0\ntook_count 3.0\ntook_sum 0.5\n'
        "# TYPE empty gauge\n"
        "up{} 1\n"
        "garbage {\n\n"
    )
    text = joined({"a": page, 'b"': page})
    assert text.splitlines() == [
        "# HELP reqs_total Requests.",
        "# TYPE reqs_total counter",
        'reqs_total{target="a",code="200"} 3.0',
        'reqs_total{target="b\\"",code="200"} 3.0',
        "# TYPE took histogram",
        'took_bucket{target="a",le="+Inf"} 3.0',
        'took_count{target="a"} 3.0',
        'took_sum{target="a"} 0.5',
        'took_bucket{target="b\\"",le="+Inf"} 3.0',
        'took_count{target="b\\""} 3.0',
        'took_sum{target="b\\""} 0.5',
        'up{target="a"} 1',
        'up{target="b\\""} 1',
    ]


def test_the_gateway_s_own_metrics() -> None:
    metrics = Metrics()
    metrics.answered("a", 200, 0.02)
    metrics.answered("a", 200, 40.0)
    metrics.answered("", 503, 0.0)
    metrics.copies["s", "sent"] += 1
    metrics.repeats["a"] += 2
    lines = metrics.text({"a": True, "s": False}).splitlines()
    assert 'mlinfra_route_requests_total{target="a",code="200"} 2' in lines
    assert 'mlinfra_route_requests_total{target="",code="503"} 1' in lines
    assert 'mlinfra_route_request_seconds_bucket{target="a",le="0.01"} 0' in lines
    assert 'mlinfra_route_request_seconds_bucket{target="a",le="0.025"} 1' in lines
    assert 'mlinfra_route_request_seconds_count{target="a"} 2' in lines
    assert 'mlinfra_route_request_seconds_sum{target="a"} 40.020000' in lines
    assert 'mlinfra_route_shadow_total{target="s",result="sent"} 1' in lines
    assert 'mlinfra_route_repeats_total{target="a"} 2' in lines
    assert 'mlinfra_route_target_healthy{target="s"} 0' in lines


def test_targets_are_told_apart_though_they_are_configured_alike() -> None:
    same = target("a")
    assert len({Target(same), Target(same)}) == 2
