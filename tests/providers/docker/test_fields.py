"""Every field of every resource type on a real engine: applied there is nothing to do; changed in the blueprint it is updated
or replaced by name; changed behind our back it is seen and mended; taken out of the blueprint it is reset."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.engine.catalog import Catalog
from mlinfra.sdk.fields import policies
from mlinfra_docker import PROVIDER
from tests.providers.docker.fields import CASES, UNTESTED, Case
from tests.providers.docker.lab import NOTHING, Lab

GATEWAYS = ("docker.server", "docker.route")
"""Types that need a gateway and its servers around them: test_gateway_fields.py has them."""


def named(value: Any, lab: Lab) -> Any:
    """A value with the laboratory's name in it."""
    if isinstance(value, str):
        return value.replace("{lab}", lab.name)
    if isinstance(value, dict):
        return {key: named(item, lab) for key, item in value.items()}
    if isinstance(value, list):
        return [named(item, lab) for item in value]
    return value


def surroundings(case: Case, lab: Lab) -> dict[str, dict[str, Any]]:
    """What else the case needs."""
    for folder in ("one", "two"):
        (lab.folder / folder).mkdir(exist_ok=True)
        (lab.folder / folder / "a.txt").write_text(folder)
    if case.type == "docker.image":
        (lab.folder / "img").mkdir(exist_ok=True)
        (lab.folder / "img" / "Dockerfile").write_text("FROM busybox\nARG A=1\nENV A=$A\n")
    found: dict[str, dict[str, Any]] = {}
    if case.field == "networks":
        found = {key: {"type": "docker.network", "name": lab.called(key)} for key in ("n1", "n2")}
    if case.field == "mounts":
        found = {"v": {"type": "docker.volume", "name": lab.called("v")}}
    if case.type == "docker.contents":
        found = {key: {"type": "docker.volume", "name": lab.called(key), "data": False} for key in ("v", "w")}
        mounts = [{"source": "${resource.v.id}", "target": "/data"}]
        found["user"] = lab.container("user", mounts=mounts)
        lab.api.tag("python:3.11-slim", lab.called("python"), "1", force=True)
    return found


BASES: dict[str, dict[str, Any]] = {
    "docker.image": {"build": {"context": "img"}},
    "docker.contents": {
        "image": "python:3.11-slim",
        "volume": "${resource.v.id}",
        "path": "/data",
        "contents": "one",
    },
    "docker.secret": {"image": "busybox"},
    "docker.job": {"image": "busybox", "command": ["true"]},
}
"""What a resource of a type cannot be without."""


def base(case: Case, lab: Lab) -> dict[str, Any]:
    """The resource before the change."""
    more = named(dict(case.base or {}), lab)
    if case.type == "docker.container":
        return lab.container("x", **more)
    return {"type": case.type, "name": lab.called("x"), **BASES.get(case.type, {}), **more}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_field(case: Case, lab: Lab) -> None:
    around = surroundings(case, lab)
    before = base(case, lab)
    lab.applied({**around, "x": before})
    after = before
    if case.to is not None:
        after = {**before, case.field: named(case.to, lab)}
        if case.field == "network_mode":
            after.pop("networks", None)
        lab.write({**around, "x": after})
        node = lab.node("resource.x")
        assert node.action == case.does
        shown = case.shown or case.field
        assert any(change.path.startswith(shown) for change in node.changes), node.changes
        if case.does == "replace":
            assert "forces replacement" in node.summary
            assert shown in node.summary
        if case.planned_only:
            return
        lab.mend()
    if case.behind is not None:
        case.behind(lab, "x")
        node = lab.node("resource.x")
        assert any(c.path.startswith(case.shown or case.field) and c.reason == "drift" for c in node.changes), (
            node.changes
        )
        lab.mend()
    if after != before and case.field != "live_files":
        lab.write({**around, "x": before})
        assert lab.node("resource.x").action in ("update", "replace")
        lab.mend()
    lab.apply(destroy=True, allow=("resource.x", "resource.v"))
    assert lab.owned() == NOTHING


def test_no_field_is_left_out() -> None:
    catalog = Catalog()
    every = {
        (name, field)
        for name in PROVIDER.resources.keys() - set(GATEWAYS)
        for field, policy in policies(catalog.resource_type(name)).items()
        if not policy.computed
    }
    covered = {(case.type, case.field) for case in CASES}
    assert every - covered == set(UNTESTED)
    assert covered <= every
