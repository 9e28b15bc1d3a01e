"""Endpoints, feature stores and monitors on AWS: what they become, in which order they change, and what is told instead."""

from __future__ import annotations

from typing import Any

import pytest

from mlinfra.sdk.diagnostics import DiagnosticError
from tests.providers.aws.lab import ACCOUNT, Lab

ENDPOINT = "lab-test-endpoint-fraud"
FILES = f"lab-test-endpoint-fraud-files-{ACCOUNT}"


def artifact(lab: Lab, text: str = "flavors: {}\n", name: str = "model") -> str:
    folder = lab.folder / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MLmodel").write_text(text)
    return name


def write(lab: Lab, **fields: Any) -> None:
    """An endpoint of a model in a folder: it needs no registry."""
    if "variants" not in fields:
        fields["variants"] = {"champion": {"artifact": artifact(lab)}}
    lab.write({}, endpoint={"fraud": fields})


def config(lab: Lab) -> dict[str, Any]:
    """The configuration that the endpoint runs."""
    sagemaker = lab.boto("sagemaker")
    name = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    found: dict[str, Any] = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    return found


def noted(lab: Lab) -> dict[str, str]:
    """What is told as not done: field → why."""
    with lab.open() as workspace:
        texts = [note.text.removeprefix("not on aws: ") for note in workspace.desire.notes]
    return {text.partition(" (")[0]: text.partition(" (")[2].removesuffix(")") for text in texts}


def test_an_endpoint_with_all_that_aws_can(lab: Lab) -> None:
    write(
        lab,
        variants={
            "champion": {"artifact": artifact(lab), "weight": 9},
            "copy_cat": {"artifact": artifact(lab), "shadow": True},
        },
        env={"THREADS": 2},
        resources={"cpu": 4, "memory": "16Gi"},
        scale={"replicas": 2},
        health={"start": "5m"},
        capture={"sample": 0.25, "keep": "7d"},
        rollout={"canary": [10, 100], "bake": "2m"},
    )
    lab.converge()
    assert noted(lab) == {}
    found = config(lab)
    (variant,), (shadow,) = found["ProductionVariants"], found["ShadowProductionVariants"]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.m5.xlarge", 2)
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == 300
    assert shadow["VariantName"] == "copy-cat"
    assert shadow["InitialVariantWeight"] == variant["InitialVariantWeight"] == 9
    capture = found["DataCaptureConfig"]
    assert (capture["InitialSamplingPercentage"], capture["DestinationS3Uri"]) == (25, f"s3://{FILES}/captures")
    rules = lab.boto("s3").get_bucket_lifecycle_configuration(Bucket=FILES)["Rules"]
    assert rules[0]["Expiration"] == {"Days": 7}
    container = lab.boto("sagemaker").describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]
    where = container["ModelDataSource"]["S3DataSource"]["S3Uri"]
    assert container["Environment"] == {"THREADS": "2"}
    key = where.removeprefix(f"s3://{FILES}/") + "MLmodel"
    assert lab.boto("s3").get_object(Bucket=FILES, Key=key)["Body"].read() == b"flavors: {}\n"
    lab.converge(destroy=True)
    assert lab.tagged() == []


def test_what_changes_is_made_beside_the_old_and_in_service_before_that_goes(lab: Lab) -> None:
    write(lab)
    lab.converge()
    retrained = artifact(lab, "flavors: { sklearn: {} }\n")
    write(lab, variants={"champion": {"artifact": retrained}}, resources={"instance": "ml.c5.large"})
    lab.emulator.calls.clear()
    lab.converge()
    order = [
        call.operation
        for call in lab.emulator.calls.of("sagemaker")
        if call.operation.startswith(("Create", "Update", "Delete"))
    ]
    assert order == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint", "DeleteEndpointConfig", "DeleteModel"]
    assert config(lab)["ProductionVariants"][0]["InstanceType"] == "ml.c5.large"


