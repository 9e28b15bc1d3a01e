"""What happens behind mlinfra's back, in a blueprint that is read in bulk: each is named by the plan and mended by an apply."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.docker.lab import NOTHING, Lab
from tests.providers.docker.test_rebuild import platform

BULK = 12
"""Fewer calls than this for a plan without changes."""


def blueprint(lab: Lab) -> dict[str, dict[str, Any]]:
    """Four containers on a network with a volume, two of them from a name that the lab gave to an image."""
    lab.api.tag("busybox", lab.called("img"), "1", force=True)
    common: dict[str, Any] = {"networks": [{"name": "${resource.net.name}"}], "memory": "64Mi"}
    return {
        "net": {"type": "docker.network", "name": lab.called("net")},
        "data": {"type": "docker.volume", "name": lab.called("data")},
        "a": lab.container("a", **common, mounts=[{"source": "${resource.data.id}", "target": "/data"}]),
        "b": lab.container("b", **common, image=f"{lab.called('img')}:1"),
        "c": lab.container("c", **{**common, "networks": [{"name": "${resource.net.name}", "aliases": ["cache"]}]}),
        "d": lab.container("d", **common, environment={"TOKEN": "${var.token}"}),
    }


VARIABLES = {"variables": {"token": {"type": "string", "default": "hunter2", "sensitive": True}}}


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """The blueprint, applied."""
    lab.applied(blueprint(lab), **VARIABLES)
    assert lab.calls < BULK
    return lab


def differing(lab: Lab, address: str) -> set[str]:
    """The fields that the plan says were changed outside."""
    return {change.path for change in lab.node(address).changes if change.reason == "drift"}


def test_removed_by_force(shop: Lab) -> None:
    shop.api.remove_container(shop.id("a"), force=True)
    assert (shop.node("resource.a").action, shop.node("resource.a").summary) == ("create", "deleted outside mlinfra")
    shop.mend()


def test_stopped(shop: Lab) -> None:
    shop.api.stop(shop.id("c"), timeout=1)
    assert shop.node("resource.c").summary == "stopped → start"
    shop.mend()


def test_paused(shop: Lab) -> None:
    shop.api.pause(shop.id("c"))
    assert differing(shop, "resource.c") == {"running"}
    shop.mend()
    assert shop.inspect("c")["State"]["Status"] == "running"


def test_disconnected(shop: Lab) -> None:
    shop.api.disconnect_container_from_network(shop.id("c"), shop.called("net"))
    assert shop.node("resource.c").summary == f"not on {shop.called('net')} → connect"
    shop.mend()
    assert "cache" in shop.inspect("c")["NetworkSettings"]["Networks"][shop.called("net")]["Aliases"]


def test_connected_without_its_alias(shop: Lab) -> None:
    shop.api.disconnect_container_from_network(shop.id("c"), shop.called("net"))
    shop.api.connect_container_to_network(shop.id("c"), shop.called("net"), aliases=["other"])
    assert differing(shop, "resource.c") == {"networks"}
    shop.mend()


def test_connected_elsewhere(shop: Lab) -> None:
    shop.api.connect_container_to_network(shop.id("c"), "bridge")
    assert shop.node("resource.c").summary == "on bridge → disconnect"
    shop.mend()


def test_memory_changed(shop: Lab) -> None:
    shop.api.update_container(shop.id("b"), mem_limit=32 << 20, memswap_limit=64 << 20)
    assert differing(shop, "resource.b") == {"memory"}
    shop.mend()
    assert shop.inspect("b")["HostConfig"]["Memory"] == 64 << 20


def test_a_secret_in_the_environment_is_no_difference_and_is_never_written(shop: Lab) -> None:
    shop.api.update_container(shop.id("d"), mem_limit=32 << 20, memswap_limit=64 << 20)
    assert differing(shop, "resource.d") == {"memory"}
    shop.mend()
    for path in (shop.folder / ".mlinfra").rglob("*"):
        assert path.is_dir() or b"hunter2" not in path.read_bytes(), path


def test_volume_and_its_user_removed(shop: Lab) -> None:
    shop.api.remove_container(shop.id("a"), force=True)
    shop.api.remove_volume(shop.called("data"))
    actions = {node.address: node.action for node in shop.plan().shown()}
    assert actions == {"resource.a": "create", "resource.data": "create"}
    shop.mend()


def test_volume_made_by_somebody_else_in_its_place(shop: Lab) -> None:
    shop.api.remove_container(shop.id("a"), force=True)
    shop.api.remove_volume(shop.called("data"))
    shop.api.create_volume(shop.called("data"))
    outcome = shop.apply()
    assert outcome is not None
    assert "--adopt resource.data" in outcome.failed[0].remedy
    assert shop.apply(adopt=("resource.data",)).succeeded  # type: ignore[union-attr] - there is something to do
    assert shop.plan().empty


def test_network_removed(shop: Lab) -> None:
    for name in "abcd":
        shop.api.disconnect_container_from_network(shop.id(name), shop.called("net"), force=True)
    shop.api.remove_network(shop.called("net"))
    actions = {node.address: node.action for node in shop.plan().shown()}
    assert actions == {"resource.net": "create", **{f"resource.{name}": "update" for name in "abcd"}}
    shop.mend()


def test_image_name_given_to_another_image(shop: Lab) -> None:
    shop.api.tag("debian:bookworm-slim", shop.called("img"), "1", force=True)
    node = shop.node("resource.b")
    assert (node.action, node.summary) == ("replace", "image forces replacement")
    assert [node.address for node in shop.plan().shown()] == ["resource.b"]
    shop.mend()


def test_image_name_taken_away_changes_nothing(shop: Lab) -> None:
    shop.api.remove_image(f"{shop.called('img')}:1")
    assert shop.plan().empty


def test_renamed_and_the_name_taken_by_somebody_else(shop: Lab) -> None:
    shop.api.rename(shop.id("a"), shop.called("away"))
    other = shop.api.create_container("busybox", ["sleep", "60"], name=shop.called("a"))["Id"]
    assert differing(shop, "resource.a") == {"name"}
    outcome = shop.apply()
    assert outcome is not None
    assert "is already in use by container" in outcome.failed[0].detail
    shop.api.remove_container(other)
    shop.mend()


def test_more_events_than_the_engine_remembers(shop: Lab) -> None:
    shop.api.update_container(shop.id("b"), mem_limit=32 << 20, memswap_limit=64 << 20)
    for _ in range(140):
        shop.api.create_volume(shop.called("noise"))
        shop.api.remove_volume(shop.called("noise"))
    assert differing(shop, "resource.b") == {"memory"}
    assert shop.calls > BULK - 4, "each was inspected"
    shop.mend()


def test_network_is_made_anew_with_what_was_on_it(shop: Lab) -> None:
    """Its users refer to its name, which stays: they are not replaced, so the network takes them along."""
    before = shop.id("c")
    resources = blueprint(shop)
    resources["net"]["labels"] = {"team": "risk"}
    shop.applied(resources, **VARIABLES)
    assert shop.id("c") == before
    assert "cache" in shop.inspect("c")["NetworkSettings"]["Networks"][shop.called("net")]["Aliases"]


def test_volume_is_made_anew_with_what_uses_it(shop: Lab) -> None:
    before = shop.id("a")
    resources = blueprint(shop)
    resources["data"]["labels"] = {"team": "risk"}
    shop.write(resources, **VARIABLES)
    actions = {node.address: node.action for node in shop.plan().shown()}
    assert actions == {"resource.data": "replace", "resource.a": "replace"}
    shop.mend()
    assert shop.id("a") != before


def test_data_in_a_volume_is_not_lost_unnamed(shop: Lab) -> None:
    from mlinfra.engine.workspace import Refused

    made = shop.api.exec_create(shop.id("a"), ["sh", "-c", "head -c 3000 /dev/zero >/data/rows"])
    shop.api.exec_start(made["Id"])
    with pytest.raises(Refused, match=r"3\.0 kB in the volume"):
        shop.apply(destroy=True)
    shop.apply(destroy=True, allow=("resource.data",))
    assert shop.owned() == NOTHING


def test_lost_state_finds_everything_again(shop: Lab) -> None:
    import shutil

    before = {name: shop.id(name) for name in "abcd"}
    shutil.rmtree(shop.folder / ".mlinfra")
    assert {node.action for node in shop.plan().shown()} == {"create"}
    shop.mend()
    assert {name: shop.id(name) for name in "abcd"} == before, "ours by their labels: taken as made"


def test_lost_state_and_an_older_shape(shop: Lab) -> None:
    import shutil

    before = shop.id("a")
    shutil.rmtree(shop.folder / ".mlinfra")
    resources = blueprint(shop)
    resources["a"]["environment"] = {"NEW": "1"}
    shop.applied(resources, **VARIABLES)
    assert shop.id("a") != before
    assert "NEW=1" in json.dumps(shop.inspect("a")["Config"]["Env"])


def test_somebody_elses_container_is_refused_and_can_be_adopted(lab: Lab) -> None:
    other = lab.api.create_container("busybox", ["sleep", "600"], name=lab.called("a"))["Id"]
    lab.api.start(other)
    lab.write({"a": lab.container("a", command=["sleep", "600"])})
    outcome = lab.apply()
    assert outcome is not None
    assert "belongs to somebody else" in outcome.failed[0].detail
    assert "--adopt resource.a" in outcome.failed[0].remedy
    lab.apply(adopt=("resource.a",))
    assert lab.id("a") == other
    node = lab.node("resource.a")
    assert (node.action, {change.path for change in node.changes}) == ("replace", {"init", "stop_timeout"})
    lab.mend()
    assert lab.id("a") != other


@pytest.mark.parametrize(
    ("type", "fields"),
    [
        ("docker.secret", {"image": "busybox", "value": "hunter2"}),
        (
            "docker.contents",
            {"image": "python:3.11-slim", "volume": "${resource.v.id}", "path": "/v", "contents": "one"},
        ),
        ("docker.job", {"image": "busybox", "command": ["true"]}),
    ],
    ids=["secret", "contents", "job"],
)
def test_somebody_elses_container_has_the_name_of_what_is_kept_in_one(
    lab: Lab, type: str, fields: dict[str, Any]
) -> None:
    (lab.folder / "one").mkdir()
    (lab.folder / "one" / "a.txt").write_text("a")
    other = lab.api.create_container("busybox", ["sleep", "600"], name=lab.called("x"))["Id"]
    volume = {"type": "docker.volume", "name": lab.called("v"), "data": False}
    lab.write({"v": volume, "x": {"type": type, "name": lab.called("x"), **fields}})
    outcome = lab.apply()
    assert outcome is not None
    assert [told.detail for told in outcome.failed if "belongs to somebody else" in told.detail]
    assert "--adopt resource.x" in outcome.failed[0].remedy
    assert lab.api.inspect_container(other)["State"]["Status"] == "created", "it is left as it was"
    lab.api.remove_container(other)
    lab.mend()


def test_everything_is_removed(lab: Lab) -> None:
    """One of every type; of a job, a number and a pulled image the engine has nothing of ours."""
    things = platform(lab)
    lab.applied(things)
    gone = lab.owned()
    for name in gone["containers"]:
        lab.api.remove_container(name, v=True, force=True)
    for name in gone["networks"]:
        lab.api.remove_network(name)
    for name in lab.owned()["volumes"]:  # those of containers went with them
        lab.api.remove_volume(name)
    for name in gone["images"]:
        lab.api.remove_image(name, force=True)
    assert lab.owned() == NOTHING
    actions = {node.address: node.action for node in lab.plan().shown()}
    assert actions == {f"resource.{name}": "create" for name in things.keys() - {"job", "port", "pulled"}}
    lab.mend()
    again = lab.owned()
    assert {sort: len(found) for sort, found in again.items()} == {sort: len(found) for sort, found in gone.items()}
