"""Folders, files and secrets on a real disk."""

from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.resource import Known
from mlinfra_local import marks
from tests.providers.local.bench import Bench
from tests.providers.local.disks import make_read_only, small_disk


def files_left(root: Path) -> list[str]:
    """Every file and folder but the work folder itself, in which the state lies."""
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    return sorted(found - {".mlinfra", ".mlinfra/test"})


# -- folders ------------------------------------------------------------------------------------------------------------


def test_a_folder_and_its_parents_come_and_go(bench: Bench) -> None:
    folder = bench.subject("local.folder", path="data/deep/scratch")
    live = folder.apply()
    assert live["url"] == (bench.root / "data/deep/scratch").as_uri()
    folder.delete(folder.id)
    assert files_left(bench.root) == []
    folder.delete(str(bench.root / "data/deep/scratch"))


def test_parents_that_were_there_stay(bench: Bench) -> None:
    (bench.root / "data").mkdir()
    folder = bench.subject("local.folder", path="data/scratch")
    folder.apply()
    folder.delete(folder.id)
    assert files_left(bench.root) == ["data"]


def test_a_parent_goes_with_the_last_of_those_it_was_made_for(bench: Bench) -> None:
    subjects = [
        bench.subject("local.file", "resource.a", path="out/deep/a", content="a"),
        bench.subject("local.file", "resource.b", path="out/deep/b", content="b"),
        bench.subject("local.secret_file", "resource.c", path="out/c", value="c"),
        bench.subject("local.folder", "resource.d", path="out/deep/d"),
    ]
    for subject in subjects:
        subject.apply()
    for subject in subjects:
        subject.delete(subject.id)
    assert files_left(bench.root) == []


def test_a_folder_that_was_made_as_a_parent_can_become_a_resource(bench: Bench) -> None:
    file = bench.subject("local.file", "resource.a", path="out/a", content="a")
    folder = bench.subject("local.folder", "resource.b", path="out")
    file.apply()
    folder.apply()
    file.delete(file.id)
    assert (bench.root / "out").is_dir()
    folder.delete(folder.id)
    assert files_left(bench.root) == []


def test_a_folder_is_kept_while_something_is_put_into_it(bench: Bench) -> None:
    """One thread removes the last file of a folder that another one needs."""
    rounds = 60

    def churn(name: str) -> None:
        subject = bench.subject("local.file", f"resource.{name}", path=f"out/deep/{name}", content=name)
        op = bench.operation(subject.address)
        for _ in range(rounds):
            made = subject.desired.create(bench.client, op)
            subject.model.delete(bench.client, Known(subject.address, made.id, {}), op)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(churn, name) for name in "abcd"]:
            done.result()
    assert files_left(bench.root) == []


@pytest.mark.parametrize(
    "path", ["../out", "/etc/mlinfra", "a/../../out", ".", "", ".mlinfra/test", ".mlinfra", "a\0b"]
)
def test_a_path_never_leaves_the_blueprint(bench: Bench, path: str) -> None:
    for kind in ("local.folder", "local.file", "local.secret_file"):
        more = {"local.file": {"content": "x"}, "local.secret_file": {"value": "x"}}.get(kind, {})
        with pytest.raises(DiagnosticError) as caught:
            bench.subject(kind, path=path, **more)
        assert caught.value.diagnostics[0].remedy


