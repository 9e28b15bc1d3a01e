"""``kill -9`` of the command line at random moments of create, replace and destroy: no object is lost and none is there twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from tests.providers.docker.lab import NOTHING, Lab

KILLS = int(os.environ.get("MLINFRA_KILLS", "30"))
SEED = int(os.environ.get("MLINFRA_KILL_SEED", "235849"))
"""Another seed gives other moments."""


def blueprint(lab: Lab, version: int) -> dict[str, dict[str, Any]]:
    """An image that is built, two networks, a volume, three containers and a server, to which one of them refers: another
    ``version`` replaces all but the volume and a network, the server beside the one before."""
    folder = lab.folder / "img"
    folder.mkdir(parents=True, exist_ok=True)
    steps = f"ENV VERSION={version}\nRUN sleep 0.5; head -c 20000000 /dev/urandom > /data.bin\n"
    (folder / "Dockerfile").write_text(f"FROM busybox\n{steps}")
    nets = [{"name": "${resource.front.name}", "aliases": ["www"]}, {"name": "${resource.back.name}"}]
    files = {"/etc/app/version": f"{version}\n"}
    return {
        "img": {"type": "docker.image", "name": lab.called("img"), "build": {"context": "img"}},
        "front": {"type": "docker.network", "name": lab.called("front"), "labels": {"version": f"{version}"}},
        "back": {"type": "docker.network", "name": lab.called("back")},
        "data": {"type": "docker.volume", "name": lab.called("data"), "data": False},
        "a": lab.container(
            "a",
            image="${resource.img.id}",
            networks=nets,
            files=files,
            mounts=[{"source": "${resource.data.id}", "target": "/data"}],
        ),
        "b": lab.container("b", networks=nets, files=files, secrets={"token": f"{version}"}, read_only=True),
        "c": lab.container("c", environment={"SERVER": "${resource.server.id}"}),
        "server": {**lab.container("server", networks=nets[1:], files=files), "type": "docker.server"},
    }


class CommandLine:
    """mlinfra as its users run it, in the laboratory's folder."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    def start(self, verb: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "mlinfra", verb, "--auto-approve", "--lock-timeout", "60s"]
        return subprocess.Popen(
            command, cwd=self.lab.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )

    def run(self, verb: str) -> float:
        """Run to the end; gives the seconds that it took."""
        begun = time.monotonic()
        process = self.start(verb)
        _, text = process.communicate(timeout=120)
        assert process.returncode == 0, text.decode()
        return time.monotonic() - begun

    def kill_after(self, verb: str, seconds: float) -> None:
        """Run, and kill it when the time is over; it may be done before."""
        process = self.start(verb)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def once_each(lab: Lab, *, finished: bool) -> None:
    """No address has two objects; the server may have its successor beside it until a run is finished."""
    filters = {"label": f"mlinfra:blueprint={lab.name}"}
    found = [row["Labels"]["mlinfra:address"] for row in lab.api.containers(all=True, filters=filters)]
    found += [network["Labels"]["mlinfra:address"] for network in lab.api.networks(filters=filters)]
    most = {"resource.server": 1 if finished else 2}
    twice = [address for address, count in Counter(found).items() if count > most.get(address, 1)]
    assert not twice
    named = [n["Name"] for n in lab.api.networks() if n["Name"].startswith(lab.name)]
    assert len(named) == len(set(named)), "two networks of one name"


def complete(lab: Lab, version: int) -> None:
    """All of the blueprint is there as it shall be, and nothing else of ours."""
    owned = lab.owned()
    server = lab.state().resources["resource.server"].fields["container"]
    assert owned["containers"] == [*(lab.called(name) for name in "abc"), server]
    assert f"SERVER={lab.id('server')}" in lab.inspect("c")["Config"]["Env"]
    assert owned["networks"] == [lab.called("back"), lab.called("front")]
    assert lab.called("data") in owned["volumes"]
    # An older image that a container still had when it was built anew goes with the next build, or in the end.
    tagged = [image for image in lab.api.images(name=lab.called("img")) if image["RepoTags"]]
    assert [image["Id"] for image in tagged] == [lab.state().resources["resource.img"].fields["id"]]
    assert tagged[0]["Id"] in owned["images"]
    for name, nets in (("a", ["back", "front"]), ("b", ["back", "front"]), ("server", ["back"])):
        found = lab.inspect(name)
        assert found["State"]["Status"] == "running"
        assert set(found["NetworkSettings"]["Networks"]) == {lab.called(net) for net in nets}
        made = lab.api.exec_create(found["Id"], ["cat", "/etc/app/version"])
        assert lab.api.exec_start(made["Id"]) == f"{version}\n".encode()


def test_killed_at_random_moments(lab: Lab) -> None:
    """Each round does one thing, is killed somewhere in it, looks, and finishes what was begun."""
    chance = random.Random(SEED)
    lab.environment["disposable"] = True
    line = CommandLine(lab)
    version, there = 2, False
    takes = {}
    for verb, text in (("create", 1), ("replace", 2)):
        lab.write(blueprint(lab, text))
        takes[verb] = line.run("apply")
    takes["destroy"] = line.run("destroy")
    for number in range(KILLS):
        where = f"round {number} of MLINFRA_KILL_SEED={SEED}"
        verb = chance.choice(["apply", "apply", "destroy"]) if there else "apply"
        doing = "destroy" if verb == "destroy" else "replace" if there else "create"
        if doing == "replace":
            version += 1
        lab.write(blueprint(lab, version))
        line.kill_after(verb, chance.uniform(0.2, takes[doing]))
        once_each(lab, finished=False)
        # Whoever comes next may carry on, or want the opposite.
        there = chance.random() < (0.8 if verb == "apply" else 0.3)
        line.run("apply" if there else "destroy")
        once_each(lab, finished=True)
        if there:
            complete(lab, version)
            assert lab.plan().empty, where
        else:
            assert lab.owned() == NOTHING, where
    line.run("destroy")
    assert lab.owned() == NOTHING
