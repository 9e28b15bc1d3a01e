"""Every field of servers and of the route of a gateway on a real engine, many at once: applied there is nothing to do; changed in
the blueprint each is named by the plan; changed behind our back it is seen and mended."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.plan import Node
from mlinfra.sdk.fields import policies
from mlinfra_docker.gateway.haproxy import MARK, noted
from tests.providers.docker import gateway
from tests.providers.docker.fields import CASES, CONTAINER, Case
from tests.providers.docker.lab import NOTHING, Lab
from tests.providers.docker.test_fields import named

SERVER = "docker.server"
SERVERS = tuple(replace(case, type=SERVER) for case in CASES if case.type == CONTAINER)
"""A server has the fields of a container."""
ROUTE: dict[str, Any] = {
    "gateway": "{lab}-gateway",  # its name is as good as its id
    "port": 8081,
    "targets": [{"name": "a", "port": 8000, "weight": 80}, {"name": "b", "port": 8000, "weight": 20}],
    "servers": {"a": ["${resource.b.id}"], "b": ["${resource.a.id}"]},
    "health": {"path": "/index.html", "every": 2},
    "sticky": "x-user",
    "timeout": 4,
    "hold": 6,
    "repeat": True,
    "metrics": "/metrics",
    "rollout": {"steps": [50, 100], "bake": 0.1, "error_rate": 0.5},
}
"""Another value for each field that is changed in place."""
UNTESTED = {
    "name": "replaces: it has a test of its own",
    "phase": "not to be set: it tells of a file that was changed, and of a rollout that was cut off",
}


TO_A = [{"name": "a", "port": 8000, "weight": 1}, {"name": "b", "port": 8000, "weight": 0}]
"""Targets of a route that sends everything to ``a``."""


def fields(type: str) -> set[str]:
    """The fields of a type that a blueprint sets."""
    return {field for field, policy in policies(Catalog().resource_type(type)).items() if not policy.computed}


def test_no_field_is_left_out() -> None:
    assert {case.field for case in SERVERS} == fields(SERVER)
    assert set(ROUTE) | set(UNTESTED) == fields("docker.route")


# -- servers --------------------------------------------------------------------------------------------------------------


def blueprint(lab: Lab, *, changed: bool) -> dict[str, dict[str, Any]]:
    """A server for each field, and what they need."""
    made: dict[str, dict[str, Any]] = {key: {"type": "docker.network", "name": lab.called(key)} for key in ("n1", "n2")}
    made["v"] = {"type": "docker.volume", "name": lab.called("v"), "data": False}
    for case in SERVERS:
        made[case.field] = {**lab.container(case.field), "type": SERVER, **named(dict(case.base or {}), lab)}
        if changed:
            made[case.field][case.field] = named(case.to, lab)
    return made


def nodes(lab: Lab) -> dict[str, Node]:
    """What a plan shows, by the names of resources."""
    return {node.address.removeprefix("resource."): node for node in lab.plan().shown()}


def paths(node: Node, reason: str) -> set[str]:
    return {change.path.partition(".")[0] for change in node.changes if change.reason == reason}


def head(case: Case) -> str:
    return (case.shown or case.field).partition(".")[0]


def test_every_field_of_a_server(lab: Lab) -> None:
    lab.applied(blueprint(lab, changed=False))
    lab.write(blueprint(lab, changed=True))
    shown = nodes(lab)
    assert {name: node.action for name, node in shown.items()} == {case.field: case.does for case in SERVERS}
    for case in SERVERS:
        assert head(case) in {change.path.partition(".")[0] for change in shown[case.field].changes}
        if case.does == "replace":
            assert "forces replacement" in shown[case.field].summary
            assert head(case) in shown[case.field].summary
    lab.mend()
    once(lab)
    meddled = [case for case in SERVERS if case.behind is not None]
    for case in meddled:
        assert case.behind is not None
        case.behind(lab, case.field)
    shown = nodes(lab)
    assert set(shown) == {case.field for case in meddled}
    for case in meddled:
        assert paths(shown[case.field], "drift") == {head(case)}, case
    lab.mend()
    lab.write(blueprint(lab, changed=False))
    # A live file cannot be taken out of a container that runs, and a text can be put back.
    assert set(nodes(lab)) == {case.field for case in SERVERS}
    outcome = lab.apply(replace=("resource.live_files",))
    assert outcome is not None
    assert outcome.succeeded, outcome.failed
    assert lab.plan().empty
    once(lab)
    lab.apply(destroy=True)
    assert lab.owned() == NOTHING


def once(lab: Lab) -> None:
    """One container for each server: those that were replaced beside their successors are gone."""
    filters = {"label": f"mlinfra:blueprint={lab.name}"}
    found = sorted(row["Labels"]["mlinfra:address"] for row in lab.api.containers(all=True, filters=filters))
    assert found == sorted(f"resource.{case.field}" for case in SERVERS)


# -- the route ------------------------------------------------------------------------------------------------------------


def note(lab: Lab, **fields: Any) -> None:
    """Somebody puts in a file that says it was made of other fields."""
    text = gateway.text(lab)
    said = noted(text)
    for name, value in fields.items():
        said["traffic" if name in said["traffic"] else "route"][name] = value
    lines = [
        f"{MARK}{json.dumps(said, sort_keys=True)}" if line.startswith(MARK) else line for line in text.split("\n")
    ]
    gateway.edit(lab, "\n".join(lines))


def test_every_field_of_a_route(lab: Lab) -> None:
    before = gateway.shop(lab)
    lab.applied(before)
    plain = noted(gateway.text(lab))
    after = {**before, "route": {**before["route"], **named(ROUTE, lab)}}
    lab.write(after)
    node = lab.node("resource.route")
    assert node.action == "update"
    assert {change.path.partition(".")[0] for change in node.changes} == set(ROUTE)
    lab.mend()
    note(lab, **{**plain["route"], **plain["traffic"], "canary": {}})
    node = lab.node("resource.route")
    assert node.action == "update"
    assert paths(node, "drift") == {*ROUTE, "phase"}
    lab.mend()
    lab.write(before)
    assert {change.path.partition(".")[0] for change in lab.node("resource.route").changes} == set(ROUTE)
    lab.mend()
    gateway.answers(lab, among={"a", "b"})


def test_a_route_moves_to_another_gateway(lab: Lab) -> None:
    before = {**gateway.shop(lab), "second": gateway.gateway(lab, "second")}
    lab.applied(before)
    moved = {**before["route"], "name": lab.called("second"), "gateway": "${resource.second.id}"}
    lab.write({**before, "route": moved})
    node = lab.node("resource.route")
    assert node.action == "replace"
    assert "name" in node.summary
    lab.mend()
    assert noted(gateway.text(lab)) is None, "the first gateway sends requests to nobody any more"
    lab.write(before)
    lab.mend()
    gateway.answers(lab, among={"a", "b"})


# -- behind its back ------------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(lab: Lab) -> Lab:
    """A gateway that sends everything to ``a``."""
    lab.applied(gateway.shop(lab, targets=TO_A))
    gateway.answers(lab, among={"a"})
    return lab


def mended(lab: Lab, actions: dict[str, str]) -> None:
    """See that the plan has these actions and no others, and that an apply makes it well."""
    assert {name: node.action for name, node in nodes(lab).items()} == actions
    lab.mend()
    gateway.answers(lab, among={"a"})


def weighed_otherwise(text: str) -> str:
    """The file with the servers' weights the other way round."""
    turned = {"256": "0", "0": "256"}
    return re.sub(r"(?m)(?<= weight )\d+$", lambda found: turned[found[0]], text)


