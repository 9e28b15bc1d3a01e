"""Variables: types, where values come from, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlinfra.blueprint.expressions import evaluate
from mlinfra.sdk.refs import Sensitive, resolve
from tests.unit.blueprint.conftest import Files, place

ENVIRONMENTS = (
    "environments: { laptop: { provider: local, default: true, variables: { x: env } }, other: { provider: p } }\n"
)


def test_the_later_place_wins(files: Files, tmp_path: Path) -> None:
    text = "blueprint: b\nvariables: { x: { default: default } }\n" + ENVIRONMENTS
    assert files.load(text, environment="other").variables == {"x": "default"}
    assert files.load(text).variables == {"x": "env"}
    environ = {"MLINFRA_VAR_x": "environ", "MLINFRA_VAR_unrelated": "1"}
    assert files.load(text, environ=environ).variables == {"x": "environ"}
    files.write("x: auto b", "b.auto.vars.yaml")
    files.write("x: auto a", "a.auto.vars.yaml")
    assert files.load(text, environ=environ).variables == {"x": "auto b"}
    one, two = files.write("x: file", "one.yaml.txt"), files.write("x: file 2", "two.yaml.txt")
    assert files.load(text, environ=environ, variable_files=[one]).variables == {"x": "file"}
    assert files.load(text, variable_files=[one], variables=["x=line"]).variables == {"x": "line"}
    assert files.load(text, variables=["x=line", two]).variables == {"x": "file 2"}
    assert files.load(text, variables=[two, "x=a=b"]).variables == {"x": "a=b"}


@pytest.mark.parametrize(
    ("type_name", "text", "value"),
    [
        ("string", "3", "3"),
        ("integer", "3", 3),
        ("number", "3.5", 3.5),
        ("number", "3", 3),
        ("boolean", "True", True),
        ("list", "[a, 1]", ["a", 1]),
        ("map", '{"a": 1}', {"a": 1}),
        ("map", "a: 1", {"a": 1}),
        ("any", "3", 3),
        ("any", "word", "word"),
    ],
)
def test_text_is_read_by_type(files: Files, type_name: str, text: str, value: Any) -> None:
    body = f"variables: {{ x: {{ type: {type_name} }} }}\n"
    assert files.load(body=body, variables=[f"x={text}"]).variables == {"x": value}
    assert files.load(body=body, environ={"MLINFRA_VAR_x": text}).variables == {"x": value}


@pytest.mark.parametrize(
    ("declaration", "value", "said"),
    [
        ("type: integer", "many", "must be a whole number"),
        ("type: integer", "1.5", "must be a whole number"),
        ("type: integer", "true", "must be a whole number"),
        ("type: boolean", "yes", "must be true or false"),
        ("type: list", "{a: 1}", "must be a list"),
        ("type: map", "[a", "cannot be read"),
        ("type: string, enum: [a, b]", "c", "must be one of a, b"),
        ("type: string, pattern: '^a'", "b", "must match"),
        ("type: integer, minimum: 2", "1", "must be at least 2"),
        ("type: number, maximum: 2.5", "3", "must be at most 2.5"),
        ("type: any", "\ue000", "U+E000"),
        ("type: any", "{1: 2}", "must be text"),
    ],
)
def test_values_are_checked(files: Files, declaration: str, value: str, said: str) -> None:
    diagnostic = files.one(body=f"variables: {{ x: {{ {declaration} }} }}\n", variables=[f"x={value}"])
    assert diagnostic.code == "variable-invalid"
    assert said in diagnostic.detail
    assert "--var" in diagnostic.detail


def test_all_mistakes_of_declarations(files: Files) -> None:
    found = files.wrong(
        body="""
        variables:
          Bad: {}
          a: { type: int }
          b: { defualt: 1 }
          c: { type: integer, default: x }
          d: 5
          e: { type: string, pattern: "(" }
          f: { enum: [] }
          g: { sensitive: true, type: integer, default: 1 }
          h:
          i: { default: "${env.name}" }
        """
    )
    assert [(d.code, d.position.line) for d in found if d.position] == [
        ("name-invalid", 5),
        ("value-type", 6),
        ("key-unknown", 7),
        ("variable-invalid", 8),
        ("value-type", 9),
        ("value-type", 10),
        ("value-type", 11),
        ("variable-sensitive", 12),
        ("variable-missing", 13),
        ("variable-invalid", 14),
    ]
    assert 'Did you mean "default"?' in next(d.detail for d in found if d.code == "key-unknown")


def test_a_missing_value_names_every_way_to_give_it(files: Files) -> None:
    diagnostic = files.one(body="variables:\n  region: { type: string }\n")
    assert diagnostic.code == "variable-missing"
    assert "--var region=" in diagnostic.remedy
    assert "MLINFRA_VAR_region=" in diagnostic.remedy
    assert place(diagnostic) == (4, 3)


def test_unknown_variables_are_told_wherever_they_stand(files: Files) -> None:
    file = files.write("reginn: x\n", "more.vars.yaml")
    found = files.wrong(
        "blueprint: b\nvariables: { region: { default: a } }\n"
        "environments:\n  a: { provider: local, default: true, variables: { regoin: 1 } }\n",
        variables=["egion=1", file, "nothing"],
    )
    assert [d.code for d in found] == ["variable-unknown"] * 3 + ["variable-syntax"]
    assert sum('Did you mean "region"?' in d.detail for d in found) == 3
    assert place(found[0]) == (4, 61)
    assert [d.position.file for d in found if d.position] == [str(files.path), str(file)]


def test_sensitive_values_stay_hidden(files: Files) -> None:
    body = """
    variables:
      password: { type: string, sensitive: true, pattern: "^hunter" }
      keys: { sensitive: true, default: { a: [b] } }
    resource:
      db:
        type: fake.thing
        url: postgres://u:${var.password}@localhost
        plain: ${var.password}
        upper: ${var.password | upper}
        after: x${var.password}${resource.other.url}
        size: ${var.password | length}
      other: { type: fake.thing }
    """
    assert "secret-1" not in files.one(body=body, variables=["password=secret-1"]).detail
    blueprint = files.load(body=body, variables=["password=hunter2"])
    assert isinstance(blueprint.variables["password"], Sensitive)
    assert isinstance(blueprint.variables["keys"]["a"][0], Sensitive)
    fields = blueprint.resources["resource.db"].fields
    for name in ("url", "plain", "upper", "after"):
        assert isinstance(fields[name], Sensitive), name
    assert fields["url"].reveal() == "postgres://u:hunter2@localhost"
    assert fields["upper"].reveal() == "HUNTER2"
    assert "hunter2" not in repr(blueprint)
    later = resolve(fields["after"], lambda reference: "-url", evaluate)
    assert isinstance(later, Sensitive)
    assert later.reveal() == "xhunter2-url"
    assert blueprint.digest != files.load(body=body, variables=["password=hunter3"]).digest


def test_an_empty_variables_file_gives_nothing(files: Files) -> None:
    empty = files.write("# nothing yet\n", "e.vars.yaml")
    assert files.load(body="variables: { x: { default: 1 } }\n", variables=[empty]).variables == {"x": 1}
    assert files.one(body="", variables=[files.folder / "gone.yaml"]).code == "file-missing"


def test_why_an_expression_over_a_secret_fails_is_not_told(files: Files) -> None:
    body = """
    variables: { password: { sensitive: true, default: hunter2 } }
    resource: { a: { type: a.b, x: "${ {}[var.password] }", y: "${var.password + 1}" } }
    """
    assert all("hunter2" not in d.detail for d in files.wrong(body=body))
