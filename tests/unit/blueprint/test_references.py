"""References and expressions: their values, tokens, types, and what is wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.blueprint.expressions import evaluate
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.refs import UNKNOWN, Reference, ref, resolve
from tests.unit.blueprint.conftest import Files, place

BODY = """
variables:
  n: { type: integer, default: 3 }
  tags: { default: { team: risk, "my-key": 1 } }
  zones: { default: [a, b] }
storage: { lake: {}, my-lake: {} }
registry: { models: { models: { fraud: { aliases: [champion] } } } }
resource:
  other: { type: fake.thing }
  it:
    type: fake.thing
    value: VALUE
"""


def value(files: Files, text: str) -> Any:
    blueprint = files.load(body=BODY.replace("VALUE", text))
    return blueprint.resources["resource.it"].fields["value"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${var.n}", 3),
        ("${ var.n }", 3),
        ("'${var.n}'", 3),
        ("${var.tags}", {"team": "risk", "my-key": 1}),
        ("${var.tags.team}-${env.name}-${blueprint.name}", "risk-laptop-fraud"),
        ("${var.tags.my-key}", 1),
        ("${var.zones.1}", "b"),
        ("${env.provider}", "local"),
        ("$${var.n}", "${var.n}"),
        ("a$${b}${var.n}", "a${b}3"),
        ("$5 and $", "$5 and $"),
        ("${var.n + 1}", 4),
        ("${var.n * 2}x", "6x"),
        ("${'}' ~ \"{\"}", "}{"),
        ('\'${ {"a": {"b": var.n}}["a"] }\'', {"b": 3}),
        ("${var.n > 2 and 'many' or 'few'}", "many"),
        ("${var.zones | join('-')}", "a-b"),
        ("${var.zones[0].upper()}", "A"),
        ("${'5'}", "5"),
        ("${true}", True),
        ("[1, '${var.n}', {a: '${var.n}'}]", [1, 3, {"a": 3}]),
        ("${storage.lake.url}", ref("storage.lake", "url")),
        ("${storage.my-lake.url}/x", ref("storage.my-lake", "url") + "/x"),
        ("${registry.models.models.fraud.champion}", ref("registry.models", "models.fraud.champion")),
        ("${resource.other.url}", ref("resource.other", "url")),
    ],
)
def test_values(files: Files, text: str, expected: Any) -> None:
    found = value(files, text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "known", "expected"),
    [
        ("${storage.lake.url ~ '/' ~ var.n}", "file:///x", "file:///x/3"),
        ("<${resource.other.url | upper}>", "abc", "<ABC>"),
        ("${storage['my-lake'].url.split('/')[0]}", "a/b", "a"),
        ("${registry.models.models[var.tags.team].x}", {"risk": {"x": 7}}, 7),
        ("${resource.other.list | length}", [1, 2], 2),
    ],
)
def test_expressions_over_what_is_known_later(files: Files, text: str, known: Any, expected: Any) -> None:
    token = value(files, text)
    assert resolve(token, lambda reference: known, evaluate) == expected
    assert resolve(token, lambda reference: UNKNOWN, evaluate) is UNKNOWN


def test_two_values_of_one_component_in_an_expression(files: Files) -> None:
    token = value(files, "${storage.lake.url ~ storage.lake.path ~ resource.other.items}")
    known = {"url": "u", "path": "p", "items": 1}
    assert resolve(token, lambda reference: known[reference.path], evaluate) == "up1"
    seen: list[Reference] = []
    resolve(token, lambda reference: seen.append(reference) or UNKNOWN, evaluate)
    assert {reference.address for reference in seen} == {"storage.lake", "resource.other"}


def test_edges_name_the_field(files: Files) -> None:
    blueprint = files.load(body=BODY.replace("VALUE", "{ a: ['${storage.lake.url}', '${resource.other.x ~ 1}'] }"))
    assert blueprint.resources["resource.it"].edges == {
        "storage.lake": "it.value.a.0",
        "resource.other": "it.value.a.1",
    }
    order = list(blueprint.order)
    assert order.index("storage.lake") < order.index("resource.it")
    assert order.index("resource.other") < order.index("resource.it")


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("${var.nn}", "variable-unknown", 'Did you mean "n"?'),
        ("${var.nn + 1}", "variable-unknown", 'Did you mean "n"?'),
        ("${var.tags.tean}", "reference-unknown", 'Did you mean "team"?'),
        ("${var.zones.7}", "reference-unknown", '"var.zones" has no "7"'),
        ("${env.region}", "reference-unknown", '"env" has no "region"'),
        ("${vars.n}", "reference-unknown", 'Did you mean "var"?'),
        ("${storag.lake.url}", "reference-unknown", 'Did you mean "storage"?'),
        ("${storage.laek.url}", "reference-unknown", 'Did you mean "lake"?'),
        ("${storage.lake.ulr}", "output-unknown", 'Did you mean "url"?'),
        ("${storage.lake.ulr ~ 1}", "output-unknown", 'Did you mean "url"?'),
        ("${storage.lake}", "reference-incomplete", "url, path"),
        ("${storage}", "reference-incomplete", "section"),
        ("${resource.othr.x}", "reference-unknown", 'Did you mean "other"?'),
        ("${}", "expression-invalid", "nothing between"),
        ("${var.n", "expression-invalid", "not closed"),
        ("${var.n +}", "expression-invalid", "unexpected"),
        ("${1/0}", "expression-invalid", "divides by zero"),
        ("${nope + 1}", "reference-unknown", '"nope"'),
        ("${range(10**9)}", "expression-invalid", "range"),
        ("${'a' * 10**9}", "expression-invalid", "more than"),
        ("${99**99**99}", "expression-invalid", "too large"),
        ("${''.__class__.__mro__}", "expression-invalid", "unsafe"),
        ("${'%999999999d' % 1}", "expression-invalid", "with ~"),
        ("${'a'|center(10**9)}", "expression-invalid", "center"),
        ("${([range(9999)]*90)|map('select','in',range(9999))|map('list')|list}", "expression-invalid", "more than"),
        ("${'a'.replace('a','a'*9999).replace('a','a'*9999)}", "expression-invalid", "more than"),
        ("${range(9999)|map('replace','','a'*9999)|list}", "expression-invalid", "more than"),
        ("${1.5|round(10**9)}", "expression-invalid", "precision"),
        ("${[[[1]*9999]*9999]*9999}", "expression-invalid", "more than"),
    ],
)
def test_what_is_wrong(files: Files, text: str, code: str, said: str) -> None:
    quoted = text.replace("'", "''")
    diagnostic = files.one(body=BODY.replace("VALUE", f"'{quoted}'"))
    assert diagnostic.code == code
    assert said in diagnostic.detail + diagnostic.remedy
    assert place(diagnostic)[0] == 14
    assert diagnostic.address == "resource.it"


def test_the_column_is_that_of_the_reference(files: Files) -> None:
    found = files.wrong(body=BODY.replace("VALUE", "a ${var.n} ${var.m} b"))
    assert found[0].position is not None
    assert found[0].position.text[found[0].position.column - 1 :].startswith("var.m")


def test_the_same_mistake_is_told_at_each_place(files: Files) -> None:
    assert len(files.wrong(body=BODY.replace("VALUE", "['${var.m}', '${var.m}']"))) == 2


def test_an_expression_that_fails_later_is_a_diagnostic(files: Files) -> None:
    token = value(files, "${storage.lake.url + 1}")
    with pytest.raises(DiagnosticError, match=r"storage\.lake\.url"):
        resolve(token, lambda reference: "text", evaluate)


def test_plain_references_need_no_template_engine(files: Files) -> None:
    import subprocess
    import sys

    files.write("blueprint: b\nenvironments: { a: { provider: p } }\nresource:\n  x: { type: a.b, y: '${env.name}' }\n")
    code = (
        "import sys; from pathlib import Path; from mlinfra.blueprint.loader import load;"
        f"b = load(Path({str(files.path)!r}), environ={{}}, kinds=lambda name: None, kind_names=());"
        "assert b.resources['resource.x'].fields == {'y': 'a'};"
        "assert not {'jinja2', 'yaml', 'pydantic'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
