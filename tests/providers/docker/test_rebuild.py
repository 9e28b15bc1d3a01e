"""A state that was lost is made anew from the engine's labels: nothing is made twice, nothing is left."""

from __future__ import annotations

from typing import Any

from mlinfra.engine.events import ignore
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.rebuild import Rebuilt, rebuild
from mlinfra.engine.running import run_job
from mlinfra_docker import PROVIDER
from mlinfra_docker.gateway.control import placed
from mlinfra_docker.gateway.haproxy import CONFIG
from mlinfra_docker.gateway.route import waiting
from tests.providers.docker.lab import NOTHING, Lab

ON_NO_ENGINE = {
    "docker.host_port": "a number; the container that publishes it tells it",
    "docker.route": "a file in its gateway",
}
"""Types of which nothing on an engine carries labels, and how they are found."""


def platform(lab: Lab) -> dict[str, dict[str, Any]]:
    """A resource of every type."""
    for folder, file, text in (("img", "Dockerfile", "FROM busybox\nENV A=1\n"), ("seed", "a.txt", "a\n")):
        (lab.folder / folder).mkdir(parents=True, exist_ok=True)
        (lab.folder / folder / file).write_text(text)
    net = [{"name": "${resource.net.name}", "aliases": ["www"]}]
    return {
        "pulled": {"type": "docker.image", "name": "busybox"},
        "img": {"type": "docker.image", "name": lab.called("img"), "build": {"context": "img"}},
        "texts": {
            "type": "docker.generated_image",
            "name": lab.called("texts"),
            "files": {"Dockerfile": "FROM busybox\nENV B=1\n"},
        },
        "net": {"type": "docker.network", "name": lab.called("net")},
        "data": {"type": "docker.volume", "name": lab.called("data"), "data": False},
        "port": {"type": "docker.host_port", "name": lab.called("web")},
        "token": {"type": "docker.secret", "name": lab.called("token"), "image": "busybox", "generate": {"length": 20}},
        "seed": {
            "type": "docker.contents",
            "name": lab.called("seed"),
            "image": "python:3.11-slim",
            "volume": "${resource.data.id}",
            "path": "/data",
            "contents": "seed",
        },
        "web": lab.container(
            "web",
            image="${resource.img.id}",
            networks=net,
            ports={"80": "${resource.port.number}"},
            mounts=[{"source": "${resource.data.id}", "target": "/data"}],
            files={"/etc/app/conf": "x\n"},
            secrets={"token": "${resource.token.value}"},
            memory="32Mi",
        ),
        "worker": lab.container("worker", networks=net, read_only=True, files={"/etc/app/conf": "y\n"}),
        "server": {**lab.container("server", networks=net), "type": "docker.server"},
        "gate": lab.container(
            "gate",
            image="haproxy:2.6",
            command=["haproxy", "-W", "-db", "-f", CONFIG],
            files=placed(waiting(8080)),
            networks=net,
        ),
        "route": {
            "type": "docker.route",
            "name": "${resource.gate.name}",
            "gateway": "${resource.gate.id}",
            "port": 8080,
            "targets": [{"name": "a", "port": 80}],
            "servers": {"a": ["${resource.server.id}"]},
        },
        "job": {"type": "docker.job", "name": lab.called("job"), "image": "busybox", "command": ["true"]},
    }


def rebuilt(lab: Lab) -> Rebuilt:
    """Lose the state's file, and rebuild."""
    for path in (lab.folder / ".mlinfra" / "test").glob("state.db*"):
        path.unlink()
    with lab.open() as workspace:
        made, done = rebuild(workspace)
    assert done
    return made


def test_every_type_comes_back_and_destroy_leaves_nothing(lab: Lab) -> None:
    things = platform(lab)
    assert {fields["type"] for fields in things.values()} == set(PROVIDER.resources)
    lab.applied(things)
    with lab.open() as workspace:
        assert run_job(workspace, "resource.job", emit=ignore, interrupt=Interrupt()).succeeded
    before, ids = lab.owned(), {address: entry.id for address, entry in lab.state().resources.items()}
    made = rebuilt(lab)
    assert made.missing == {}
    assert {row.address: row.id for row in made.rows} == ids
    by_name = {row.type for row in made.rows if row.how == "name"}
    assert by_name == {*ON_NO_ENGINE, "docker.image"}  # one that was pulled is nobody's, so it has no labels
    assert {row.address: row.assumed for row in made.rows if row.type == "docker.container"} == {
        "resource.gate": ("files",),
        "resource.web": ("files", "secrets"),
        "resource.worker": ("files",),
    }
    plan = lab.plan()
    assert plan.empty, [(node.address, node.action, node.changes) for node in plan.nodes]
    assert lab.owned() == before
    outcome = lab.apply(destroy=True)
    assert outcome is not None
    assert outcome.succeeded, outcome.failed
    assert lab.owned() == NOTHING


def test_what_left_the_blueprint_meanwhile_goes_in_one_apply(lab: Lab) -> None:
    lab.applied(platform(lab))
    with lab.open() as workspace:
        assert run_job(workspace, "resource.job", emit=ignore, interrupt=Interrupt()).succeeded
    lab.write({"pulled": {"type": "docker.image", "name": "busybox"}})
    made = rebuilt(lab)
    left = {row.address for row in made.rows if row.role == "left"}
    assert left == {f"resource.{name}" for name in platform(lab)} - {
        "resource.pulled",
        "resource.port",
        "resource.route",
    }
    # Whether what is in a volume can be made again stood in the blueprint only, so it is asked for.
    outcome = lab.apply(allow=("resource.data",))
    assert outcome is not None
    assert outcome.succeeded, outcome.failed
    assert lab.plan().empty
    assert lab.owned() == NOTHING


def test_servers_of_a_lost_state_that_is_not_rebuilt_go_when_others_have_taken_over(lab: Lab) -> None:
    things = {name: fields for name, fields in platform(lab).items() if name in ("net", "server", "gate", "route")}
    lab.applied(things)
    before, old = lab.owned(), lab.state().resources["resource.server"].id
    for path in (lab.folder / ".mlinfra" / "test").glob("state.db*"):
        path.unlink()
    lab.applied(things)
    new = lab.state().resources["resource.server"].id
    assert new != old
    assert len(lab.owned()["containers"]) == len(before["containers"])
    outcome = lab.apply(destroy=True)
    assert outcome is not None
    assert outcome.succeeded, outcome.failed
    assert lab.owned() == NOTHING


def test_what_was_changed_meanwhile_is_seen(lab: Lab) -> None:
    things = platform(lab)
    lab.applied(things)
    lab.api.update_container(lab.id("web"), mem_limit=2**26, memswap_limit=2**27)
    lab.api.stop(lab.id("worker"), timeout=1)
    rebuilt(lab)
    shown = {node.address: node.action for node in lab.plan().shown()}
    assert shown == {"resource.web": "update", "resource.worker": "update"}
    lab.mend()


def test_the_state_of_a_neighbour_is_not_taken(lab: Lab) -> None:
    lab.applied({"net": {"type": "docker.network", "name": lab.called("net")}})
    other = {"mlinfra:blueprint": lab.name, "mlinfra:environment": "prod", "mlinfra:address": "resource.net"}
    lab.api.create_network(lab.called("prod"), labels=other)
    made = rebuilt(lab)
    assert [row.id for row in made.rows] == [lab.id("net")]
