"""`plan --permissions`: what an apply called on the emulator is in the policy that its plan was given, and little besides."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mlinfra.cli.app import run
from mlinfra.engine.catalog import Catalog
from mlinfra.sdk.provider import Place, Step
from mlinfra.sdk.refs import UNKNOWN
from mlinfra_aws import PROVIDER
from mlinfra_aws.permissions import CALLS, permitted, policy
from mlinfra_aws.permissions_scopes import BESIDES, LINKED, PASSES, SCOPES
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.platform import sections


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
        may = actions(lab.policy(workspace, plan))
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
    deletes = {"s3:DeleteBucket", "iam:DeleteRole", "kms:ScheduleKeyDeletion", "sagemaker:DeleteEndpoint"}
    assert deletes & may == set()

    lab.write({}, **sections(lab.folder, grown=True))
    may, did = carried_out(lab)
    assert did - may == set()
    assert "sagemaker:UpdateEndpoint" in did
    assert "s3:CreateBucket" not in may

    may, did = carried_out(lab, destroy=True)
    assert did - may == set()
    assert deletes <= may
    assert not {one for one in may if ":Create" in one}


def test_a_plan_without_changes_needs_to_read_only(lab: Lab) -> None:
    lab.write({}, **sections(lab.folder))
    lab.converge()
    plan = lab.plan()
    with lab.open() as workspace:
        may = actions(lab.policy(workspace, plan))
    words = ("Get", "List", "Describe")
    assert {one for one in may if not one.partition(":")[2].startswith(words)} == set()


PLACE = Place("shop", "staging", Path(), Path(), {"region": REGION, "account": ACCOUNT})


def statements(*steps: Step) -> dict[str, Any]:
    document, unknown = policy(steps, PLACE)
    assert unknown == []
    return {one["Sid"]: one for one in document["Statement"]}


def test_a_type_that_is_not_known_is_told() -> None:
    assert policy([Step("aws.sagemaker_model", "create"), Step("aws.nothing", "create")], PLACE)[1] == ["aws.nothing"]


def test_the_blueprints_own_roles_may_be_passed_to_the_services_that_take_them_only() -> None:
    told = statements(
        Step("aws.iam_role", "read", {"name": "shop-staging-serve"}),
        Step("aws.sagemaker_model", "create", {"name": "m", "execution_role_arn": UNKNOWN}),
        Step("aws.cloudwatch_event_rule", "update", {"name": "r", "target": [{"arn": "x", "role_arn": UNKNOWN}]}),
        Step("aws.lambda_function", "delete", {"function_name": "f", "role": f"arn:aws:iam::{ACCOUNT}:role/old"}),
    )["PassRole"]
    assert told["Condition"] == {
        "StringEquals": {"iam:PassedToService": ["events.amazonaws.com", "sagemaker.amazonaws.com"]}
    }
    assert told["Resource"] == [f"arn:aws:iam::{ACCOUNT}:role/shop-staging-*"]


def test_another_role_may_be_passed_if_the_blueprint_names_it() -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:role/path/theirs"
    assert statements(Step("aws.scheduler_schedule", "create", {"target": {"role_arn": arn}}))["PassRole"][
        "Resource"
    ] == [arn]
    # What an instance profile has for a role, nobody knows.
    profile = {"compute_resources": {"instance_role": f"arn:aws:iam::{ACCOUNT}:instance-profile/nodes"}}
    assert statements(Step("aws.batch_compute_environment", "create", profile))["PassRole"]["Resource"] == "*"
    assert "PassRole" not in statements(Step("aws.cloudwatch_event_rule", "create", {"name": "r"}))


def test_a_services_own_role_may_be_made_for_it_only() -> None:
    told = statements(Step("aws.appautoscaling_target", "create", {"service_namespace": "sagemaker"}))
    service = "sagemaker.application-autoscaling.amazonaws.com"
    assert told["ServiceLinkedRole"]["Condition"] == {"StringLike": {"iam:AWSServiceName": [service]}}
    assert told["ServiceLinkedRole"]["Resource"] == [f"arn:aws:iam::*:role/aws-service-role/{service}/*"]
    assert "ServiceLinkedRole" not in statements(Step("aws.appautoscaling_target", "delete", {}))


def test_permissions_are_for_the_objects_of_the_blueprint_where_they_can_be_told() -> None:
    told = statements(
        Step("aws.s3_bucket", "create", {"bucket": "shop-staging-storage-lake"}),
        Step("aws.s3_bucket", "create", {"bucket": "shop-staging-storage-ice"}),
        Step("aws.s3_bucket", "update", {"bucket": "theirs"}),
        Step("aws.kms_key", "create", {}),
    )
    every = ["shop-staging-*", "shop-staging-*/*"]
    assert [one["Resource"] for sid, one in told.items() if sid.startswith("S3")] == [
        [f"arn:aws:s3:::{name}" for name in every],
        [f"arn:aws:s3:::{name}" for name in [*every, "theirs", "theirs/*"]],
    ]
    assert told["Kms"]["Resource"] == "*"
    unknown = statements(Step("aws.s3_bucket", "read", {"bucket": UNKNOWN}))
    assert unknown["S3"]["Resource"] == "*"


def test_what_services_do_in_the_callers_name_is_allowed_if_the_field_asks_for_it() -> None:
    without = statements(Step("aws.secretsmanager_secret", "create", {"name": "x"}))
    assert "Kms" not in without
    keyed = statements(Step("aws.secretsmanager_secret", "create", {"name": "x", "kms_key_id": UNKNOWN}))
    assert "kms:GenerateDataKey" in keyed["Kms"]["Action"]


def test_cloud_control_needs_what_the_handlers_of_the_type_ask_for() -> None:
    def queue(action: str) -> set[str]:
        told = statements(Step("aws.cloudcontrol", action, {"type_name": "AWS::SQS::Queue"}))
        return {one for statement in told.values() for one in statement["Action"]}

    assert queue("create") >= {"cloudformation:CreateResource", "sqs:CreateQueue"}
    assert "sqs:CreateQueue" not in queue("delete")
    assert queue("delete") >= {"cloudformation:DeleteResource", "sqs:DeleteQueue"}
    role = f"arn:aws:iam::{ACCOUNT}:role/flow"
    state = {"type_name": "AWS::Glue::Job", "desired_state": {"Role": role}}
    told = statements(Step("aws.cloudcontrol", "create", state))
    assert told["PassRoleBehind"]["Resource"] == [role]
    assert "iam:PassRole" not in told.get("Iam", {}).get("Action", [])
    unknown = policy([Step("aws.cloudcontrol", "create", {"type_name": "Acme::Own::Thing"})], PLACE)[1]
    assert unknown == ["aws.cloudcontrol Acme::Own::Thing"]


def test_the_tables_are_of_the_types_that_there_are_and_of_all_of_them() -> None:
    assert set(CALLS) == set(PROVIDER.resources)
    assert {*PASSES, *LINKED, *SCOPES, *(name for name, _ in BESIDES)} <= set(CALLS)
    made = {"read", "write", "create", "update", "delete", "run"}
    assert all(set(told) <= made for told in CALLS.values())


def test_the_fields_that_the_tables_name_are_there() -> None:
    catalog = Catalog([PROVIDER])
    named = [(name, field) for name, (fields, _) in SCOPES.items() for field in fields]
    for type_name, field in [*named, *BESIDES]:
        assert field in catalog.resource_type(type_name).model_fields, (type_name, field)


def test_the_calls_are_operations_of_their_services(session: Any) -> None:
    for type_name, told in CALLS.items():
        for call in {one for calls in told.values() for one in calls}:
            service, _, operation = call.partition(".")
            # Versions are deleted with DeleteObjects, and with a permission of their own.
            if call != "s3.DeleteObjectVersion":
                assert operation in session.client(service, region_name=REGION).meta.service_model.operation_names, (
                    type_name,
                    call,
                )


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
