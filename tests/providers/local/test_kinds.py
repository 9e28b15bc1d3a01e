"""Storage and secrets as components: every field is done, or told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlinfra.kinds.secret import Generate, Secret
from mlinfra.kinds.storage import Storage
from mlinfra_local.kinds.secret import ALPHABETS
from mlinfra_local.kinds.storage import NOT_DONE
from tests.providers.local.lab import Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def test_no_field_is_passed_over() -> None:
    assert set(Storage.model_fields) == {"contents", *NOT_DONE}
    assert set(Secret.model_fields) == {"generate", "env", "file"}
    assert set(Generate.model_fields) == {"length", "characters"}


def test_a_storage_is_a_folder_that_says_what_it_cannot_do(shop: Shop) -> None:
    shop.write(
        storage={
            "lake": {
                "versioning": True,
                "encryption": "kms",
                "key": "alias/shop",
                "lifecycle": [{"prefix": "tmp/", "expire": "7d"}],
            },
            "plain": {"versioning": False},
        }
    )
    assert shop.notes() == [f"not on local: {field} ({why})" for field, why in NOT_DONE.items()]
    shop.apply()
    assert (shop.work / "storage" / "lake").is_dir()
    assert shop.plan().empty
    shop.apply(destroy=True)
    assert shop.left() == []


def test_contents_are_put_into_a_storage_and_put_again(shop: Shop) -> None:
    (shop.root / "data").mkdir()
    for name in ("a.csv", "b.csv"):
        (shop.root / "data" / name).write_text("1")
    shop.write(storage={"lake": {"contents": "./data"}})
    shop.apply()
    assert shop.plan().empty
    lake = shop.work / "storage" / "lake"
    (lake / "mine.csv").write_text("mine")
    (lake / "b.csv").unlink()
    assert shop.lines() == ["update storage.lake/folder.folder: b.csv is missing → put back"]
    shop.apply()
    (shop.root / "data" / "a.csv").write_text("2")
    (shop.root / "data" / "c.csv").write_text("3")
    assert shop.lines() == [
        "update storage.lake/folder.folder: c.csv → copied, a.csv changed → copied again, unless edited"
    ]
    shop.apply()
    (shop.root / "data" / "b.csv").unlink()
    assert shop.lines() == ["update storage.lake/folder.folder: b.csv left → removed, unless edited"]
    shop.apply()
    assert {path.name: path.read_text() for path in lake.iterdir()} == {"a.csv": "2", "c.csv": "3", "mine.csv": "mine"}
    assert shop.plan().empty


def test_secrets_come_from_each_of_their_sources(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_HOOK", "https://hooks.example/xyz")
    (shop.root / "licence").write_text("licence-text\n")
    shop.write(
        secret={
            "short": {"generate": True},
            "hex": {"generate": {"length": 64, "characters": "hex"}},
            "any": {"generate": {"length": 200, "characters": "printable"}},
            "hook": {"env": "SHOP_HOOK"},
            "licence": {"file": "licence"},
        },
        resource={"note": {"type": "local.file", "path": "note", "content": "${secret.hex.value}", "mode": "0600"}},
    )
    shop.apply()
    secrets = {path.name: path.read_text() for path in (shop.work / "secrets").iterdir()}
    assert len(secrets["short"]) == 32
    assert set(secrets["short"]) <= set(ALPHABETS["letters"])
    assert len(secrets["hex"]) == 64
    assert set(secrets["hex"]) <= set(ALPHABETS["hex"])
    assert set(secrets["any"]) <= set(ALPHABETS["printable"])
    assert not set(secrets["any"]) <= set(ALPHABETS["letters"])
    assert secrets["hook"] == "https://hooks.example/xyz"
    assert secrets["licence"] == "licence-text"
    assert (shop.root / "note").read_text() == secrets["hex"]
    assert {path.stat().st_mode & 0o777 for path in (shop.work / "secrets").iterdir()} == {0o600}
    plan = shop.plan()
    assert plan.empty
    stored = b"".join(path.read_bytes() for path in shop.work.glob("state.db*"))
    shown = json.dumps(plan.to_json()) + repr(shop.events)
    for value in secrets.values():
        assert value.encode() not in stored
        assert value not in shown
    shop.apply()
    assert {path.name: path.read_text() for path in (shop.work / "secrets").iterdir()} == secrets
    shop.apply(destroy=True)
    assert shop.left() == ["licence"]


def test_what_was_deleted_outside_and_then_moved_leaves_nothing(shop: Shop) -> None:
    def resources(folder: str) -> dict[str, dict[str, object]]:
        return {
            "lake": {"type": "local.folder", "path": f"{folder}/deep/lake"},
            "note": {"type": "local.file", "path": f"{folder}/deep/note", "content": "x"},
            "token": {"type": "local.secret_file", "path": f"{folder}/deep/token", "generate": {"length": 8}},
        }

    shop.write(resource=resources("a"))
    shop.apply()
    shutil.rmtree(shop.root / "a")
    assert shop.lines() == [
        "update resource.lake: deleted → made again",
        "update resource.note: deleted → written again",
        "update resource.token: deleted → made again",
    ]
    shop.write(resource=resources("b"))
    shop.apply()
    assert shop.plan().empty
    assert not (shop.root / "a").exists()
    shop.apply(destroy=True)
    assert shop.left() == []


def test_a_secret_that_is_made_again_reaches_what_uses_it(shop: Shop) -> None:
    token = {"type": "local.secret_file", "path": "token", "generate": {"length": 20}}
    note = {"type": "local.file", "path": "note", "content": "token=${resource.token.value}", "mode": "0600"}
    shop.write(resource={"token": token, "note": note})
    shop.apply()
    before = (shop.root / "token").read_text()
    (shop.root / "token").unlink()
    shop.apply()
    after = (shop.root / "token").read_text()
    assert after != before
    assert (shop.root / "note").read_text() == f"token={after}"
    assert shop.plan().empty
