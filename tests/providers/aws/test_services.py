"""What single types do beyond conformance: endpoints that roll, groups that grow, buckets with data, keys without names."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra_aws.sagemaker.endpoint_config import content_name
from tests.emulator import faults
from tests.emulator.services.sagemaker import SAGEMAKER
from tests.providers.aws.lab import ACCOUNT, Fields, Lab
from tests.providers.aws.samples.iam import role
from tests.providers.aws.samples.sagemaker import config, features, model

ENDPOINT = {"type": "aws.sagemaker_endpoint", "name": "fraud"}


def serving(config_name: str, *configs: str, **more: Any) -> dict[str, Fields]:
    """An endpoint on one of some configurations."""
    made = {name: config(name) for name in configs}
    endpoint = {**ENDPOINT, "endpoint_config_name": f"${{resource.{config_name}.name}}", **more}
    return {"role": role("server"), "model": model("fraud"), **made, "endpoint": endpoint}


def variants(lab: Lab) -> dict[str, Any]:
    """The endpoint's first variant, as it runs."""
    told: dict[str, Any] = lab.boto("sagemaker").describe_endpoint(EndpointName="fraud")["ProductionVariants"][0]
    return told


# -- endpoints -----------------------------------------------------------------------------------------------------------


def test_a_new_configuration_is_made_and_in_service_before_the_old_one_goes(lab: Lab) -> None:
    lab.write(serving("one", "one"))
    lab.converge()
    lab.emulator.polls(2)
    lab.emulator.calls.clear()
    lab.write(serving("two", "two"))
    lab.converge()
    told = [call.operation for call in lab.emulator.calls.of("sagemaker")]
    order = [told.index(name) for name in ("CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig")]
    assert order == sorted(order)
    waits = [i for i, operation in enumerate(told) if operation == "DescribeEndpoint"]
    assert any(order[1] < i < order[2] for i in waits)
    assert "Updating, 0 s" in lab.said()


def test_weights_and_counts_of_autoscaling_outlive_a_new_configuration(lab: Lab) -> None:
    lab.write(serving("one", "one"))
    lab.converge()
    lab.boto("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName="fraud",
        DesiredWeightsAndCapacities=[{"VariantName": "champion", "DesiredWeight": 0.25, "DesiredInstanceCount": 7}],
    )
    assert lab.plan().empty
    lab.write(serving("two", "two"))
    lab.converge()
    assert (variants(lab)["DesiredInstanceCount"], variants(lab)["DesiredWeight"]) == (7, 0.25)
    lab.write(serving("three", "three", exclude_retained_variant_properties=["DesiredWeight"]))
    lab.converge()
    assert (variants(lab)["DesiredInstanceCount"], variants(lab)["DesiredWeight"]) == (7, 1.0)


def test_an_endpoint_that_fails_tells_why_and_is_finished_by_the_next_apply(lab: Lab) -> None:
    lab.write(serving("one", "one"))
    SAGEMAKER.endings["Endpoint", "fraud"] = ("Failed", "the container did not pass its ping")
    (failure,) = lab.failures()
    assert "Failed: the container did not pass its ping" in failure
    assert "/aws/sagemaker/Endpoints/fraud" in failure
    (node,) = lab.plan().shown()
    assert node.address == "resource.endpoint"


def test_an_endpoint_that_rolls_back_is_a_failure_that_names_what_runs(lab: Lab) -> None:
    lab.write(serving("one", "one", "two"))
    lab.converge()
    SAGEMAKER.endings["Endpoint", "fraud"] = ("RollingBack,InService", "the alarm errors went off")
    lab.emulator.polls(1)
    lab.write(serving("two", "one", "two"))
    (failure,) = lab.failures()
    assert "was rolled back: it runs one and not two: the alarm errors went off" in failure
    lab.emulator.polls(0)
    lab.converge()


def test_an_update_waits_for_the_one_before_it(lab: Lab) -> None:
    lab.write(serving("one", "one", "two"))
    lab.converge()
    lab.emulator.polls(3)
    lab.boto("sagemaker").update_endpoint(EndpointName="fraud", EndpointConfigName="one")
    lab.write(serving("two", "one", "two"))
    lab.converge()


def test_a_name_by_content_changes_with_it_and_fits() -> None:
    one, two = (content_name("x" * 80, {"weight": weight}) for weight in (1, 2))
    assert one != two
    assert len(one) == len(two) == 63
    assert one == content_name("x" * 80, {"weight": 1})


