"""The client: whose account, what is tried again, what is told of errors, what is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra_aws.client import TRIES
from mlinfra_aws.errors import AwsError
from mlinfra_aws.names import name
from tests.emulator import faults
from tests.emulator.services.sagemaker import roles_take
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.samples.iam import role
from tests.providers.aws.samples.sagemaker import model

LOG = {"log": {"type": "aws.cloudwatch_log_group", "name": "/lab/log"}}


# -- where -------------------------------------------------------------------------------------------------------------


def test_credentials_of_another_account_are_refused_before_anything_is_read_or_written(lab: Lab) -> None:
    lab.settings["account"] = "222222222222"
    lab.write(LOG)
    (failure,) = lab.failures()
    assert f"belong to the account {ACCOUNT}" in failure
    assert "is the account 222222222222" in failure
    assert "AWS_PROFILE" in failure
    assert set(lab.emulator.calls.counts()) == {"sts.GetCallerIdentity"}


def test_another_region_is_not_taken_for_an_empty_one(lab: Lab) -> None:
    lab.write(LOG)
    lab.converge()
    lab.settings["region"] = "us-east-1"
    lab.write(LOG)
    with pytest.raises(DiagnosticError, match=f"was made in the region {REGION}, and the environment says us-east-1"):
        lab.plan()


def test_the_environment_is_checked_when_the_blueprint_is_opened(lab: Lab) -> None:
    lab.settings |= {"region": "nowhere", "acount": ACCOUNT, "tags": {"aws:x": "y"}}
    lab.write(LOG)
    with pytest.raises(DiagnosticError) as caught:
        lab.open()
    told = [diagnostic.detail for diagnostic in caught.value.diagnostics]
    assert len(told) == 3
    assert any('Did you mean "account"?' in text for text in told)


def test_tags_of_the_environment_are_on_every_object_and_its_own_win(lab: Lab) -> None:
    lab.settings["tags"] = {"team": "all", "cost": "42"}
    lab.write({"log": {**LOG["log"], "tags": {"team": "fraud"}}})
    lab.converge()
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/lab/log"
    tags = lab.boto("logs").list_tags_for_resource(resourceArn=arn)["tags"]
    assert {key: tags[key] for key in ("team", "cost")} == {"team": "fraud", "cost": "42"}


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({str(i): "x" for i in range(48)}, "48 tags are too many"),
        ({"aws:team": "x"}, "reserved"),
        ({"mlinfra:address": "x"}, "reserved"),
        ({"team": "x" * 257}, "256 are allowed"),
        ({"te<am": "x"}, "letters, digits"),
    ],
)
def test_tags_that_aws_would_refuse_are_refused_at_plan_time(lab: Lab, tags: dict[str, str], told: str) -> None:
    lab.write({"log": {**LOG["log"], "tags": tags}})
    with pytest.raises(DiagnosticError) as caught:
        lab.plan()
    assert told in caught.value.diagnostics[0].detail


def test_a_role_is_taken_on(lab: Lab) -> None:
    arn = "arn:aws:iam::222222222222:role/deployer"
    lab.session = None
    lab.settings |= {"account": "222222222222", "assume_role": {"role_arn": arn, "external_id": "abc"}}
    lab.write({})
    client = lab.client()
    client.call("logs", "DescribeLogGroups")
    (call,) = lab.emulator.calls.of("sts", "AssumeRole")
    assert call.params == {"RoleArn": arn, "RoleSessionName": "mlinfra", "ExternalId": "abc"}


# -- again -------------------------------------------------------------------------------------------------------------


def test_throttling_is_borne_with_pauses_that_grow_and_then_told(lab: Lab) -> None:
    lab.write({})
    client = lab.client()
    fault = lab.emulator.faults.add(faults.throttled(1.0, service="logs", times=4))
    client.call("logs", "DescribeLogGroups")
    assert fault.hits == 4
    assert 0.1 + 0.2 + 0.4 + 0.8 <= lab.time.now <= 0.2 + 0.4 + 0.8 + 1.6
    lab.emulator.faults.add(faults.throttled(1.0, service="logs"))
    with pytest.raises(AwsError) as caught:
        client.call("logs", "DescribeLogGroups")
    assert caught.value.throttled
    assert client.calls_made == 5 + TRIES + 1  # the last one asked whose account it is


def test_what_must_not_be_done_twice_is_not_tried_again_after_a_lost_reply(lab: Lab) -> None:
    lab.write({})
    lab.emulator.faults.add(faults.lost_reply("kms", "CreateKey"))
    with pytest.raises(AwsError) as caught:
        lab.client().call("kms", "CreateKey", once=True)
    assert caught.value.lost
    assert len(lab.emulator.calls.of("kms", "CreateKey")) == 1


def test_all_tries_of_a_call_carry_one_token_so_that_aws_takes_them_for_one(lab: Lab) -> None:
    lab.write({})
    lab.boto("secretsmanager").create_secret(Name="token", SecretString="old")
    lab.emulator.faults.add(faults.lost_reply("secretsmanager", "PutSecretValue"))
    lab.client().call("secretsmanager", "PutSecretValue", SecretId="token", SecretString="new")
    first, second = lab.emulator.calls.of("secretsmanager", "PutSecretValue")
    assert first.params["ClientRequestToken"] == second.params["ClientRequestToken"]
    lab.client().call("secretsmanager", "PutSecretValue", SecretId="token", SecretString="newer")
    third = lab.emulator.calls.of("secretsmanager", "PutSecretValue")[-1]
    assert third.params["ClientRequestToken"] != first.params["ClientRequestToken"]


def test_a_role_of_this_run_is_waited_for_and_another_one_is_not(lab: Lab) -> None:
    roles_take(5)
    try:
        lab.write({"role": role("server"), "model": model("fraud")})
        lab.converge()
        assert len(lab.emulator.calls.of("sagemaker", "CreateModel")) == 6
        lab.write({"role": role("server"), "model": model("fraud"), "other": model("other")})
        roles_take(1000)
        (failure,) = lab.failures()
        assert "Could not assume role" in failure
        assert len(lab.emulator.calls.of("sagemaker", "CreateModel")) == 7
    finally:
        roles_take(0)


def test_a_role_that_never_becomes_assumable_is_told_after_two_minutes(lab: Lab) -> None:
    roles_take(1000)
    try:
        lab.write({"role": role("server"), "model": model("fraud")})
        (failure,) = lab.failures()
        assert "Could not assume role" in failure
        assert 120 <= lab.time.now < 140
    finally:
        roles_take(0)


def test_expired_credentials_end_the_run_with_nothing_lost(lab: Lab) -> None:
    lab.write({"role": role("server"), "model": model("fraud"), **LOG})
    lab.emulator.faults.add(faults.expired(service="sagemaker"))
    (failure,) = lab.failures()
    assert "aws sso login" in failure
    assert "goes on from here" in failure
    lab.emulator.faults.clear()
    lab.converge()
    counts = lab.emulator.calls.counts()
    assert counts["iam.CreateRole"] == counts["logs.CreateLogGroup"] == 1


def test_a_refusal_names_what_must_be_allowed(lab: Lab) -> None:
    lab.write(LOG)
    lab.emulator.faults.add(faults.Fault("logs", "Create*", code="AccessDeniedException", message="no"))
    (failure,) = lab.failures()
    assert "Allow logs:CreateLogGroup" in failure


def test_a_service_that_does_not_answer_is_unreachable(lab: Lab) -> None:
    lab.settings |= {"endpoint_url": "http://127.0.0.1:9", "account": None}
    lab.write({})
    with pytest.raises(Unreachable, match="logs does not answer"):
        lab.client().call("logs", "DescribeLogGroups")


def test_no_credentials_are_told_with_what_to_do(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    lab.session = None
    lab.write({})
    with pytest.raises(ProviderError, match="no AWS credentials") as caught:
        lab.client().call("logs", "DescribeLogGroups")
    assert "aws sso login" in caught.value.remedy


# -- names and imports ---------------------------------------------------------------------------------------------------


def test_names_are_the_same_every_time_and_never_collide(lab: Lab) -> None:
    lab.write({})
    place = lab.place
    assert name(place, "endpoint.fraud", "champion") == "lab-test-endpoint-fraud-champion"
    assert name(place, "storage.lake", tail=ACCOUNT) == f"lab-test-storage-lake-{ACCOUNT}"
    assert name(place, "storage.a_b") != name(place, "storage.a-b")
    long = [name(place, f"endpoint.{'x' * 60}", part, limit=63) for part in ("a", "b")]
    assert len(set(long)) == 2
    assert {len(one) for one in long} == {63}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["--help"], []),
        (["fmt"], []),
        (["validate", "-e", "cloud"], ["mlinfra_aws"]),
        (["validate", "-e", "laptop"], []),
        (["plan", "-e", "laptop"], []),
        (["apply", "-e", "laptop", "--auto-approve"], []),
        (["status", "-e", "laptop"], []),
    ],
    ids=" ".join,
)
def test_no_sdk_and_no_emulator_is_imported_where_none_is_needed(
    tmp_path: Path, arguments: list[str], wanted: list[str]
) -> None:
    blueprint = tmp_path / "blueprint.yaml"
    blueprint.write_text(
        "blueprint: x\n"
        "environments:\n"
        "  cloud: { provider: aws, region: eu-west-1 }\n"
        "  laptop: { provider: local, default: true }\n"
        "storage: { lake: { versioning: true } }\n"
    )
    program = (
        "import sys; from mlinfra.__main__ import main; sys.argv[1:] = sys.argv[1:]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('IMPORTED', [m for m in ('boto3', 'botocore', 'moto', 'mlinfra_aws') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    told, _, imported = done.stdout.rpartition("IMPORTED ")
    assert told or arguments == ["fmt"]
    assert imported.strip() == str(wanted)
