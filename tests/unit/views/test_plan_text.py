"""How a plan reads."""

from __future__ import annotations

from typing import Any

from mlinfra.engine.plan import Change, Cost, Headline, Node, Note, Plan
from mlinfra.sdk.refs import UNKNOWN, Sensitive
from mlinfra.views.lines import plain
from mlinfra.views.plan_json import plan_record
from mlinfra.views.plan_text import plan_lines


def plan(*nodes: Node, **given: Any) -> Plan:
    """A plan of these nodes."""
    return Plan(
        blueprint="fraud",
        environment="laptop",
        destroy=given.pop("destroy", False),
        created_at="2026-01-31T12:00:00+00:00",
        version="0",
        digest="",
        lineage="",
        serial=1,
        salt="salt",
        providers={},
        nodes=nodes,
        unchanged=given.pop("unchanged", 0),
        cost=given.pop("cost", Cost(41, 7, 0.94)),
        **given,
    )


def node(address: str, action: Any = "update", *changes: Change, **given: Any) -> Node:
    """An operation on one resource."""
    return Node(
        id=given.pop("id", address),
        address=address,
        type=given.pop("type", "local.process"),
        action=action,
        component=address.partition("/")[0],
        changes=changes,
        **given,
    )


def text(made: Plan, *, details: bool = False) -> list[str]:
    return plain(plan_lines(made, details=details)).splitlines()


def test_what_it_means_for_the_component_comes_first() -> None:
    made = plan(
        node("endpoint.fraud/file.config", "update", Change("content", "v3", "v4", "changed"), label="config.json"),
        headlines=(
            Headline("endpoint.fraud", "champion", "3", "4"),
            Headline("endpoint.fraud", "challenger", None, "5"),
            Headline("endpoint.other", "champion", "1", "2"),
        ),
        unchanged=12,
    )
    assert text(made) == [
        "endpoint.fraud  champion 3 → 4, challenger 5",
        "  ~ config.json  content: v3 → v4",
        "",
        "Plan: 0 to add, 1 to change, 0 to destroy.",
        "41 objects read in 7 calls, 0.9 s.",
    ]


def test_components_are_groups_and_single_resources_are_lines() -> None:
    made = plan(
        node("resource.a", "create", type="local.folder"),
        node("storage.lake/folder.folder", "create", label="folder"),
        node("resource.b", "delete", type="local.file"),
        node("resource.c", "create", type="local.file"),
        cost=Cost(1, 1, 2.0),
    )
    assert text(made) == [
        "+ resource.a  local.folder",
        "",
        "storage.lake",
        "  + folder",
        "",
        "- resource.b  local.file  destroy",
        "+ resource.c  local.file",
        "",
        "Plan: 3 to add, 0 to change, 1 to destroy.",
        "1 object read in 1 call, 2 s.",
    ]


def test_why_a_field_changes_is_said() -> None:
    changes = (
        Change("mode", "0777", "0644", "drift"),
        Change("owner", "me", None, "reset"),
        Change("path", "a", "b", "changed", forces_replacement=True),
        Change("url", "x", UNKNOWN, "unknown"),
    )
    made = plan(
        node("resource.a", "delete", id="resource.a!delete", replaced=True),
        node("resource.a", "replace", *changes, would_lose="12 files, 3.4 MB"),
    )
    assert text(made)[:6] == [
        "± resource.a  local.process  replace",
        "      loses 12 files, 3.4 MB",
        "      mode: 0777 → 0644  (changed outside mlinfra)",
        "      owner: me → (none)  (no longer in the blueprint)",
        "      path: a → b  (forces replacement)",
        "      url: x → (known after apply)",
    ]
    assert "Plan: 1 to add, 0 to change, 1 to destroy." in text(made)


def test_a_summary_takes_the_place_of_its_fields() -> None:
    change = Change("store", "online store is gone", "ready", "drift")
    line = "online store is gone → apply and materialise again"
    made = plan(node("feature_store.fraud/repository.fraud", "update", change, summary=line))
    assert text(made)[1] == f"  ~ repository fraud  {line}  (changed outside mlinfra)"
    assert not any("store:" in each for each in text(made))
    assert any("store: online store is gone → ready" in each for each in text(made, details=True))


def test_runs_and_waits_are_counted_apart() -> None:
    made = plan(
        node("training.fraud/job.train", "run", id="training.fraud/job.train!run", label="train"),
        node("registry.m/model_alias.fraud-champion", "wait", label="fraud@champion"),
    )
    assert "  > train  run" in text(made)
    assert "Plan: 0 to add, 0 to change, 0 to destroy, 1 to run, 1 to wait for." in text(made)


def test_texts_are_compared_line_by_line() -> None:
    before = "".join(f"line {number}\n" for number in range(40))
    made = plan(
        node("resource.a", "update", Change("content", before, before.replace("line 7\n", "seven\n"), "changed"))
    )
    told = text(made)
    assert "      content: (40 lines) → (40 lines)" in told
    assert "        -line 7" in told
    assert "        +seven" in told
    assert not any("line 20" in line for line in told)


def test_secrets_are_not_shown_whatever_they_look_like() -> None:
    secret, other = Sensitive("hush\nhush\n"), Sensitive("hush hush\nmore\n")
    made = plan(
        node("resource.a", "update", Change("value", secret, other, "changed")),
        node("resource.b", "create", Change("value", None, secret, "changed")),
        node("resource.c", "delete", before={"value": secret}),
        headlines=(Headline("resource.a", "word", secret, other),),
    )
    for details in (False, True):
        assert "hush" not in "\n".join(text(made, details=details))
    assert "hush" not in str(plan_record(made))
    assert "(sensitive)" in "\n".join(text(made, details=True))


def test_what_cannot_be_done_is_told_also_where_nothing_changes() -> None:
    notes = (
        Note("endpoint.fraud", "not on local: scale.target", unsupported=True),
        Note("storage.l", "is gone already"),
    )
    told = text(plan(notes=notes, unchanged=1))
    assert told == [
        "endpoint.fraud  not on local: scale.target",
        "storage.l       is gone already",
        "",
        "No changes. 1 resource is as the blueprint says.",
        "41 objects read in 7 calls, 0.9 s.",
    ]


def test_an_empty_destroy_says_so() -> None:
    assert text(plan(destroy=True))[0] == "No changes. Nothing is there that could be destroyed."


def test_a_summary_says_where_it_came_from_only_if_all_of_it_did() -> None:
    drift, edit = Change("running", False, True, "drift"), Change("command", ["a"], ["b"], "changed")
    made = plan(node("endpoint.fraud/process.champion", "update", drift, edit, summary="stopped → start"))
    assert text(made)[1] == "  ~ process champion  stopped → start"
