"""The command line on a state that was lost: what runs goes on running, the state knows it again, and a destroy leaves nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import light
from tests.e2e.cli import Site, events


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = light.prepare(tmp_path / "shop")
    yield made
    made.end()


def lose(site: Site) -> None:
    for path in site.work.glob("state.db*"):
        path.unlink()


def found(text: str) -> dict[str, Any]:
    (record,) = [record for record in events(text) if record["event"] == "rebuild"]
    return record


def test_a_lost_state_is_made_anew_while_everything_runs_on(site: Site) -> None:
    resources = {**light.first(site), "env": {"type": "local.python_env", "name": "empty"}}
    site.write(resources)
    assert site.apply().returncode == 0
    before, running = site.recorded(), sorted(process.pid for process in site.processes())
    lose(site)
    told = site.well("state", "rebuild", "--auto-approve")
    assert f"Rebuild: {len(resources)} objects found, {len(resources)} of them in the blueprint." in told
    assert site.nothing_to_do()
    again = site.recorded()
    assert again.keys() == before.keys()
    for address, entry in again.items():
        for name in ("type", "provider", "id", "dependencies", "component", "fields"):
            if name != "fields" or "$secret" not in str(entry):  # fingerprints are salted anew
                assert entry[name] == before[address][name], (address, name)
    assert sorted(process.pid for process in site.processes()) == running
    assert site.destroy().returncode == 0
    assert site.processes() == []
    assert site.left(without=light.OWN) == []


def test_what_left_the_blueprint_meanwhile_is_destroyed_by_the_next_apply(site: Site) -> None:
    site.write({**light.first(site), "env": {"type": "local.python_env", "name": "empty"}})
    assert site.apply().returncode == 0
    lose(site)
    site.write({"scratch": {"type": "local.folder", "path": "data/scratch"}})
    record = found(site.well("state", "rebuild", "--auto-approve", "--json"))
    roles = {item["address"]: item["role"] for item in record["objects"]}
    assert roles.pop("resource.scratch") == "wanted"
    assert set(roles.values()) == {"left"}
    assert len(roles) == len(light.first(site))
    assert site.apply().returncode == 0
    assert site.nothing_to_do()
    assert site.processes() == []
    assert set(site.recorded()) == {"resource.scratch"}
    assert site.destroy().returncode == 0
    assert site.left(without=light.OWN) == []


def test_the_lists_are_shown_and_nobody_to_ask_means_no(site: Site) -> None:
    site.write(light.first(site))
    assert site.apply().returncode == 0
    lose(site)
    done = site.run("state", "rebuild")
    assert done.returncode == 1
    assert "resource.web-a" in done.stdout
    assert "[not-approved]" in done.stderr
    assert site.recorded() == {}


def test_a_state_that_is_not_lost_is_kept(site: Site) -> None:
    site.write(light.first(site))
    assert site.apply().returncode == 0
    before = site.recorded()
    done = site.run("state", "rebuild", "--auto-approve")
    assert done.returncode == 1
    assert "[state-kept]" in done.stderr
    assert site.recorded() == before
    site.well("state", "rebuild", "--auto-approve", "--force")
    assert site.nothing_to_do()


def test_a_damaged_file_is_kept_beside_the_new_one(site: Site) -> None:
    site.write(light.first(site))
    assert site.apply().returncode == 0
    file = site.work / "state.db"
    file.write_bytes(file.read_bytes()[:2000])
    assert "[state-damaged]" in site.run("plan").stderr
    assert "the state before cannot be read" in site.well("state", "rebuild", "--auto-approve")
    assert site.nothing_to_do()
    assert (site.work / "state.db.damaged-1").stat().st_size == 2000


def test_a_work_folder_that_is_gone_is_told_as_it_is(site: Site) -> None:
    """On this machine the records are all that says whose a thing is. Without them a process is found by its marker, if its
    name is known; the files are somebody's until they are adopted."""
    site.write(light.first(site))
    assert site.apply().returncode == 0
    shutil.rmtree(site.work)
    record = found(site.well("state", "rebuild", "--auto-approve", "--json"))
    assert {item["address"]: item["how"] for item in record["objects"]} == {
        f"resource.web-{name}": "name" for name in "abc"
    }
    assert {"resource.lake", "resource.behind"} <= {item["address"] for item in record["missing"]}
