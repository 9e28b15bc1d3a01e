"""Endpoints on AWS while they are used: what scales their variants, and what calls a rollout off."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.faults import lost_reply
from tests.emulator.services.sagemaker import SAGEMAKER
from tests.providers.aws.lab import Lab
from tests.providers.aws.test_kind_serving import ENDPOINT, artifact, config, noted, write

SCALE = {"replicas": "2..6", "target": {"requests_per_second": 20}, "cooldown": "10m"}


def targets(lab: Lab) -> dict[str, tuple[int, int]]:
    """Each variant that scales, with the fewest and the most instances."""
    told = lab.boto("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    return {one["ResourceId"]: (one["MinCapacity"], one["MaxCapacity"]) for one in told}


def policies(lab: Lab) -> dict[str, dict[str, Any]]:
    """What each policy follows."""
    told = lab.boto("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]
    return {one["PolicyName"]: one["TargetTrackingScalingPolicyConfiguration"] for one in told}


def followed(policy: dict[str, Any]) -> str:
    """The metric that a policy follows."""
    if "PredefinedMetricSpecification" in policy:
        return str(policy["PredefinedMetricSpecification"]["PredefinedMetricType"])
    return str(policy["CustomizedMetricSpecification"]["MetricName"])


def resource_id(variant: str) -> str:
    return f"endpoint/{ENDPOINT}/variant/{variant}"


def counts(lab: Lab) -> dict[str, int]:
    told = lab.boto("sagemaker").describe_endpoint(EndpointName=ENDPOINT)["ProductionVariants"]
    return {one["VariantName"]: one["CurrentInstanceCount"] for one in told}


def alarms(lab: Lab) -> dict[str, dict[str, Any]]:
    told = lab.boto("cloudwatch").describe_alarms(AlarmNamePrefix="lab-test-")["MetricAlarms"]
    return {one["AlarmName"]: one for one in told}


def scaled_out(lab: Lab, variant: str, instances: int) -> None:
    """What Application Auto Scaling does when there is much to do."""
    wanted = [{"VariantName": variant, "DesiredInstanceCount": instances}]
    lab.boto("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINT, DesiredWeightsAndCapacities=wanted
    )


def test_every_variant_scales_by_what_the_blueprint_says(lab: Lab) -> None:
    write(
        lab,
        variants={"champion": {"artifact": artifact(lab)}, "chal_lenger": {"artifact": artifact(lab)}},
        resources={"instance": "ml.g4dn.12xlarge"},
        scale={**SCALE, "target": {"requests_per_second": 20, "concurrency": 4, "cpu": 70, "gpu": 80}},
    )
    lab.converge()
    assert noted(lab) == {}
    assert targets(lab) == {resource_id("champion"): (2, 6), resource_id("chal-lenger"): (2, 6)}
    assert config(lab)["ProductionVariants"][0]["InitialInstanceCount"] == 2
    found = [told for name, told in policies(lab).items() if "champion" in name]
    assert {one["ScaleInCooldown"] for one in found} == {600}
    # AWS counts requests by the minute, and adds up the percents of 48 CPUs and of 4 GPUs.
    assert {followed(one): one["TargetValue"] for one in found} == {
        "SageMakerVariantInvocationsPerInstance": 1200,
        "SageMakerVariantConcurrentRequestsPerModelHighResolution": 4,
        "CPUUtilization": 3360,
        "GPUUtilization": 320,
    }
    cpu = next(one for one in found if followed(one) == "CPUUtilization")
    assert cpu["CustomizedMetricSpecification"]["Dimensions"] == [
        {"Name": "EndpointName", "Value": ENDPOINT},
        {"Name": "VariantName", "Value": "champion"},
    ]
    lab.converge(destroy=True)
    assert (targets(lab), policies(lab), lab.tagged()) == ({}, {}, [])


def test_the_number_of_instances_that_something_scales_outlives_another_model(lab: Lab) -> None:
    write(lab, scale=SCALE)
    lab.converge()
    scaled_out(lab, "champion", 5)
    assert lab.plan().empty
    write(lab, scale=SCALE, variants={"champion": {"artifact": artifact(lab, "flavors: { sklearn: {} }\n")}})
    lab.converge()
    assert counts(lab) == {"champion": 5}


def test_without_something_that_scales_the_blueprint_says_how_many_instances(lab: Lab) -> None:
    write(lab, scale=SCALE)
    lab.converge()
    scaled_out(lab, "champion", 5)
    write(lab, scale={"replicas": 3})
    lab.converge()
    assert counts(lab) == {"champion": 3}
    assert targets(lab) == {}


def test_a_variant_that_scales_can_change_its_instances_and_go(lab: Lab) -> None:
    """AWS refuses both while it is registered; what scales it is put back as it was."""
    both = {"champion": {"artifact": artifact(lab)}, "challenger": {"artifact": artifact(lab)}}
    write(lab, scale=SCALE, variants=both)
    lab.converge()
    before = policies(lab)
    scaled_out(lab, "champion", 4)
    write(lab, scale=SCALE, variants=both, resources={"instance": "ml.m5.xlarge"})
    lab.converge()
    assert config(lab)["ProductionVariants"][0]["InstanceType"] == "ml.m5.xlarge"
    assert counts(lab)["champion"] == 4
    assert set(targets(lab)) == {resource_id("champion"), resource_id("challenger")}
    assert policies(lab) == before
    write(lab, scale=SCALE, variants={"champion": both["champion"]}, resources={"instance": "ml.m5.xlarge"})
    lab.converge()
    assert set(targets(lab)) == {resource_id("champion")}


def test_a_change_that_fails_leaves_what_scales_the_endpoint(lab: Lab) -> None:
    write(lab, scale=SCALE)
    lab.converge()
    lab.emulator.polls(2)
    write(lab, scale=SCALE, resources={"instance": "ml.m5.xlarge"})
    SAGEMAKER.endings["Endpoint", ENDPOINT] = ("Failed", "no capacity")
    assert any("no capacity" in told for told in lab.failures())
    assert targets(lab) == {resource_id("champion"): (2, 6)}
    assert len(policies(lab)) == 1
    # One that serves nobody is made anew, and what scales it with it.
    lab.converge()
    assert targets(lab) == {resource_id("champion"): (2, 6)}
    assert len(policies(lab)) == 1


def test_what_scales_a_variant_outlives_lost_replies_and_comes_back_if_it_is_gone(lab: Lab) -> None:
    write(lab, scale=SCALE)
    lab.converge()
    before = policies(lab)
    write(lab, scale=SCALE, resources={"instance": "ml.m5.xlarge"})
    for operation in ("DeregisterScalableTarget", "UpdateEndpoint", "RegisterScalableTarget", "PutScalingPolicy"):
        skip = 1 if operation == "UpdateEndpoint" else 0  # the first one is refused
        lab.emulator.faults.add(lost_reply(operation=operation, times=1, skip=skip))
    lab.converge()
    assert policies(lab) == before
    # As a run leaves it that was cut off in between.
    scaling = lab.boto("application-autoscaling")
    where = {"ServiceNamespace": "sagemaker", "ResourceId": resource_id("champion")}
    scaling.deregister_scalable_target(**where, ScalableDimension="sagemaker:variant:DesiredInstanceCount")
    assert policies(lab) == {}
    lab.converge()
    assert policies(lab) == before


@pytest.mark.parametrize(
    ("scale", "instance", "told", "left"),
    [
        ({"replicas": "0..4", "target": {"requests_per_second": 1}}, "ml.m5.large", "scale.replicas", 1),
        ({"replicas": "0..1", "target": {"requests_per_second": 1}}, "ml.m5.large", "scale.replicas", 0),
        ({"replicas": "1..4", "target": {"gpu": 70}}, "ml.m5.large", "scale.target.gpu", 0),
        ({"replicas": "1..4", "target": {"cpu": 70, "concurrency": 2}}, "ml.c7i.large", "scale.target.cpu", 1),
    ],
)
def test_what_does_not_scale_here_is_told(lab: Lab, scale: Any, instance: str, told: str, left: int) -> None:
    write(lab, scale=scale, resources={"instance": instance})
    assert set(noted(lab)) == {told}
    lab.converge()
    assert len(policies(lab)) == left


def test_a_rollout_is_called_off_by_alarms_that_were_there_before(lab: Lab) -> None:
    rollout = {"canary": [10, 100], "bake": "5m", "rollback": {"error_rate": 0.02, "latency": "500ms"}}
    write(
        lab,
        variants={"champion": {"artifact": artifact(lab)}, "copy": {"artifact": artifact(lab), "shadow": True}},
        rollout=rollout,
    )
    lab.converge()
    assert noted(lab) == {}
    made = [
        call.operation for call in lab.emulator.calls.of() if call.operation in ("PutMetricAlarm", "CreateEndpoint")
    ]
    assert made == ["PutMetricAlarm", "PutMetricAlarm", "CreateEndpoint"]
    found = alarms(lab)
    names = [f"{ENDPOINT}-champion-errors", f"{ENDPOINT}-champion-latency"]
    assert sorted(found) == names
    errors, latency = (found[name] for name in names)
    assert {errors["TreatMissingData"], latency["TreatMissingData"]} == {"notBreaching"}
    assert (errors["EvaluationPeriods"], errors["DatapointsToAlarm"], errors["Threshold"]) == (3, 2, 0.02)
    assert [one["MetricStat"]["Metric"]["MetricName"] for one in errors["Metrics"] if "MetricStat" in one] == [
        "Invocations",
        "Invocation5XXErrors",
    ]
    # Microseconds.
    assert (latency["ExtendedStatistic"], latency["Threshold"]) == ("p95", 500_000)
    write(lab, rollout=rollout, resources={"instance": "ml.c5.large"})
    lab.converge()
    (call,) = lab.emulator.calls.of("sagemaker", "UpdateEndpoint")
    told = call.params["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert [one["AlarmName"] for one in told] == names
    lab.converge(destroy=True)
    assert alarms(lab) == {}


def test_a_short_step_is_watched_by_the_minute_and_ten_alarms_are_the_most(lab: Lab) -> None:
    variants = {f"v{number}": {"artifact": artifact(lab)} for number in range(6)}
    write(lab, variants=variants, rollout={"bake": "1m", "rollback": {"error_rate": 0.1, "latency": "1s"}})
    assert set(noted(lab)) == {"rollout.rollback"}
    lab.converge()
    found = alarms(lab)
    assert len(found) == 10
    assert {one["EvaluationPeriods"] for one in found.values()} == {1}