def test_a_link_leads_nowhere_else(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (bench.root / "data").symlink_to(tmp_path / "outside")
    for kind, more in (("local.folder", {}), ("local.file", {"content": "x"})):
        with pytest.raises(ProviderError, match="link"):
            bench.subject(kind, path="data/x", **more).apply()
    assert files_left(tmp_path / "outside") == []


def test_a_link_that_came_later_leads_nowhere_either(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = bench.subject("local.file", path="data/x", content="x")
    file.apply()
    (outside / "x").write_text("theirs")
    shutil.rmtree(bench.root / "data")
    (bench.root / "data").symlink_to(outside)
    with pytest.raises(ProviderError, match="link"):
        file.apply()
    with pytest.raises(ProviderError, match="link"):
        file.delete(str(bench.root / "data" / "x"))
    assert (outside / "x").read_text() == "theirs"


def test_a_folder_that_is_a_link_is_not_taken(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (bench.root / "seeds").mkdir()
    (bench.root / "seeds" / "a").write_text("a")
    (bench.root / "lake").symlink_to(outside)
    with pytest.raises(NotOurs, match="link"):
        bench.subject("local.folder", path="lake", contents="seeds").apply()
    (bench.root / "lake").unlink()
    lake = bench.subject("local.folder", path="lake", contents="seeds")
    lake.apply()
    shutil.rmtree(bench.root / "lake")
    (bench.root / "lake").symlink_to(outside)
    with pytest.raises(ProviderError, match="link"):
        lake.apply()
    lake.delete(str(bench.root / "lake"))
    assert outside.is_dir()
    assert files_left(tmp_path / "outside") == []


def test_seeded_files_are_put_back_and_others_left_alone(bench: Bench) -> None:
    seeds = bench.root / "seeds"
    (seeds / "sub").mkdir(parents=True)
    (seeds / "a.csv").write_text("a")
    (seeds / "sub" / "b.csv").write_text("b")
    folder = bench.subject("local.folder", path="lake", contents="seeds")
    folder.apply()
    assert folder.would_lose() is None
    lake = bench.root / "lake"
    (lake / "mine.csv").write_text("mine")
    (lake / "a.csv").write_text("edited")
    (lake / "sub" / "b.csv").unlink()
    assert folder.told() == "sub/b.csv is missing → put back"
    folder.apply()
    assert (lake / "sub" / "b.csv").read_text() == "b"
    assert (lake / "a.csv").read_text() == "edited"
    assert (lake / "mine.csv").read_text() == "mine"
    assert folder.would_lose() == "2 files, 10 B"


def test_a_changed_seed_is_taken_over_unless_the_copy_was_edited(bench: Bench) -> None:
    seeds = bench.root / "seeds"
    seeds.mkdir()
    for name in ("a", "b", "c"):
        (seeds / name).write_text("1")
    bench.subject("local.folder", path="lake", contents="seeds").apply()
    (bench.root / "lake" / "b").write_text("edited")
    (seeds / "a").write_text("2")
    (seeds / "b").write_text("2")
    (seeds / "c").unlink()
    bench.subject("local.folder", path="lake", contents="seeds").apply()
    assert {path.name: path.read_text() for path in (bench.root / "lake").iterdir()} == {"a": "2", "b": "edited"}


def test_folders_of_seeds_that_left_go_with_them(bench: Bench) -> None:
    (bench.root / "seeds" / "a" / "b").mkdir(parents=True)
    (bench.root / "seeds" / "a" / "b" / "c").write_text("c")
    bench.subject("local.folder", path="lake", contents="seeds").apply()
    shutil.rmtree(bench.root / "seeds" / "a")
    folder = bench.subject("local.folder", path="lake", contents="seeds")
    assert folder.told(str(bench.root / "lake")) == "files left → removed, unless edited"
    folder.apply()
    assert files_left(bench.root / "lake") == []


def test_a_filled_folder_of_somebody_else_is_not_taken(bench: Bench) -> None:
    (bench.root / "lake").mkdir()
    folder = bench.subject("local.folder", path="lake")
    folder.apply()
    folder.delete(folder.id)
    (bench.root / "lake").mkdir()
    (bench.root / "lake" / "theirs").write_text("x")
    with pytest.raises(NotOurs) as caught:
        folder.apply()
    assert "--adopt resource.x" in caught.value.remedy
    folder.apply(adopt=True)
    assert folder.would_lose() == "1 file, 1 B"
    with pytest.raises(NotOurs, match=r"belongs to resource\.x"):
        bench.subject("local.folder", "resource.y", path="lake").apply()


def test_a_folder_without_its_mark_is_not_deleted(bench: Bench) -> None:
    folder = bench.subject("local.folder", path="lake")
    folder.apply()
    for mark in (bench.work / "marks").iterdir():
        mark.unlink()
    with pytest.raises(NotOurs):
        folder.delete(str(bench.root / "lake"))
    assert (bench.root / "lake").is_dir()


def test_a_folder_without_data_loses_nothing(bench: Bench) -> None:
    folder = bench.subject("local.folder", path="cache", data=False)
    folder.apply()
    (bench.root / "cache" / "x").write_text("x")
    assert folder.would_lose() is None


# -- files --------------------------------------------------------------------------------------------------------------


def test_an_edit_of_a_rendered_file_shows_in_one_line_and_is_mended(bench: Bench) -> None:
    (bench.root / "app.conf.j2").write_text("{% for key in values %}{{ key }}={{ values[key] }}\n{% endfor %}")
    file = bench.subject("local.file", path="out/app.conf", template="app.conf.j2", values={"values": {"a": 1, "b": 2}})
    live = file.apply()
    path = bench.root / "out" / "app.conf"
    assert path.read_text() == "a=1\nb=2\n"
    assert live["sha256"] == file.wanted["sha256"]
    path.write_text("a=1\nb=3\n")
    assert file.told() == "content differs in 1 line: b=3 → b=2"
    path.write_text("a=1\nb=3\nc=4\n")
    assert file.told() == "content differs in 2 lines"
    path.chmod(0o600)
    assert file.told() == "content differs in 2 lines, mode 0600 → 0644"
    file.apply()
    assert path.read_text() == "a=1\nb=2\n"
    file.delete(file.id)
    assert files_left(bench.root) == ["app.conf.j2"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("line\n{% if %}", "line 2"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% include '../secret' %}", "secret"),
        ("{{ 1 / 0 }}", "division"),
    ],
)
def test_a_wrong_template_is_a_diagnostic(bench: Bench, template: str, said: str) -> None:
    (bench.root / "t.j2").write_text(template)
    (bench.root.parent / "secret").write_text("x")
    with pytest.raises(DiagnosticError) as caught:
        bench.subject("local.file", path="out", template="t.j2")
    assert said in caught.value.diagnostics[0].detail


def test_a_file_of_somebody_else_is_not_taken(bench: Bench) -> None:
    (bench.root / "notes.txt").write_text("theirs")
    file = bench.subject("local.file", path="notes.txt", content="ours")
    with pytest.raises(NotOurs):
        file.apply()
    assert (bench.root / "notes.txt").read_text() == "theirs"
    file.apply(adopt=True)
    assert (bench.root / "notes.txt").read_text() == "ours"


def test_what_a_killed_writer_left_is_cleaned_up(bench: Bench) -> None:
    file = bench.subject("local.file", path="a.txt", content="x")
    file.apply()
    (bench.root / ".a.txt.mlinfra-new").write_text("half")
    (bench.work / "marks" / ".0123.json.mlinfra-new").write_text("half")
    file.delete(file.id)
    assert files_left(bench.root) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_says_what_to_do(bench: Bench) -> None:
    (bench.root / "locked").mkdir(mode=0o500)
    with pytest.raises(ProviderError, match="cannot be written") as caught:
        bench.subject("local.file", path="locked/a.txt", content="x").apply()
    assert "right to write" in caught.value.remedy


def test_a_disk_that_cannot_be_written_says_what_to_do(bench: Bench) -> None:
    with small_disk(bench.root / "disk") as disk:
        make_read_only(disk)
        for kind, more in (
            ("local.folder", {}),
            ("local.file", {"content": "x"}),
            ("local.secret_file", {"value": "x"}),
        ):
            with pytest.raises(ProviderError, match="cannot be written") as caught:
                bench.subject(kind, path="disk/sub/x", **more).apply()
            assert "right to write" in caught.value.remedy
    assert files_left(bench.root) == ["disk"]


def test_a_full_disk_says_what_to_do_and_leaves_nothing(bench: Bench) -> None:
    with small_disk(bench.root / "disk") as disk:
        (bench.root / "seeds").mkdir()
        for name in ("a", "b"):
            (bench.root / "seeds" / name).write_bytes(b"x" * 100_000)
        for kind, more in (
            ("local.file", {"content": "x" * 300_000}),
            ("local.secret_file", {"value": "x" * 300_000}),
            ("local.folder", {"contents": "seeds"}),
        ):
            with pytest.raises(ProviderError, match="no space left") as caught:
                bench.subject(kind, path="disk/sub/x", **more).apply()
            assert "Free some disk space" in caught.value.remedy
            assert list(disk.iterdir()) == []
    assert files_left(bench.root) == ["disk", "seeds", "seeds/a", "seeds/b"]


def test_a_full_disk_leaves_the_file_as_it_was(bench: Bench) -> None:
    with small_disk(bench.root / "disk"):
        bench.subject("local.file", path="disk/x", content="before").apply()
        with pytest.raises(ProviderError, match="no space left"):
            bench.subject("local.file", path="disk/x", content="x" * 300_000).apply()
        assert (bench.root / "disk" / "x").read_text() == "before"
        assert [item.name for item in (bench.root / "disk").iterdir()] == ["x"]


@pytest.mark.parametrize(
    ("type", "more"),
    [("local.folder", {}), ("local.file", {"content": "x"}), ("local.secret_file", {"generate": {"length": 8}})],
)
def test_what_was_only_claimed_when_the_run_was_killed_is_finished_or_cleared(
    bench: Bench, type: str, more: dict[str, Any]
) -> None:
    subject = bench.subject(type, path="out/deep/x", **more)
    path = str(bench.root / "out" / "deep" / "x")
    marks.claim(bench.client, path, bench.operation(), there=False)
    assert subject.read() == {"path": path}
    subject.apply()
    subject.delete(path)
    marks.claim(bench.client, path, bench.operation(), there=False)
    subject.delete(subject.id)
    assert files_left(bench.root) == []


# -- secrets ------------------------------------------------------------------------------------------------------------


def test_a_generated_secret_is_made_once(bench: Bench) -> None:
    secret = bench.subject("local.secret_file", path="keys/token", generate={"length": 24, "alphabet": "ab"})
    value = secret.apply()["value"]
    assert len(value) == 24
    assert set(value) <= {"a", "b"}
    path = bench.root / "keys" / "token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    assert secret.told() == "others could read it: mode 0644 → 0600"
    assert secret.apply()["value"] == value
    longer = bench.subject("local.secret_file", path="keys/token", generate={"length": 40})
    assert longer.apply()["value"] == value
    secret.delete(secret.id)
    assert files_left(bench.root) == []


def test_a_secret_is_taken_from_outside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "first")
    assert bench.subject("local.secret_file", path="a", env="SHOP_TOKEN").apply()["value"] == "first"
    monkeypatch.setenv("SHOP_TOKEN", "second")
    secret = bench.subject("local.secret_file", path="a", env="SHOP_TOKEN")
    assert [change.path for change in secret.changes()] == ["value"]
    assert secret.apply()["value"] == "second"
    monkeypatch.delenv("SHOP_TOKEN")
    assert bench.subject("local.secret_file", path="a", env="SHOP_TOKEN").apply()["value"] == "second"
    with pytest.raises(DiagnosticError, match="SHOP_TOKEN is not set"):
        bench.subject("local.secret_file", path="b", env="SHOP_TOKEN")
    (bench.root / "given").write_text("third\n")
    assert bench.subject("local.secret_file", path="c", from_file="given").apply()["value"] == "third"
    with pytest.raises(DiagnosticError, match="by value and by env"):
        bench.subject("local.secret_file", path="d", value="x", env="SHOP_TOKEN")
    assert "(sensitive)" in repr(secret.changes() or secret.wanted)


def test_another_source_gives_another_value(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "from outside")
    bench.subject("local.secret_file", path="a", env="SHOP_TOKEN").apply()
    made = bench.subject("local.secret_file", path="a", generate={"length": 12}).apply()["value"]
    assert made != "from outside"
    assert len(made) == 12
    longer = bench.subject("local.secret_file", path="a", generate={"length": 20})
    assert longer.told() == "how it would be made changes; the value stays"
    assert longer.apply()["value"] == made


def test_a_secret_stands_in_its_file_only(bench: Bench) -> None:
    value = bench.subject("local.secret_file", path="keys/token", generate={"length": 32}).apply()["value"]
    holders = [path for path in bench.root.rglob("*") if path.is_file() and value in path.read_text()]
    assert holders == [bench.root / "keys" / "token"]
    assert all(value not in line for line in bench.said)


def test_a_foreign_file_is_not_taken_for_a_secret(bench: Bench) -> None:
    (bench.root / "token").write_text("theirs")
    with pytest.raises(NotOurs):
        bench.subject("local.secret_file", path="token", generate={"length": 8}).apply()
    assert (
        bench.subject("local.secret_file", path="token", generate={"length": 8}).apply(adopt=True)["value"] == "theirs"
    )
    (bench.root / "folder").mkdir()
    for kind, more in (("local.file", {"content": "x"}), ("local.secret_file", {"value": "x"})):
        with pytest.raises(NotOurs, match="is a folder"):
            bench.subject(kind, path="folder", **more).apply()