# -- feature groups --------------------------------------------------------------------------------------------------------

GROUP = {
    "type": "aws.sagemaker_feature_group",
    "feature_group_name": "users",
    "record_identifier_feature_name": "user_id",
    "event_time_feature_name": "at",
    "role_arn": "${resource.role.arn}",
    "feature_definition": features("amount"),
    "online_store_config": {"ttl_duration": {"unit": "Days", "value": 7}},
}


def group(lab: Lab, **changed: Any) -> None:
    lab.write({"role": role("server"), "users": {**GROUP, **changed}})


@pytest.mark.parametrize("wanted", [features("count"), features("amount", kind="Integral"), features()])
def test_a_feature_that_goes_or_changes_is_a_replacement_with_a_warning(lab: Lab, wanted: Any) -> None:
    lab.settings["disposable"] = False
    group(lab)
    lab.converge()
    group(lab, feature_definition=wanted)
    node = lab.node("resource.users")
    assert (node.action, node.summary) == ("replace", "feature_definition forces replacement")
    assert node.would_lose == "all records of its online store, 3 features"
    with pytest.raises(DiagnosticError, match=r"Replacing resource[.]users would lose all records"):
        lab.apply()
    lab.converge(allow=("resource.users",))


def test_features_grow_in_place_while_the_group_works(lab: Lab) -> None:
    group(lab)
    lab.emulator.polls(2)
    lab.converge()
    group(lab, feature_definition=features("amount", "count"))
    node = lab.node("resource.users")
    assert (node.action, node.summary) == ("update", "features: + count")
    lab.converge()
    group(lab, feature_definition=[*reversed(features("amount", "count"))])
    assert lab.plan().empty


def test_how_long_records_stay_changes_in_place_and_the_store_does_not(lab: Lab) -> None:
    group(lab)
    lab.converge()
    group(lab, online_store_config={"ttl_duration": {"unit": "Days", "value": 30}})
    assert lab.node("resource.users").action == "update"
    lab.converge()
    group(lab, online_store_config={"storage_type": "InMemory", "ttl_duration": {"unit": "Days", "value": 30}})
    assert lab.node("resource.users").action == "replace"
    lab.converge()


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"event_time_feature_name": "when"}, "none of the features"),
        ({"online_store_config": None}, "has no store"),
        ({"feature_group_name": "x" * 65}, "feature_group_name"),
    ],
)
def test_a_group_that_aws_would_refuse_is_refused_at_plan_time(lab: Lab, changed: Any, told: str) -> None:
    # Rules across fields are checked once all of them are known.
    group(lab, role_arn=f"arn:aws:iam::{ACCOUNT}:role/server", **changed)
    with pytest.raises(DiagnosticError) as caught:
        lab.plan()
    assert told in caught.value.diagnostics[0].detail


# -- data ----------------------------------------------------------------------------------------------------------------


def test_a_registered_model_names_the_versions_that_it_would_lose(lab: Lab) -> None:
    lab.settings["disposable"] = False
    lab.write({"fraud": {"type": "aws.sagemaker_model_package_group", "model_package_group_name": "fraud"}})
    lab.converge()
    for _ in range(2):
        lab.boto("sagemaker").create_model_package(ModelPackageGroupName="fraud")
    (node,) = lab.plan(destroy=True).shown()
    assert node.would_lose == "2 versions of the model"
    lab.converge(destroy=True, allow=("resource.fraud",))
    assert lab.tagged() == []


def test_a_bucket_names_its_objects_and_goes_with_all_their_versions(lab: Lab) -> None:
    lab.settings["disposable"] = False
    lake = {"type": "aws.s3_bucket", "bucket": "lab-lake", "versioning": {"status": "Enabled"}}
    lab.write({"lake": lake})
    lab.converge()
    for body in (b"1" * 500, b"2" * 700):
        lab.boto("s3").put_object(Bucket="lab-lake", Key="a", Body=body)
    lab.boto("s3").delete_object(Bucket="lab-lake", Key="a")
    (node,) = lab.plan(destroy=True).shown()
    assert node.would_lose == "2 objects, 1.2 kB"
    with pytest.raises(DiagnosticError, match="would lose 2 objects"):
        lab.apply(destroy=True)
    lab.converge(destroy=True, allow=("resource.lake",))
    assert lab.boto("s3").list_buckets()["Buckets"] == []


