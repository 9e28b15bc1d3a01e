"""Lines, tables, diagnostics and screens."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from mlinfra.engine.events import NodeFailed, NodesSkipped, NodeStarted
from mlinfra.engine.inspect import CheckOutcome, StatusRow
from mlinfra.sdk.diagnostics import Diagnostic, Position
from mlinfra.sdk.refs import UNKNOWN, Sensitive, expression, ref
from mlinfra.sdk.resource import Status
from mlinfra.views.diagnostic_text import diagnostic_lines
from mlinfra.views.lines import counted, folded, plain, seconds, shown, table
from mlinfra.views.screen import BothScreens, JsonScreen, TextScreen
from mlinfra.views.tables import check_lines, output_text, status_lines


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(none)"),
        (True, "true"),
        ("", '""'),
        ("a\nb\n", "(2 lines)"),
        ("a\nb", "(2 lines)"),
        ("x" * 100, "x" * 59 + "…"),
        ({"a": 1, "b": [True, None]}, "{a: 1, b: [true, (none)]}"),
        (3.5, "3.5"),
        (Sensitive("hush"), "(sensitive)"),
        ({"token": Sensitive("hush")}, "{token: (sensitive)}"),
        ({"$secret": "0badcafe"}, "(sensitive)"),
        (UNKNOWN, "(known after apply)"),
        (ref("a.b/c.d", "url"), "(known after apply)"),
        (f"{ref('a.b/c.d', 'url')}/x", "(known after apply)"),
        (expression("a + 1", {"a": ref("a.b/c.d", "x")}), "(known after apply)"),
    ],
)
def test_values_are_shown_on_one_short_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0 s"), (0.94, "0.9 s"), (0.96, "1 s"), (59.4, "59 s"), (60.0, "1 min 00 s"), (3725, "62 min 05 s")],
)
def test_durations(value: float, text: str) -> None:
    assert seconds(value) == text


def test_counts() -> None:
    assert [counted(number, "call") for number in (0, 1, 2, 10_000)] == ["0 calls", "1 call", "2 calls", "10,000 calls"]


def test_a_table_is_aligned_and_leaves_no_space_at_line_ends() -> None:
    rows = [[("a", ""), ("bb", ""), ("c", "")], [("aaa", ""), ("b", ""), ("", "")]]
    assert plain(table(rows, indent=2)) == "  a    bb  c\n  aaa  b\n"  # type: ignore[arg-type]  # pieces of literals
    assert table([]) == []


def test_prose_is_folded_at_words() -> None:
    text = "one two three four five six seven"
    assert folded(text, None, "  ") == [f"  {text}"]
    assert folded(text, 24, "  ") == ["  one two three four", "  five six seven"]
    path = "/a/" + "b" * 60
    assert path in "".join(folded(f"see {path} there", 30, ""))
    assert folded("", 30, "  ") == ["  "]


def test_a_diagnostic_says_what_where_why_and_what_to_do() -> None:
    wrong = Diagnostic(
        "key-unknown",
        "Unknown key",
        "This storage has no key.\nIts log:\n  | kept as it is, however long this line may be for the screen",
        "Remove it.",
        Position("blueprint.yaml", 12, 4, "\tx: 1"),
    )
    assert plain(diagnostic_lines([wrong], 40)).splitlines() == [
        "Error: Unknown key  [key-unknown]",
        "  blueprint.yaml:12:4",
        "  12 |  x: 1",
        "     |    ^",
        "  This storage has no key.",
        "  Its log:",
        "    | kept as it is, however long this line may be for the screen",
        "  Remove it.",
        "",
    ]
    assert plain(diagnostic_lines([Diagnostic("c", "S", severity="warning")])).startswith("Warning: S  [c]\n")


def test_text_goes_to_stdout_and_mistakes_to_stderr() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = TextScreen(None, out, err)
    screen.lines([[("made ", "bold"), ("it", "add")]])
    screen.record({"event": "x"})
    screen.diagnostics([Diagnostic("c", "Wrong")])
    screen.close()
    assert out.getvalue() == "made it\n"
    assert err.getvalue() == "Error: Wrong  [c]\n\n"
    assert screen.width is None


def test_colours_are_there_if_they_are_asked_for() -> None:
    out = io.StringIO()
    screen = TextScreen(True, out, io.StringIO())
    screen.lines([[("made", "add")], [("long " * 60, "")]])
    assert "\x1b[32mmade\x1b[0m\n" in out.getvalue()
    assert len(out.getvalue().splitlines()) == 2


def test_json_lines_hold_everything_and_no_secret() -> None:
    out = io.StringIO()
    screen = JsonScreen(out)
    screen.lines([[("for people", "")]])
    screen.record({"event": "outputs", "value": Sensitive("hush"), "unknown": UNKNOWN, "list": (1, Sensitive("hush"))})
    screen.emit(NodeFailed("a", "create", "", 1.23456, Diagnostic("c", "Wrong", "why", "what to do")))
    screen.emit(NodesSkipped(("b",), "a"))
    screen.diagnostics([Diagnostic("c", "Wrong", position=Position("f", 1, 2))])
    screen.close()
    assert "hush" not in out.getvalue()
    records = [json.loads(line) for line in out.getvalue().splitlines()]
    assert records[0]["unknown"] == {"$unknown": True}
    assert records[1]["seconds"] == 1.235
    assert records[1]["diagnostic"]["remedy"] == "what to do"
    assert records[2] == {"event": "nodes_skipped", "addresses": ["b"], "because": "a"}
    assert (records[3]["file"], records[3]["line"], records[3]["column"]) == ("f", 1, 2)


class Gone(io.StringIO):
    """A pipe whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_events_to_a_reader_that_has_gone_end_no_run_but_a_result_does() -> None:
    screen = JsonScreen(Gone())
    screen.emit(NodeStarted("a", "create", ""))
    with pytest.raises(BrokenPipeError):
        screen.record({"event": "plan"})


