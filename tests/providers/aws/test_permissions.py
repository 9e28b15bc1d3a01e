"""`plan --permissions`: what an apply called on the emulator is in the policy that its plan was given, and little besides."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.cli.app import run
from mlinfra.engine.permissions import permissions
from mlinfra.engine.plan import Plan
from mlinfra.engine.workspace import Workspace
from mlinfra_aws import PROVIDER
from mlinfra_aws.permissions import CALLS, PASSES, permitted, policy
from tests.providers.aws.lab import Lab
from tests.providers.aws.platform import sections


def allowed(workspace: Workspace, plan: Plan) -> set[str]:
    types = {resource.type for resource in workspace.desire.resources.values()}
    documents, unknown = permissions(plan, types, workspace.catalog)
    assert unknown == []
    return actions(documents["aws"])


def actions(document: Mapping[str, Any]) -> set[str]:
    return {one for statement in document["Statement"] for one in statement["Action"]}


def called(lab: Lab) -> set[str]:
    """The permissions for what mlinfra called since the last look."""
    calls = [call for call in lab.emulator.calls.of() if "mlinfra/" in call.agent]
    lab.emulator.calls.clear()
    return {one for call in calls for one in permitted(f"{call.service}.{call.operation}")}


def carried_out(lab: Lab, **options: Any) -> tuple[set[str], set[str]]:
    """What an apply was allowed, and what it called."""
    plan = lab.plan(**options)
    with lab.open() as workspace:
        may = allowed(workspace, plan)
    lab.emulator.calls.clear()
    outcome = lab.apply(**options)
    assert outcome is not None
    assert outcome.succeeded
    return may, called(lab)


def test_an_apply_calls_nothing_that_its_policy_does_not_allow(lab: Lab) -> None:
    lab.write({}, **sections(lab.folder))
    may, did = carried_out(lab)
    assert did - may == set()
    assert "s3:CreateBucket" in did
    assert not {one for one in may if ":Delete" in one} - {
        "iam:DeleteRolePolicy", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:DeleteBucketPolicy", "sagemaker:DeleteTags",
    }  # fmt: skip

    lab.write({}, **sections(lab.folder, grown=True))
    may, did = carried_out(lab)
    assert did - may == set()
    assert "sagemaker:UpdateEndpoint" in did
    assert "s3:CreateBucket" not in may

    may, did = carried_out(lab, destroy=True)
    assert did - may == set()
    assert not {one for one in may if ":Create" in one}


def test_a_plan_without_changes_needs_to_read_only(lab: Lab) -> None:
    lab.write({}, **sections(lab.folder))
    lab.converge()
    plan = lab.plan()
    with lab.open() as workspace:
        may = allowed(workspace, plan)
    words = ("Get", "List", "Describe")
    assert {one for one in may if not one.partition(":")[2].startswith(words)} == set()


def test_roles_may_be_passed_to_the_service_that_takes_them_only() -> None:
    document, unknown = policy([("aws.sagemaker_model", "create"), ("aws.nothing", "create")])
    assert unknown == ["aws.nothing"]
    (statement,) = [one for one in document["Statement"] if one["Sid"] == "PassRole"]
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": ["sagemaker.amazonaws.com"]}}


def test_the_table_is_of_types_that_there_are() -> None:
    assert set(CALLS) <= set(PROVIDER.resources)
    assert set(PASSES) <= set(CALLS)
    made = {"read", "write", "create", "update", "delete", "run"}
    assert all(set(told) <= made for told in CALLS.values())


def command(
    capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch, folder: Path, *more: str
) -> tuple[int, str, str]:
    """The command line in this process: its exit code, stdout and stderr."""
    capture.readouterr()
    patch.setattr(sys, "argv", ["mlinfra", "plan", "--permissions", "--file", str(folder / "blueprint.yaml"), *more])
    code = run()
    told = capture.readouterr()
    return code, told.out, told.err


@pytest.mark.parametrize("json_lines", [False, True])
def test_the_command_prints_the_policy_and_nothing_else(
    lab: Lab, json_lines: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write({}, storage={"lake": {}})
    code, out, _ = command(capsys, monkeypatch, lab.folder, *(["--json"] if json_lines else []))
    assert code == 0
    if json_lines:
        records = [json.loads(line) for line in out.splitlines()]
        (record,) = [one for one in records if one.get("event") == "permissions"]
        document = record["providers"]["aws"]
    else:
        document = json.loads(out)
    assert "s3:CreateBucket" in actions(document)
    assert "s3:DeleteBucket" not in actions(document)


def test_an_environment_without_permissions_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "blueprint.yaml").write_text(
        "blueprint: shop\nenvironments: { here: { provider: local } }\nstorage: { lake: {} }\n"
    )
    code, out, err = command(capsys, monkeypatch, tmp_path)
    assert (code, out) == (1, "")
    assert "has no provider that says" in " ".join(err.split())
