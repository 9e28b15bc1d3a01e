"""Bad input: a diagnostic with file, line, column and remedy, exit code 1, and nothing is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import HEAD, LIGHT, Project

FILE = "    type: local.file\n"
CYCLE = HEAD + (
    "resource:\n"
    f"  a:\n{FILE}    path: x\n    content: ${{resource.b.path}}\n"
    f"  b:\n{FILE}    path: y\n    content: ${{resource.c.path}}\n"
    f"  c:\n{FILE}    path: z\n    content: ${{resource.a.path}}\n"
)
BOMB = HEAD + (
    "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(9))
)

WRONG: dict[str, tuple[str | bytes, str, str, str, str]] = {
    # what: (the file, where, code, what is wrong, what to do)
    "a misspelt key": (
        HEAD + "storage:\n  lake: { versionin: true }\n",
        "6:11",
        "key-unknown",
        'has no key "versionin". Did you mean "versioning"?',
        "Its keys are: versioning,",
    ),
    "a misspelt section": (
        HEAD + "storag:\n  lake: {}\n",
        "5:1",
        "kind-unknown",
        'Did you mean "storage"?',
        "Kinds are: storage,",
    ),
    "a wrong type": (
        HEAD + "storage:\n  lake: { versioning: maybe }\n",
        "6:23",
        "value-type",
        '"versioning" must be true or false, and it is the text "maybe"',
        "Write true or false.",
    ),
    "an unknown kind": (
        HEAD + "warehouse:\n  lake: {}\n",
        "5:1",
        "kind-unknown",
        '"warehouse" is neither a kind',
        "Kinds are:",
    ),
    "an unknown variable": (
        HEAD + "resource:\n  a:\n    type: local.folder\n    path: ${var.nme}\n",
        "8:13",
        "variable-unknown",
        'There is no variable "nme"',
        'Declare it under "variables:"',
    ),
    "an unknown reference": (
        HEAD + f"storage:\n  lake: {{}}\nresource:\n  a:\n{FILE}    path: x\n    content: ${{storage.lak.url}}\n",
        "11:16",
        "reference-unknown",
        'There is no "storage.lak". Did you mean "lake"?',
        "Declared in storage are: lake.",
    ),
    "an unknown output": (
        HEAD + f"storage:\n  lake: {{}}\nresource:\n  a:\n{FILE}    path: x\n    content: ${{storage.lake.ulr}}\n",
        "11:16",
        "output-unknown",
        'Did you mean "url"?',
        "Its outputs are: url, path.",
    ),
    "a cycle, each edge of it": (
        CYCLE,
        "9:14",
        "cycle",
        "resource.a → resource.b (by content), resource.b → resource.c (by content), "
        "resource.c → resource.a (by content)",
        "Remove one of the references.",
    ),
    "a duplicate key": (
        HEAD + "storage:\n  lake: {}\n  lake: {}\n",
        "7:3",
        "key-duplicate",
        'The key "lake" already stands on line 6',
        "Keep one of the two",
    ),
    "a tab": (HEAD + "storage:\n\tlake: {}\n", "6:1", "yaml-tab", "does not allow tabs", "Indent with spaces."),
    "an alias bomb": (BOMB, "6:8", "alias-bomb", "expand to more values", "use fewer aliases"),
    "another encoding": (
        HEAD.encode() + b"storage:\n  lake: {}  # caf\xe9\n",
        "6:18",
        "file-not-utf8",
        "(0xe9) on line 6 is not valid UTF-8",
        "Save the file as UTF-8.",
    ),
    "an empty file": ("", "1:1", "file-empty", "has no content", "`mlinfra init` makes a first one"),
    "a list": ("- a\n", "1:1", "yaml-top", "this is a list", "blueprint: name"),
    "a reference without quotes": (
        HEAD + "resource:\n  a: { type: local.file, path: ${var.x} }\n",
        "6:32",
        "yaml-reference",
        "as the start of a mapping",
        "Put the whole text in quotes",
    ),
    "an unknown provider": (
        "blueprint: demo\nenvironments:\n  laptop: { provider: lokal }\n",
        "3:23",
        "provider-unknown",
        'Did you mean "local"?',
        "Installed are:",
    ),
    "an unknown resource type": (
        HEAD + "resource:\n  a: { type: local.foldr, path: x }\n",
        "6:3",
        "resource-type-unknown",
        'Did you mean "local.folder"?',
        "`mlinfra providers`",
    ),
    "an unknown field": (
        HEAD + "resource:\n  a: { type: local.folder, path: x, mod: 1 }\n",
        "6:37",
        "field-unknown",
        'has no field "mod". Did you mean "mode"?',
        "Its fields are:",
    ),
    "a path that leaves the folder": (
        HEAD + "resource:\n  a: { type: local.folder, path: ../../etc }\n",
        "6:3",
        "resource-invalid",
        "leads out of the blueprint's folder",
        "Use a path below that folder",
    ),
}


@pytest.mark.parametrize(
    ("text", "where", "code", "what", "remedy"), list(WRONG.values()), ids=[name.replace(" ", "-") for name in WRONG]
)
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_a_mistake_is_shown_where_it_is(
    project: Project, command: str, text: str | bytes, where: str, code: str, what: str, remedy: str
) -> None:
    project.write(text)
    told = project.call(command, *(["-y"] if command == "apply" else []))
    assert told.code == 1
    assert told.out == ""
    assert f"[{code}]" in told.err
    assert f"  blueprint.yaml:{where}\n" in told.err
    assert what in told.err
    assert remedy in told.err
    # An apply may have made its own folder to hold the lock; it made nothing else.
    assert set(project.names()) <= {"blueprint.yaml", ".mlinfra"}
    assert not list((project.folder / ".mlinfra").rglob("storage"))


def test_the_mark_stands_below_the_mistake(project: Project) -> None:
    project.write(HEAD + "storage:\n  lake: { versionin: true }\n")
    lines = project.call("validate").err.splitlines()
    number = next(i for i, line in enumerate(lines) if line.startswith("  6 | "))
    assert lines[number][lines[number + 1].index("^") :].startswith("versionin")


def test_all_mistakes_come_at_once(project: Project) -> None:
    project.write(HEAD + "storage:\n  lake: { versionin: true }\nsecret:\n  t: { generate: { length: x } }\nnope: {}\n")
    told = project.call("validate")
    assert told.code == 1
    assert told.err.count("Error: ") == 3


def test_mistakes_are_records_for_machines(project: Project) -> None:
    project.write(HEAD + "storage:\n  lake: { versionin: true }\n")
    told = project.call("validate", "--json")
    assert told.code == 1
    (record,) = map(json.loads, told.out.splitlines())
    assert record["event"] == "diagnostic"
    assert (record["code"], record["file"], record["line"], record["column"]) == (
        "key-unknown",
        "blueprint.yaml",
        6,
        11,
    )
    assert record["remedy"]


def test_an_unknown_environment_is_named_with_those_that_are_there(project: Project) -> None:
    told = project.call("apply", "-y", "-e", "prodd")
    assert told.code == 1
    assert 'Did you mean "prod"?' in told.err
    assert "laptop, prod" in told.err
    assert project.names() == ["blueprint.yaml"]


def test_a_missing_file_tells_how_to_begin(project: Project) -> None:
    told = project.call("plan", "-f", "nowhere.yaml")
    assert told.code == 1
    assert 'There is no file "nowhere.yaml"' in told.err
    assert "`mlinfra init`" in told.err


@pytest.mark.parametrize("given", ["word", "=x", "nope=1"])
def test_a_variable_that_cannot_be_set_is_told(project: Project, given: str) -> None:
    told = project.call("plan", "--var", given)
    assert told.code == 1
    assert told.err.startswith("Error: ")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("plan", "--nope"), "--nope"),
        (("plan", "extra"), "extra"),
        (("nosuch",), "nosuch"),
        (("apply", "--parallelism", "0"), "--parallelism"),
        (("logs",), "ADDRESS"),
        ((), "Usage"),
    ],
)
def test_a_command_line_that_is_not_understood_ends_with_1(
    project: Project, arguments: tuple[str, ...], what: str
) -> None:
    told = project.call(*arguments)
    assert told.code == 1
    assert what in told.err + told.out
    assert "Traceback" not in told.err


def test_a_source_line_of_great_length_is_cut_around_the_mistake(project: Project) -> None:
    many = ", ".join(f"a{i}: {{}}" for i in range(30))
    project.write(HEAD + f"storage: {{ {many}, b: {{ versionin: true }}, {many.replace('a', 'c')} }}\n")
    lines = project.call("validate").err.splitlines()
    number = next(i for i, line in enumerate(lines) if line.startswith("  5 | "))
    assert len(lines[number]) < 140
    assert lines[number][lines[number + 1].index("^") :].startswith("versionin")


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="the folder is Linux's")
def test_an_unwritable_folder_is_told(project: Project) -> None:
    # Nobody may make anything there, root neither.
    (project.folder / ".mlinfra").symlink_to("/sys/kernel")
    told = project.call("apply", "-y")
    assert told.code == 1
    assert "mistake in mlinfra" not in told.err
    assert ".mlinfra/laptop" in told.err
    assert not (project.folder / "box").exists()


def test_a_folder_that_is_in_the_way_is_told(project: Project) -> None:
    project.write(LIGHT)
    (project.folder / ".mlinfra").write_text("a file where the state should be")
    told = project.call("apply", "-y")
    assert told.code == 1
    assert "mistake in mlinfra" not in told.err
    assert Path(project.folder, ".mlinfra").read_text() == "a file where the state should be"
