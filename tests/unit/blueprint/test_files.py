"""Files that cannot be read or parsed: each says where and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.blueprint.conftest import HEAD, Files, place

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{'abcdefghij'[n + 1]}: &{'abcdefghij'[n + 1]} [{','.join(['*' + 'abcdefghij'[n]] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        (b"", "file-empty", (1, 1)),
        (b"# only a comment\n", "file-empty", (1, 1)),
        (b"blueprint: caf\xe9\n", "file-not-utf8", (1, 15)),
        (b"blueprint: a\n\tenvironments: {}\n", "yaml-tab", (2, 1)),
        (b"blueprint: a\nx:\n\ty: 1\n", "yaml-tab", (3, 1)),
        (b"blueprint: a\nstorage: {}\nblueprint: b\n", "key-duplicate", (3, 1)),
        (b"blueprint: [a\nstorage: 1", "yaml-syntax", None),
        (b"blueprint: *nothing\n", "yaml-syntax", (1, 12)),
        (b"blueprint: a\n---\nblueprint: b\n", "yaml-documents", (2, 1)),
        (b"- blueprint\n", "yaml-top", (1, 1)),
        (b"blueprint\n", "yaml-top", (1, 1)),
        (b"blueprint: a\nstorage: { 1: {} }\n", "yaml-value", (2, 12)),
        (b"blueprint: a\ntrue: {}\n", "yaml-value", (2, 1)),
        (b"? [a, b]\n: c\n", "yaml-value", None),
        (b"blueprint: a\nx: .inf\n", "yaml-value", (2, 4)),
        (b"blueprint: a\nx: &x { a: 1 }\ny: { <<: *x }\n", "yaml-value", (3, 6)),
        ("blueprint: a\nx: \ue000\n".encode(), "character-forbidden", (2, 4)),
        (b'blueprint: a\nx: "\\ue000"\n', "yaml-value", (2, 4)),
        (b"blueprint: a\x00\n", "character-forbidden", (1, 13)),
        (BOMB.encode(), "alias-bomb", (2, 8)),
        (b"blueprint: a\nx: { y: 1..${var.x}, z: 1 }\n", "yaml-reference", (2, 12)),
        (b"blueprint: a\nx: [${var.x}]\n", "yaml-reference", (2, 5)),
        (b"blueprint: a\nx: " + b"9" * 4999, "yaml-value", (2, 4)),
        (b"blueprint: a\nx: [" + b"9" * 4999 + b"]", "yaml-value", (2, 5)),
        (b"x: " + b"[" * 5000, "yaml-syntax", None),
    ],
)
def test_a_file_that_is_no_yaml_mapping(files: Files, text: bytes, code: str, where: tuple[int, int] | None) -> None:
    diagnostic = files.one(text)
    assert diagnostic.code == code
    assert diagnostic.position is not None
    assert diagnostic.position.file == str(files.path)
    if where is not None:
        assert place(diagnostic) == where


def test_all_duplicate_keys_are_told_with_the_first_line(files: Files) -> None:
    found = files.wrong("a: { x: 1, x: 2 }\nb:\n  y: 1\n  z: 1\n  y: 2\n")
    assert [place(d) for d in found] == [(1, 12), (5, 3)]
    assert "line 3" in found[1].detail


def test_utf16_is_named(files: Files) -> None:
    assert "UTF-16" in files.one("blueprint: a\n".encode("utf-16")).detail


def test_missing_file_and_folders(files: Files, tmp_path: Path) -> None:
    assert "mlinfra init" in files.one(path=tmp_path / "nowhere.yaml").remedy
    (tmp_path / "empty").mkdir()
    assert files.one(path=tmp_path / "empty").code == "file-missing"
    assert files.one(path=Path("a\0b")).code in ("file-unreadable", "file-missing")


def test_a_byte_order_mark_and_windows_lines_are_fine(files: Files) -> None:
    text = "\ufeff" + HEAD.replace("\n", "\r\n") + "storage: { lake: {} }\r\n"
    assert list(files.load(text.encode()).components) == ["storage.lake"]


def test_a_folder_is_one_blueprint(files: Files) -> None:
    files.write(HEAD + "storage: { lake: {} }\n", "a.yaml")
    files.write("storage: { pond: { note: '${storage.lake.url}' } }\nregistry: { models: {} }\n", "b.yml")
    files.write("x: 1\n", "not.vars.yaml")
    files.write("", "empty.yaml")
    blueprint = files.load(path=files.folder)
    assert set(blueprint.components) == {"storage.lake", "storage.pond", "registry.models"}
    assert blueprint.root == files.folder.resolve()
    assert blueprint.position(("storage", "pond")).file.endswith("b.yml")
    files.write("storage:\n  lake: {}\n", "c.yaml")
    diagnostic = files.one(path=files.folder)
    assert diagnostic.code == "key-duplicate"
    assert "a.yaml, line 3" in diagnostic.detail
    assert place(diagnostic) == (2, 3)


def test_mistakes_of_a_folder_come_file_by_file(files: Files) -> None:
    files.write(HEAD + "storage: { lake: { colour: red } }\n", "a.yaml")
    files.write("registry: { models: { x: 1 } }\nstorages: {}\n", "b.yaml")
    found = files.wrong(path=files.folder)
    assert [(Path(d.position.file).name, d.position.line) for d in found if d.position] == [
        ("a.yaml", 3),
        ("b.yaml", 1),
        ("b.yaml", 2),
    ]


def test_anchors_and_yaml_1_2_values(files: Files) -> None:
    blueprint = files.load(
        body="""
        storage:
          lake: { labels: &l { on: "1", owner: yes, day: 2024-01-01 } }
          pond: { labels: *l }
        """
    )
    assert blueprint.components["storage.pond"].fields["labels"] == {"on": "1", "owner": "yes", "day": "2024-01-01"}


def test_lines_are_counted_as_yaml_1_2_does(files: Files) -> None:
    assert place(files.one(body="# a\x85b\u2028c\nstorage: { a: 1 }\n")) == (4, 15)
