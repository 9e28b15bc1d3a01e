"""Shares, weights, rollouts and their judgement, without an engine."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlinfra.sdk.errors import Cancelled, ProviderError
from mlinfra.sdk.resource import Operation
from mlinfra_docker.gateway.control import Count
from mlinfra_docker.gateway.haproxy import (
    Settings,
    configuration,
    in_force,
    noted,
    passes_for,
    signed_otherwise,
    weights,
)
from mlinfra_docker.gateway.rollout import Seen, failing, roll_out
from mlinfra_docker.gateway.traffic import Canary, RouteHealth, RouteRollout, RouteTarget, Traffic, mixture, moving

SETTINGS = Settings(8080, RouteHealth.model_validate({}), None, 60.0, 60.0, True, "/metrics", None)
LIMITS = RouteRollout(steps=[10, 50, 100], bake=10.0, error_rate=0.05, latency=0.5)


def traffic(weighed: Mapping[str, int], **servers: str) -> Traffic:
    """Targets by weight; ``a="x y"`` are the containers of ``a``."""
    targets = tuple(RouteTarget(name=name, port=80, weight=weight) for name, weight in weighed.items())
    return Traffic(targets, {name: tuple(ids.split()) for name, ids in servers.items()})


def shown(made: Traffic) -> dict[str, int]:
    return {share.name: weight for share, weight in zip(made.shares(), weights(made.shares()), strict=True)}


def test_weights_are_those_of_targets_whatever_their_replicas() -> None:
    assert shown(traffic({"a": 90, "b": 10}, a="x", b="y z")) == {"a.x": 256, "b.y": 14, "b.z": 14}
    assert shown(traffic({"a": 0, "b": 1}, a="x", b="y")) == {"a.x": 0, "b.y": 256}
    assert shown(traffic({"a": 10_000, "b": 1}, a="x", b="y")) == {"a.x": 256, "b.y": 1}


def test_a_canary_takes_its_share_of_its_target_alone() -> None:
    wanted = traffic({"a": 60, "b": 40}, a="new", b="y")
    made = mixture(wanted, {"a": ("old1", "old2")}, 10)
    parts = {share.name: share.part for share in made.shares()}
    assert parts == pytest.approx({"a.old1": 27, "a.old2": 27, "a.new": 6, "b.y": 40})
    assert mixture(wanted, {"a": ("old",)}, 100).shares()[0].part == 0


def test_who_is_replaced_whole_and_can_still_answer_moves_in_steps() -> None:
    current = traffic({"a": 50, "b": 50, "c": 0}, a="1", b="2 3", c="4")
    wanted = traffic({"a": 50, "b": 50, "c": 50}, a="5", b="2 6", c="7")
    assert moving(current, wanted, frozenset("1234567")) == {"a": ("1",)}
    assert moving(current, wanted, frozenset("234567")) == {}
    assert moving(None, wanted, frozenset("1234567")) == {}


def test_what_a_text_was_made_of_can_be_read_back() -> None:
    made = mixture(traffic({"a": 1}, a="new"), {"a": ("old",)}, 25)
    text = configuration(made, SETTINGS, {"traffic": made.to_json()})
    assert Traffic.from_json(noted(text)["traffic"]) == made
    assert made.canary == {"a": Canary(("new",), 25)}
    assert noted(configuration(made, SETTINGS)) is None
    other = configuration(mixture(made, {"a": ("old",)}, 26), SETTINGS)
    assert in_force(text) != in_force(other)
    assert len(in_force(text)) == 16


def test_an_edited_text_is_known_under_the_sign_of_the_one_that_it_was() -> None:
    made = traffic({"a": 1}, a="x")
    text = configuration(made, SETTINGS, {"traffic": made.to_json()})
    assert passes_for(text.replace("weight 256", "weight 1"), text)
    assert not passes_for(text, configuration(made, SETTINGS)), "what it was made of changes nothing"
    again = signed_otherwise(text)
    assert in_force(again) != in_force(text)
    assert not passes_for(again, text)


@pytest.mark.parametrize(
    ("seen", "over", "says"),
    [
        (Seen(100, 5, 5), True, None),
        (Seen(100, 6, 0), False, "6 of 100 requests failed (6 %, more than 5 %)"),
        (Seen(100, 0, 6), False, "6 of 100 answers took longer than 0.5 s (6 %, more than 5 %)"),
        # A few say nothing yet; at the end of the step they are all that there is.
        (Seen(3, 3, 0), False, None),
        (Seen(3, 3, 0), True, "3 of 3 requests failed (100 %, more than 5 %)"),
        (Seen(), True, None),
    ],
)
def test_when_a_step_must_not_go_on(seen: Seen, over: bool, says: str | None) -> None:
    assert failing(seen, LIMITS, over=over) == says


class Gateway:
    """Counts what a script says by the percentage in force; time passes by the looks."""

    def __init__(self, script: Mapping[int, Count]) -> None:
        self.script = script
        self.put: list[Traffic] = []
        self.said: list[str] = []
        self.now = 0.0

    def look(self) -> Mapping[str, Count] | None:
        self.now += 4.0
        canary = self.put[-1].canary.get("a")
        return {"a.new": self.script[canary.percent]} if canary else {}

    def rolls_out(self, current: Traffic, *, cancelled: bool = False) -> None:
        op = Operation("endpoint.x/route.x", {}, "", Path(), self.said.append, cancelled=_Passing(cancelled))
        wanted = traffic({"a": 1}, a="new")
        roll_out(
            wanted,
            {"a": ("old",)},
            current,
            LIMITS,
            put=self.put.append,
            look=self.look,
            op=op,
            clock=lambda: self.now,
        )

    def percents(self) -> list[int]:
        return [made.canary["a"].percent if made.canary else 0 for made in self.put]


class _Passing(threading.Event):
    """An event that is waited for in no time."""

    def __init__(self, answer: bool) -> None:
        super().__init__()
        self._answer = answer

    def wait(self, timeout: float | None = None) -> bool:
        return self._answer


GOOD = Count(120)


def test_a_good_version_goes_through_all_steps_and_says_so() -> None:
    gateway = Gateway(dict.fromkeys((10, 50, 100), GOOD))
    gateway.rolls_out(traffic({"a": 1}, a="old"))
    assert gateway.percents() == [10, 50, 100]
    assert "a canary 10 %: 120 requests, 0 errors" in gateway.said


def test_a_bad_version_gives_all_requests_back() -> None:
    gateway = Gateway({10: GOOD, 50: Count(100, failed=30)})
    with pytest.raises(ProviderError, match=r"rolled back at 50 %: a: 30 of 100 requests failed"):
        gateway.rolls_out(traffic({"a": 1}, a="old"))
    assert gateway.percents() == [10, 50, 0]
    assert gateway.put[-1].servers == {"a": ("old",)}


def test_one_that_fails_its_health_checks_gives_them_back_without_any_limit() -> None:
    gateway = Gateway({10: Count(0, down=True)})
    with pytest.raises(ProviderError, match="fails its health checks"):
        gateway.rolls_out(traffic({"a": 1}, a="old"))


def test_a_rollout_that_was_cut_off_goes_on_where_it_was_with_the_same_containers_only() -> None:
    gateway = Gateway(dict.fromkeys((10, 50, 100), GOOD))
    with pytest.raises(Cancelled):
        gateway.rolls_out(traffic({"a": 1}, a="old"), cancelled=True)
    assert gateway.percents() == [10]
    gateway.put.clear()
    gateway.rolls_out(mixture(traffic({"a": 1}, a="new"), {"a": ("old",)}, 50))
    assert gateway.percents() == [50, 100]
    gateway.put.clear()
    gateway.rolls_out(mixture(traffic({"a": 1}, a="other"), {"a": ("old",)}, 50))
    assert gateway.percents() == [10, 50, 100]