def test_both_at_once() -> None:
    out, err, file = io.StringIO(), io.StringIO(), io.StringIO()
    kept: list[str] = []
    screen = BothScreens(TextScreen(False, out, err), file)
    screen.lines([[("for people", "")]])
    screen.record({"event": "plan"})
    screen.diagnostics([Diagnostic("c", "Wrong")])
    kept = file.getvalue().splitlines()
    screen.close()
    assert out.getvalue() == "for people\n"
    assert "Wrong" in err.getvalue()
    assert [json.loads(line)["event"] for line in kept] == ["plan", "diagnostic"]


def test_checks_are_summed_up() -> None:
    good = CheckOutcome("endpoint.fraud", "prediction", True, "score 0.93", 0.5)
    bad = CheckOutcome("monitor.drift", "verdict", False, "no run yet", 0.1)
    assert plain(check_lines([good, bad])).splitlines() == [
        "✓  endpoint.fraud  prediction  score 0.93",
        "✗  monitor.drift   verdict     no run yet",
        "1 of 2 checks failed, 0.6 s.",
    ]
    assert plain(check_lines([good])).splitlines()[-1] == "The check passed, 0.5 s."
    assert plain(check_lines([good, good])).splitlines()[-1] == "All 2 checks passed, 1 s."
    assert plain(check_lines([])) == "Nothing to check.\n"


def test_status_tells_where_things_are() -> None:
    rows = [
        StatusRow(
            "endpoint.fraud", "endpoint.fraud/process.a", Status("running", "process 12", "http://127.0.0.1:8080")
        ),
        StatusRow("monitor.drift", "monitor.drift/process.watch", Status("failed", "exited with 3")),
    ]
    assert plain(status_lines(rows, "laptop", 2)).splitlines() == [
        "endpoint.fraud/process.a     running  http://127.0.0.1:8080  process 12",
        "monitor.drift/process.watch  failed   exited with 3",
    ]


def test_an_output_is_bare_unless_it_is_a_secret() -> None:
    outputs: dict[str, Any] = {
        "secret.t": {"value": Sensitive("hush")},
        "registry.m": {"models": {"fraud": {"champion": "3"}}},
    }
    assert output_text(outputs, "secret.t.value", reveal=False, json=False) == "(sensitive)"
    assert output_text(outputs, "secret.t.value", reveal=True, json=False) == "hush"
    assert output_text(outputs, "registry.m.models.fraud.champion", reveal=False, json=False) == "3"
    assert output_text(outputs, "registry.m.models.fraud.champion", reveal=False, json=True) == '"3"'
    assert json.loads(output_text(outputs, "registry.m", reveal=False, json=False)) == outputs["registry.m"]
    assert json.loads(output_text(outputs, "secret.t", reveal=False, json=False)) == {"value": "(sensitive)"}