@pytest.mark.parametrize(
    ("steps", "traffic", "told"),
    [
        ([100], {"Type": "ALL_AT_ONCE"}, False),
        ([10, 100], {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10}}, False),
        ([50, 100], {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50}}, False),
        ([25, 50, 75, 100], {"Type": "LINEAR", "LinearStepSize": {"Type": "CAPACITY_PERCENT", "Value": 25}}, False),
        ([10, 50, 100], {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10}}, True),
        ([80, 100], {"Type": "CANARY", "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50}}, True),
    ],
)
def test_a_rollout_in_the_words_of_aws(lab: Lab, steps: list[int], traffic: dict[str, Any], told: bool) -> None:
    rollout = {"canary": steps, "bake": "1m"}
    write(lab, rollout=rollout)
    lab.converge()
    write(lab, rollout=rollout, resources={"instance": "ml.c5.large"})
    assert ("rollout.canary" in noted(lab)) is told
    lab.converge()
    (call,) = lab.emulator.calls.of("sagemaker", "UpdateEndpoint")
    policy = call.params["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert policy == {**traffic, "WaitIntervalInSeconds": 60}


def test_what_aws_cannot_do_of_an_endpoint_is_told(lab: Lab) -> None:
    fields: dict[str, Any] = {
        "requirements": ["pandas"],
        "cache": True,
        "batching": True,
        "sticky": "X-User",
        "port": 8080,
        "expose": True,
        "timeout": "5s",
        "auth": {"token": "t"},
        "health": {"every": "1s", "timeout": "1s", "failures": 2, "start": "10s"},
        "scale": {"replicas": "0..4", "target": {"cpu": 70}},
        "rollout": {"canary": [100], "bake": "2h", "rollback": {"error_rate": 0.1}},
    }
    write(lab, **fields)
    assert set(noted(lab)) == {
        "requirements", "cache", "batching", "sticky", "port", "expose", "timeout", "auth", "health.every", "health.timeout",
        "health.failures", "health.start", "scale.replicas", "rollout.bake",
    }  # fmt: skip
    lab.converge()


@pytest.mark.parametrize(
    ("variant", "told"),
    [
        ({"artifact": "nowhere"}, "has no file MLmodel"),
        ({"model": "registry.models/fruad@champion"}, 'Did you mean "fraud"?'),
        ({"model": "registry.models/fraud@champoin"}, 'Did you mean "champion"?'),
    ],
)
def test_a_model_that_is_not_there_is_told_before_anything_is_made(lab: Lab, variant: Any, told: str) -> None:
    lab.write(
        {},
        registry={"models": {"models": {"fraud": {"aliases": ["champion"]}}}},
        endpoint={"fraud": {"variants": {"champion": variant}}},
    )
    with pytest.raises(DiagnosticError) as raised:
        lab.plan()
    assert told in str(raised.value)


def store(**view: Any) -> dict[str, Any]:
    fields = {"source": "s3://elsewhere/a.parquet", "entity": "user", "features": {"n": "int64"}, **view}
    return {"users": {"entities": {"user": {"join_key": "user_id"}}, "views": {"txn": fields}}}


def only_group(lab: Lab) -> dict[str, Any]:
    sagemaker = lab.boto("sagemaker")
    (one,) = sagemaker.list_feature_groups()["FeatureGroupSummaries"]
    found: dict[str, Any] = sagemaker.describe_feature_group(FeatureGroupName=one["FeatureGroupName"])
    return found


def test_a_feature_store_is_a_group_a_view(lab: Lab) -> None:
    features = {"a": "bool", "b": "float32", "c": "int64", "d": "string", "e": "timestamp"}
    lab.write({}, feature_store=store(ttl="36h", features=features, timestamp_field="at"))
    lab.converge()
    group = only_group(lab)
    assert [(one["FeatureName"], one["FeatureType"]) for one in group["FeatureDefinitions"]] == [
        ("user_id", "String"), ("at", "String"), ("a", "Integral"), ("b", "Fractional"), ("c", "Integral"), ("d", "String"),
        ("e", "String"),
    ]  # fmt: skip
    assert group["OnlineStoreConfig"]["TtlDuration"] == {"Unit": "Seconds", "Value": 129_600}
    assert set(noted(lab)) == {"views.txn.source"}
    lab.write({}, feature_store=store(ttl="36h", features={**features, "f": "float64"}, timestamp_field="at"))
    assert lab.node("feature_store.users/sagemaker_feature_group.txn").action == "update"
    lab.converge()


def test_what_a_feature_store_has_no_place_for_is_told(lab: Lab) -> None:
    told = store(features={"raw": "bytes", "n": "list<int64>"}, created_field="made", description="what")
    told["users"] |= {"port": 1, "expose": True, "resources": {"cpu": 1}, "materialise": {"every": "1h"}}
    told["users"]["entities"]["user"]["description"] = "who"
    told["users"]["entities"]["shop"] = {"join_key": "shop_id"}
    told["users"]["views"]["both"] = {"source": "s3://x/y", "entities": ["user", "shop"], "features": {"m": "int32"}}
    lab.write({}, feature_store=told)
    assert set(noted(lab)) == {
        "port", "expose", "resources", "materialise", "entities.user.description", "views.txn.description", "views.txn.source",
        "views.txn.created_field", "views.txn.features.raw", "views.both.entities",
    }  # fmt: skip
    lab.converge()
    group = only_group(lab)
    assert group["OnlineStoreConfig"]["StorageType"] == "InMemory"


def test_columns_that_sagemaker_keeps_for_itself_are_refused(lab: Lab) -> None:
    lab.write({}, feature_store=store(features={"write_time": "int64"}))
    with pytest.raises(DiagnosticError, match="write_time"):
        lab.plan()