def test_files_that_change_are_put_again_and_those_of_others_left_alone(lab: Lab) -> None:
    seeds = lab.folder / "seeds"
    seeds.mkdir(parents=True)
    for name in ("a", "b", "c"):
        (seeds / name).write_text(name)
    lab.write(
        {
            "lake": {"type": "aws.s3_bucket", "bucket": "lab-lake"},
            "seed": {"type": "aws.s3_objects", "bucket": "${resource.lake.bucket}", "source": "seeds"},
        }
    )
    lab.converge()
    (seeds / "a").write_text("A")
    (seeds / "b").unlink()
    lab.boto("s3").put_object(Bucket="lab-lake", Key="theirs", Body=b"x")
    assert lab.node("resource.seed").action == "update"
    lab.converge()
    listed = lab.boto("s3").list_objects_v2(Bucket="lab-lake")["Contents"]
    assert [one["Key"] for one in listed] == ["a", "c", "theirs"]
    assert lab.boto("s3").get_object(Bucket="lab-lake", Key="a")["Body"].read() == b"A"
    lab.boto("s3").put_object(Bucket="lab-lake", Key="c", Body=b"edited")
    assert {change.reason for change in lab.node("resource.seed").changes} == {"drift"}
    lab.converge()
    assert lab.boto("s3").get_object(Bucket="lab-lake", Key="c")["Body"].read() == b"c"


def test_a_key_whose_reply_was_lost_is_found_by_its_tags(lab: Lab) -> None:
    lab.write({"key": {"type": "aws.kms_key"}})
    lab.emulator.faults.add(faults.lost_reply("kms", "CreateKey"))
    lab.converge()
    assert len(lab.boto("kms").list_keys()["Keys"]) == 1


def test_a_key_is_switched_off_and_on(lab: Lab) -> None:
    for enabled in (False, True, False):
        lab.write({"key": {"type": "aws.kms_key", "is_enabled": enabled}})
        lab.converge()
    (key,) = lab.boto("kms").list_keys()["Keys"]
    lab.boto("kms").enable_key(KeyId=key["KeyId"])
    assert [change.reason for change in lab.node("resource.key").changes] == ["drift"]


# -- secrets ---------------------------------------------------------------------------------------------------------------


def value(lab: Lab) -> str:
    told: str = lab.boto("secretsmanager").get_secret_value(SecretId="token")["SecretString"]
    return told


def test_a_generated_secret_is_made_once_and_seen_nowhere(lab: Lab) -> None:
    secret = {"type": "aws.secretsmanager_secret", "name": "token", "generate": {"length": 40}}
    lab.write({"token": secret})
    lab.converge()
    made = value(lab)
    assert len(made) == 40
    lab.write({"token": {**secret, "generate": {"length": 20}}})
    lab.converge()
    assert value(lab) == made
    written = b"".join(path.read_bytes() for path in lab.folder.rglob("*") if path.is_file())
    assert made.encode() not in written


def test_a_secret_is_taken_from_outside_and_follows_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.write({"token": {"type": "aws.secretsmanager_secret", "name": "token", "env": "LAB_TOKEN"}})
    with pytest.raises(DiagnosticError, match="LAB_TOKEN is not set"):
        lab.plan()
    monkeypatch.setenv("LAB_TOKEN", "one")
    lab.converge()
    monkeypatch.setenv("LAB_TOKEN", "two")
    lab.converge()
    assert value(lab) == "two"
    lab.write({"token": {"type": "aws.secretsmanager_secret", "name": "token", "from_file": "token.txt"}})
    (lab.folder / "token.txt").write_text("three\n")
    lab.converge()
    assert value(lab) == "three"


def test_a_secret_that_waits_for_its_deletion_is_called_back(lab: Lab) -> None:
    lab.write({"token": {"type": "aws.secretsmanager_secret", "name": "token", "secret_string": "one"}})
    lab.converge()
    lab.converge(destroy=True)
    assert lab.boto("secretsmanager").describe_secret(SecretId="token")["DeletedDate"]
    lab.write({"token": {"type": "aws.secretsmanager_secret", "name": "token", "secret_string": "two"}})
    lab.converge()
    assert value(lab) == "two"