def test_its_file_is_edited(shop: Lab) -> None:
    gateway.edit(shop, weighed_otherwise(gateway.text(shop)))
    assert shop.node("resource.route").summary == "its file was changed → settled"
    mended(shop, {"route": "update"})


def test_its_file_is_edited_and_in_force(shop: Lab) -> None:
    gateway.edit(shop, weighed_otherwise(gateway.text(shop)), reload=True)
    gateway.answers(shop, among={"b"})
    assert shop.node("resource.route").summary == "its file was changed → settled"
    mended(shop, {"route": "update"})


def test_its_gateway_is_started_with_the_file_of_its_first_start(shop: Lab) -> None:
    gateway.edit(shop, gateway.START)
    shop.api.restart(shop.id("gateway"), timeout=1)
    mended(shop, {"route": "update"})


def test_its_gateway_is_started_again(shop: Lab) -> None:
    shop.api.restart(shop.id("gateway"), timeout=1)
    assert shop.plan().empty
    gateway.answers(shop, among={"a"})


def test_its_gateway_is_stopped(shop: Lab) -> None:
    shop.api.stop(shop.id("gateway"), timeout=1)
    mended(shop, {"gateway": "update"})


def test_its_gateway_is_removed(shop: Lab) -> None:
    shop.api.remove_container(shop.id("gateway"), v=True, force=True)
    mended(shop, {"gateway": "create", "route": "create"})


def test_its_gateway_is_made_anew(shop: Lab) -> None:
    things = gateway.shop(shop, targets=TO_A)
    things["gateway"]["environment"] = {"A": "1"}
    shop.write(things)
    mended(shop, {"gateway": "replace", "route": "update"})


def test_a_server_is_removed(shop: Lab) -> None:
    shop.api.remove_container(shop.id("a"), force=True)
    mended(shop, {"a": "create", "route": "update"})


def test_a_server_is_stopped(shop: Lab) -> None:
    shop.api.stop(shop.id("a"), timeout=1)
    assert shop.node("resource.a").summary == "stopped → start"
    mended(shop, {"a": "update"})


def test_a_server_is_taken_off_its_network(shop: Lab) -> None:
    shop.api.disconnect_container_from_network(shop.id("a"), shop.called("net"))
    assert shop.node("resource.a").summary == f"not on {shop.called('net')} → connect"
    mended(shop, {"a": "update"})


def test_a_servers_limit_is_changed(shop: Lab) -> None:
    shop.api.update_container(shop.id("a"), mem_limit=32 << 20, memswap_limit=64 << 20)
    assert paths(shop.node("resource.a"), "drift") == {"memory"}
    mended(shop, {"a": "update"})


def test_the_name_of_a_servers_image_is_given_to_another_image(lab: Lab) -> None:
    name = f"{lab.called('img')}:1"
    lab.api.tag("busybox", lab.called("img"), "1", force=True)
    things = gateway.shop(lab, targets=TO_A)
    things["a"]["image"] = name
    lab.applied(things)
    list(lab.api.build(fileobj=io.BytesIO(b"FROM busybox\nENV A=1\n"), tag=name, rm=True))
    assert lab.node("resource.a").summary == "image forces replacement"
    mended(lab, {"a": "replace", "route": "update"})


def test_a_container_that_somebody_else_made_in_a_servers_place_is_left_alone(shop: Lab) -> None:
    """A server has a name of its own for each making, so nobody else's is in its way."""
    called = shop.inspect("a")["Name"].removeprefix("/")
    shop.api.remove_container(shop.id("a"), force=True)
    other = shop.api.create_container("busybox", ["sleep", "60"], name=called)["Id"]
    mended(shop, {"a": "create", "route": "update"})
    assert shop.api.inspect_container(other)["Name"] == f"/{called}"
