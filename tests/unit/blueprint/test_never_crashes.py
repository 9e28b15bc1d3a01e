"""Whatever the text, the loader gives a blueprint or diagnostics: no other error, and each diagnostic is whole."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlinfra.blueprint.expressions import ExpressionError, chains, value_of
from mlinfra.blueprint.loader import load
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from tests.unit.blueprint.conftest import HEAD
from tests.unit.blueprint.kinds import KINDS

CALM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
# fmt: off
WORDS = (
    "blueprint", "variables", "environments", "storage", "training", "endpoint", "monitor", "registry", "resource",
    "storages", "laptop", "local", "lake", "provider", "default", "overrides", "type", "for_each", "use", "policy", "model",
    "models", "variants", "of", "then", "produces", "null", "true", "1", "1.5", "~", "${storage.lake.url}", "${var.x}",
    "${resource.a.b}", "${1+1}", "${", "$${", "${nope}", "registry.models/fraud@champion", "storage.lake",
)
SYMBOLS = (
    "var.x", "'a'", "10", "**", "*", "+", "~", "|", "[", "]", "(", ")", ",", ".", "lower", "join", "list", "range", "{", "}",
    ":", "if", "else", "not", "in", "is",
)
# fmt: on
PIECES = st.sampled_from(
    [
        *WORDS,
        ": ",
        "\n",
        "\n  ",
        "\n    ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "&a ",
        "*a",
        "!x ",
        "#",
        "|",
        "'",
        '"',
        "? ",
        "---\n",
        "\t",
        "<<: ",
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join))
KEYS = st.sampled_from(WORDS)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.sampled_from(WORDS), st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=20,
)
SECTIONS = st.dictionaries(
    KEYS, st.dictionaries(st.sampled_from(["lake", "a", "b", "x"]), VALUES, max_size=3), max_size=5
)


def tried(text: bytes, environ: Mapping[str, str] = {}, variables: tuple[str, ...] = ()) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "blueprint.yaml"
        path.write_bytes(text)
        found: Sequence[Diagnostic] | None = None
        try:
            load(path, environ=environ, kinds=KINDS.get, kind_names=tuple(KINDS), variables=variables)  # type: ignore[arg-type]
        except DiagnosticError as error:
            found = error.diagnostics
        assert found is None or all(each.summary and each.detail and each.remedy for each in found)
        assert found is None or len(found) > 0


@CALM
@given(st.one_of(st.binary(), TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass"))))
def test_any_text(text: bytes) -> None:
    tried(text)


@CALM
@given(TEXTS)
def test_any_text_after_a_good_start(text: str) -> None:
    tried((HEAD + text).encode("utf-8", "surrogatepass"))


@CALM
@given(SECTIONS)
def test_any_sections(sections: dict[str, Any]) -> None:
    document = {"blueprint": "b", "environments": {"laptop": {"provider": "local"}}, **sections}
    tried(yaml.safe_dump(document, allow_unicode=True).encode("utf-8", "surrogatepass"))


@CALM
@given(st.text(), st.sampled_from(["string", "integer", "number", "boolean", "list", "map", "any"]))
def test_any_variable(text: str, type_name: str) -> None:
    tried(f"{HEAD}variables: {{ x: {{ type: {type_name} }} }}\n".encode(), {"MLINFRA_VAR_x": text}, (f"x={text}", text))


@CALM
@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(SYMBOLS), max_size=25).map(" ".join),
    )
)
def test_any_expression(source: str) -> None:
    with suppress(ExpressionError):
        chains(source)
        value_of(source, {"var": {"x": "ab"}})
