"""Python environments: pinned, hashed, whole or not there. Made with uv from an index on this machine."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import Cancelled, NotOurs, ProviderError
from mlinfra_local import alive
from mlinfra_local.python_env import MARK, whole
from tests.providers.local.bench import Bench, Subject
from tests.providers.local.disks import small_disk
from tests.providers.local.package_index import Index, serving


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """An index with a shop's packages, which uv asks instead of any other; with a cache of its own."""
    for name in list(os.environ):
        if name.startswith("UV_"):
            monkeypatch.delenv(name)
    with serving() as index:
        index.add("shopbase", "1.0")
        index.add("shopbase", "2.0")
        index.add("shopkit", "1.0", ["shopbase<2"])
        index.add("shopkit", "2.0", ["shopbase"])
        monkeypatch.setenv("UV_DEFAULT_INDEX", index.url)
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        yield index


def tools(bench: Bench, *requirements: str, **more: Any) -> Subject:
    return bench.subject("local.python_env", name="tools", requirements=list(requirements), **more)


def home(bench: Bench) -> Path:
    return bench.work / "envs" / "tools"


def version(python: str, module: str = "shopkit") -> str:
    done = subprocess.run(
        [python, "-c", f"import {module}; print({module}.version)"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr.strip()


def builds(bench: Bench) -> list[Path]:
    return sorted(path for path in home(bench).iterdir() if path.is_dir())


def test_an_environment_is_pinned_hashed_and_its_own(bench: Bench, index: Index) -> None:
    env = tools(bench, "shopkit<2")
    live = env.apply()
    assert version(live["python"]) == "1.0"
    assert version(live["python"], "shopbase") == "1.0"
    assert "No module named 'psutil'" in version(live["python"], "psutil")
    lock = Path(live["lock_file"]).read_text()
    assert "shopkit==1.0" in lock
    assert "shopbase==1.0" in lock
    for name in ("shopkit-1.0", "shopbase-1.0"):
        assert hashlib.sha256(index.wheels[f"{name}-py3-none-any.whl"]).hexdigest() in lock
    assert "downloading and installing 2 packages" in bench.said
    index.add("shopkit", "1.5")
    assert env.changes() == ()  # what is pinned stays, whatever the index offers now


def test_what_the_index_took_back_is_resolved_anew(bench: Bench, index: Index) -> None:
    env = tools(bench, "shopkit")
    live = env.apply()
    assert version(live["python"]) == "2.0"
    del index.wheels["shopkit-2.0-py3-none-any.whl"]
    (Path(live["python"]).parents[1] / "mlinfra-build.json").unlink()  # it has to be installed again
    again = env.apply()
    assert version(again["python"]) == "1.0"
    assert "shopkit==1.0" in Path(again["lock_file"]).read_text()
    assert env.changes() == ()


def test_changed_requirements_are_built_beside_the_old_ones(bench: Bench, index: Index) -> None:
    before = tools(bench, "shopkit<2").apply()
    newer = tools(bench, "shopkit")
    assert newer.told() == "requirements changed → install anew"
    after = newer.apply()
    assert version(after["python"]) == "2.0"
    assert version(before["python"]) == "1.0"  # what runs from it is not disturbed
    tools(bench, "shopbase").apply()
    assert not Path(before["python"]).exists()
    assert len(builds(bench)) == 2


def test_a_lock_is_taken_as_it_is(bench: Bench, index: Index) -> None:
    digest = hashlib.sha256(index.wheels["shopbase-1.0-py3-none-any.whl"]).hexdigest()
    lock = f"shopbase==1.0 --hash=sha256:{digest}\n"
    live = bench.subject("local.python_env", name="tools", lock=lock).apply()
    assert version(live["python"], "shopbase") == "1.0"
    wrong = f"shopbase==2.0 --hash=sha256:{digest}\n"
    with pytest.raises(ProviderError, match=r"[Hh]ash mismatch") as caught:
        bench.subject("local.python_env", name="tools", lock=wrong).apply()
    assert "make the lock anew" in caught.value.remedy
    with pytest.raises(ProviderError, match="hash"):
        bench.subject("local.python_env", name="other", lock="shopbase==1.0\n").apply()


@pytest.mark.parametrize("damage", ["interpreter", "package", "metadata", "all", "mark", "config"])
def test_a_broken_environment_is_found_and_mended(bench: Bench, index: Index, damage: str) -> None:
    env = tools(bench, "shopkit")
    build = Path(env.apply()["python"]).parents[1]
    site = next(build.glob("lib/python*/site-packages"))
    match damage:
        case "interpreter":
            (build / "bin" / "python").unlink()
            (build / "bin" / "python").symlink_to("/nowhere/python3")
        case "package":
            (site / "shopbase.py").unlink()
        case "metadata":
            shutil.rmtree(site / "shopbase-2.0.dist-info")
        case "all":
            shutil.rmtree(build)
        case "mark":
            (build / MARK).unlink()
        case "config":
            (build / "pyvenv.cfg").unlink()
    assert env.told() == "incomplete or changed by hand → install anew"
    assert version(env.apply()["python"]) == "2.0"


def test_what_programs_add_does_not_break_it(bench: Bench, index: Index) -> None:
    env = tools(bench, "shopkit")
    build = Path(env.apply()["python"]).parents[1]
    site = next(build.glob("lib/python*/site-packages"))
    (site / "__pycache__").mkdir(exist_ok=True)
    (site / "cache-of-a-tool").write_text("x")
    assert env.changes() == ()


@pytest.mark.parametrize(
    ("requirement", "said", "remedy"),
    [
        ("no-such-shop", "no-such-shop was not found in the package registry", "Correct the name"),
        ("shopkit==9.0", "there is no version of shopkit==9.0", "Correct the name or the version"),
        ("shopkit", "gone was not found in the package registry", "Correct the name or the version"),
    ],
)
def test_one_that_cannot_be_installed_says_which_package_and_leaves_no_half(
    bench: Bench, index: Index, requirement: str, said: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")  # a narrow terminal, where uv would break its lines
    index.wheels.pop("shopkit-1.0-py3-none-any.whl")
    index.add("shopkit", "2.0", ["gone"])
    env = tools(bench, requirement)
    with pytest.raises(ProviderError) as caught:
        env.apply()
    message = str(caught.value)
    assert message.startswith("the Python environment cannot be made: ")
    assert "\n" not in message
    assert requirement.partition("=")[0] in message
    assert said in caught.value.log
    assert remedy in caught.value.remedy
    assert builds(bench) == []
    live = env.read("tools")
    assert live is not None
    assert live["complete"] is False
    index.add("gone", "1.0")
    assert tools(bench, "shopkit").apply()["complete"] is True


def test_a_failed_change_leaves_the_environment_as_it_was(bench: Bench, index: Index) -> None:
    env = tools(bench, "shopkit")
    before = env.apply()
    with pytest.raises(ProviderError):
        tools(bench, "no-such-shop").apply()
    assert env.read() == before
    assert version(before["python"]) == "2.0"
    assert len(builds(bench)) == 1


def test_an_index_that_does_not_answer_says_to_check_the_network(
    bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(ProviderError) as caught:
        tools(bench, "shopkit").apply()
    assert "Check the network" in caught.value.remedy


def test_a_full_disk_says_so(bench: Bench, index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("big", "1.0", size=4_000_000)
    monkeypatch.setenv("UV_LINK_MODE", "copy")
    with small_disk(bench.work / "envs", "size=2m"):
        with pytest.raises(ProviderError) as caught:
            bench.subject("local.python_env", name="tools", requirements=["big"]).apply()
        assert "Free some disk space" in caught.value.remedy
        assert builds(bench) == []


CREATOR = """
import sys
from pathlib import Path
from tests.providers.local.bench import Bench
bench = Bench(Path(sys.argv[1]))
subject = bench.subject("local.python_env", name="tools", requirements=["shopkit"])
subject.desired.create(bench.client, bench.operation())
"""


def installing(bench: Bench, index: Index) -> subprocess.Popen[bytes]:
    """An install in another process, which waits for its downloads."""
    index.open.clear()
    paths = os.pathsep.join(path for path in sys.path if path)
    child = subprocess.Popen(
        [sys.executable, "-c", CREATOR, str(bench.root)],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=Path(__file__).parents[3],
    )
    assert index.asked.wait(60)
    return child


def test_an_install_that_was_killed_never_looks_finished(bench: Bench, index: Index) -> None:
    child = installing(bench, index)
    child.kill()
    child.wait()
    env = tools(bench, "shopkit")
    live = env.read("tools")
    assert live is not None
    assert live["complete"] is False
    assert env.id == "tools"  # found by whoever takes the run up
    left = alive.scan(bench.client, f"{home(bench)}/")
    assert left  # uv still waits
    index.open.set()
    live = env.apply()
    assert version(live["python"]) == "2.0"
    assert not any(alive.lives(process) for process in left)


def test_a_delete_ends_an_installer_that_outlived_its_run(bench: Bench, index: Index) -> None:
    child = installing(bench, index)
    child.kill()
    child.wait()
    tools(bench, "shopkit").delete("tools")
    assert alive.scan(bench.client, f"{home(bench)}/") == []
    assert list(bench.work.rglob("*")) == []


def test_an_interrupt_ends_the_install(bench: Bench, index: Index) -> None:
    index.open.clear()
    bench.cancelled.set()
    with pytest.raises(Cancelled):
        tools(bench, "shopkit").apply()
    assert alive.scan(bench.client, f"{home(bench)}/") == []
    assert builds(bench) == []


def test_it_is_removed_wholly(bench: Bench, index: Index) -> None:
    env = tools(bench, "shopkit")
    build = Path(env.apply()["python"]).parents[1]
    assert whole(build)
    env.delete("tools")
    assert env.read("tools") is None
    assert list(bench.work.rglob("*")) == []
    env.delete("tools")


def test_one_of_another_is_not_taken(bench: Bench, index: Index) -> None:
    env = tools(bench, "shopkit")
    env.apply()
    with pytest.raises(NotOurs, match=r"belongs to resource\.x"):
        bench.subject("local.python_env", "resource.y", **env.wanted).desired.create(
            bench.client, bench.operation("resource.y")
        )


@pytest.mark.parametrize("requirement", ["--index-url http://elsewhere", "a\n-r /etc/passwd"])
def test_options_are_not_requirements(bench: Bench, requirement: str) -> None:
    with pytest.raises(DiagnosticError, match="not a requirement"):
        tools(bench, requirement)


def test_another_python_is_asked_for_by_its_version(bench: Bench, index: Index) -> None:
    with pytest.raises(ProviderError, match=r"[Nn]o interpreter found") as caught:
        bench.subject("local.python_env", name="tools", python_version="3.99").apply()
    assert "Install that Python version" in caught.value.remedy
