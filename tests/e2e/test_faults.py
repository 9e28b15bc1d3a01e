"""What goes wrong on a real machine, through the command line: exit code 1, words that help, and an apply that goes on later."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cli import Site, events, until
from tests.e2e.light import OWN, fetch, prepare
from tests.providers.local.disks import make_read_only, small_disk
from tests.providers.local.package_index import serving

FOLDER: dict[str, Any] = {"type": "local.folder", "path": "data"}
NOTE: dict[str, Any] = {"type": "local.file", "path": "note", "content": "hello"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = prepare(tmp_path / "shop")
    yield site
    site.end()


def web(site: Site, **more: Any) -> dict[str, Any]:
    program = [sys.executable, "-I", "-S", str(site.root / "server.py"), "web", os.devnull, "{port:http}"]
    return {
        "type": "local.process",
        "name": "web",
        "command": program,
        "ports": {"http": None},
        "probe": {"port": "http", "path": "/", "timeout": 30},
        "grace": 5,
        **more,
    }


def fill(filler: Path) -> None:
    """Write a file until its disk is full."""
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(b"x" * 4096)


def failing(site: Site, *said: str) -> str:
    """An apply that ends with 1 and says all this, without a stack trace; what it printed to stderr."""
    done = site.apply()
    told = " ".join(done.stderr.split())
    assert done.returncode == 1, f"{done.stdout}\n{done.stderr}"
    for text in said:
        assert text in told, done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stderr


def goes_on(site: Site) -> None:
    """The next apply does what was left, and then there is nothing to do; a destroy leaves nothing."""
    assert "resource.note: created" not in site.well("apply", "--auto-approve")
    assert site.nothing_to_do()


def gone(site: Site, *but: str) -> None:
    site.well("destroy", "--auto-approve")
    assert site.processes() == []
    assert site.left(without=OWN | set(but)) == []


def test_a_port_that_is_taken(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]
        site.write(
            {
                "note": NOTE,
                "web": web(site, ports={"http": number}),
                "later": {**FOLDER, "path": "${resource.web.name}-data"},
            }
        )
        failing(
            site,
            f"the port {number} is taken by",
            f"(process {os.getpid()})",
            "Stop it, or give the port another number.",
        )
        assert list(site.recorded_anyway()) == ["resource.note"]
        assert site.processes() == []
    goes_on(site)
    assert fetch(f"http://127.0.0.1:{number}/").startswith("web ")
    gone(site)


def test_a_process_that_dies_at_its_start(site: Site) -> None:
    code = "import pathlib, sys, time; pathlib.Path('go').exists() or sys.exit('no such table: users'); time.sleep(600)"
    process = {"type": "local.process", "name": "reader", "command": [sys.executable, "-c", code], "cwd": "."}
    site.write({"note": NOTE, "reader": process})
    failing(site, "resource.reader failed", "ended right after its start", "| no such table: users", "Its whole log is")
    assert "resource.note" in site.recorded_anyway()
    failing(site, "no such table: users")  # again, and not twice
    (site.root / "go").touch()
    goes_on(site)
    assert len(site.processes()) == 1
    gone(site, "go")


def test_an_environment_that_cannot_be_installed(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with serving() as index:
        index.add("shopkit", "1.0")
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        env: dict[str, Any] = {"type": "local.python_env", "name": "tools", "requirements": ["no-such-shopkit"]}
        site.write({"note": NOTE, "tools": env})
        failing(
            site,
            "the Python environment cannot be made: no-such-shopkit was not found in the package registry",
            "Correct the name or the version of the package in the requirements.",
        )
        assert "resource.note" in site.recorded_anyway()
        site.write({"note": NOTE, "tools": {**env, "requirements": ["shopkit"]}})
        goes_on(site)
    gone(site)


def test_a_full_disk(site: Site) -> None:
    with small_disk(site.root / "small") as disk:
        big = {"type": "local.file", "path": "small/big", "content": "x" * 300_000}
        site.write({"note": NOTE, "big": big, "lake": {**FOLDER, "path": "small/lake"}})
        failing(site, "create of resource.big failed: no space left for", "Free some disk space")
        assert list(site.recorded_anyway()) == ["resource.lake", "resource.note"]
        assert [path.name for path in disk.iterdir()] == ["lake"]
        site.write({"note": NOTE, "big": {**big, "content": "small"}, "lake": {**FOLDER, "path": "small/lake"}})
        goes_on(site)
        gone(site, "small")


def test_a_full_disk_under_the_state(site: Site) -> None:
    """Not even an intent can be written: nothing is made, and the command says why."""
    with small_disk(site.root / ".mlinfra", "size=256k") as disk:
        site.write({"note": NOTE})
        site.well("apply", "--auto-approve")
        filler = disk / "filler"
        fill(filler)
        site.write({"note": NOTE, "lake": FOLDER})
        failing(site, "no space is left", "Make room")
        assert not (site.root / "data").exists()
        filler.unlink()
        goes_on(site)
        gone(site)


def test_a_folder_that_cannot_be_written(site: Site) -> None:
    with small_disk(site.root / "locked") as disk:
        make_read_only(disk)
        site.write({"note": NOTE, "lake": {**FOLDER, "path": "locked/lake"}})
        failing(site, "create of resource.lake failed", "cannot be written", "Give yourself the right to write to")
        assert "resource.note" in site.recorded_anyway()
    site.write({"note": NOTE, "lake": FOLDER})
    goes_on(site)
    gone(site, "locked")


def test_a_blueprint_folder_that_cannot_be_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "shop", "size=1m") as root:
        site = Site(root)
        site.write({"note": NOTE})
        make_read_only(root)
        failing(site, "Make the folder of the blueprint writable for you.")
        assert [path.name for path in root.iterdir()] == ["blueprint.yaml"]


def test_an_object_of_somebody_else(site: Site) -> None:
    (site.root / "note").write_text("theirs")
    site.write({"note": NOTE, "lake": FOLDER})
    failing(site, "is there already, and mlinfra did not make it", "--adopt resource.note")
    assert (site.root / "note").read_text() == "theirs"
    site.well("apply", "--auto-approve", "--adopt", "resource.note")
    assert (site.root / "note").read_text() == "hello"
    assert site.nothing_to_do()
    gone(site)


def test_a_link_that_leads_out_of_the_blueprint(site: Site, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (site.root / "data").symlink_to(tmp_path / "outside")
    site.write({"lake": {**FOLDER, "path": "data/lake"}})
    failing(site, "leads through a link", "Remove the link, or choose another path.")
    assert list((tmp_path / "outside").iterdir()) == []


# -- two at once, and Ctrl-C --------------------------------------------------------------------------------------------

GATE = """
import pathlib, socket, sys, time
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
door = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    door.accept()[0].close()
"""
"""A server that does not listen before a file is there: an apply waits for it as long as a test likes."""


def gated(site: Site) -> dict[str, Any]:
    """A process that becomes ready when the file "go" is there, with something before and something after it."""
    gate = {
        "type": "local.process",
        "name": "gate",
        "command": [sys.executable, "-I", "-S", "-c", GATE, "{port:http}", str(site.root / "go")],
        "ports": {"http": None},
        "grace": 5,
    }
    after = {"type": "local.file", "path": "after", "content": "${resource.gate.urls.http}"}
    return {"note": NOTE, "gate": gate, "after": after}


def test_two_at_once_one_says_who_the_other_is(site: Site) -> None:
    site.write(gated(site))
    running = site.start("apply", "--auto-approve", "--json")
    assert until(running, "node_started", address="resource.gate") is not None
    failing(site, f"(process {running.pid}) runs `mlinfra apply` since", "--lock-timeout")
    (site.root / "go").touch()
    running.communicate(timeout=60)
    assert running.returncode == 0
    assert site.nothing_to_do()
    gone(site, "go")


def test_one_that_waits_for_the_lock_goes_on_when_it_is_free(site: Site) -> None:
    site.write(gated(site))
    running = site.start("apply", "--auto-approve", "--json")
    assert until(running, "node_started", address="resource.gate") is not None
    waiting = site.start("apply", "--auto-approve", "--json", "--lock-timeout", "60s")
    told = until(waiting, "lock_waiting")
    assert told is not None
    assert f"(process {running.pid})" in told["detail"]
    (site.root / "go").touch()
    for child in (running, waiting):
        child.communicate(timeout=60)
        assert child.returncode == 0
    assert len(site.processes()) == 1
    gone(site, "go")


def test_control_c_once_finishes_what_runs_and_starts_nothing_new(site: Site) -> None:
    site.write(gated(site))
    child = site.start("apply", "--auto-approve", "--json")
    assert until(child, "node_started", address="resource.gate") is not None
    said = _pressed(child)
    (site.root / "go").touch()  # what runs can finish now
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "starting nothing new" in said
    done = {event["address"] for event in events(out) if event["event"] == "node_done"}
    assert "resource.gate" in done
    assert not (site.root / "after").exists()
    assert set(site.recorded()) == done
    assert "resource.after: created" in site.run("apply", "--auto-approve").stderr
    assert site.nothing_to_do()
    gone(site, "go")


def test_control_c_twice_ends_the_wait_and_the_next_apply_takes_it_up(site: Site) -> None:
    site.write(gated(site))
    child = site.start("apply", "--auto-approve", "--json")
    assert until(child, "node_started", address="resource.gate") is not None
    _pressed(child)
    _pressed(child)
    child.communicate(timeout=60)
    assert child.returncode == 130
    (pid,) = [process.pid for process in site.processes()]
    (site.root / "go").touch()
    site.well("apply", "--auto-approve")
    assert [process.pid for process in site.processes()] == [pid]
    assert site.nothing_to_do()
    gone(site, "go")


def _pressed(child: Any) -> str:
    """Ctrl-C, and what the command answers to it."""
    child.send_signal(signal.SIGINT)
    assert child.stderr is not None
    for line in child.stderr:
        if line.strip():
            return str(line)
    raise AssertionError("it did not answer")
