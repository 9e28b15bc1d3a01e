"""A whole platform while AWS misbehaves: nothing is lost, nothing made twice, and what is told says what to do."""

from __future__ import annotations

import pytest

from tests.emulator import faults
from tests.emulator.faults import Fault
from tests.emulator.services.sagemaker import SAGEMAKER, roles_take
from tests.providers.aws.lab import Lab
from tests.providers.aws.platform import census, sections

ENDPOINT = "lab-test-endpoint-fraud"
PIPELINE = "lab-test-training-fraud"


@pytest.fixture
def platform(lab: Lab) -> Lab:
    """A blueprint of every kind, not applied yet."""
    lab.write({}, **sections(lab.folder))
    return lab


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, list[str]]:
    """What is there after an apply that nothing disturbs. Found by the first test that asks."""
    return {}


def as_undisturbed(lab: Lab, undisturbed: dict[str, list[str]]) -> None:
    """All that there is, is what an undisturbed apply makes; a destroy leaves nothing."""
    lab.emulator.faults.clear()
    roles_take(0)
    found = census(lab.boto)
    if not undisturbed:
        lab.converge(destroy=True)
        assert census(lab.boto) == []
        lab.converge()
        undisturbed["census"] = census(lab.boto)
    assert found == undisturbed["census"]
    lab.converge(destroy=True)
    assert census(lab.boto) == []
    assert lab.tagged() == []


def test_a_fifth_of_all_calls_is_throttled(platform: Lab, undisturbed: dict[str, list[str]]) -> None:
    fault = platform.emulator.faults.add(faults.throttled(0.2))
    platform.converge()
    assert fault.hits > 20
    as_undisturbed(platform, undisturbed)


def test_destroy_while_a_fifth_of_all_calls_is_throttled(platform: Lab) -> None:
    platform.converge()
    fault = platform.emulator.faults.add(faults.throttled(0.2))
    platform.converge(destroy=True)
    assert fault.hits > 10
    assert census(platform.boto) == []


def test_each_call_fails_once_after_it_has_worked(platform: Lab, undisturbed: dict[str, list[str]]) -> None:
    fault = platform.emulator.faults.add(faults.lost_reply())
    platform.converge()
    made = {call.operation for call in platform.emulator.calls.of() if call.status == 500}
    assert {"CreateBucket", "CreateKey", "CreateRole", "CreateEndpoint", "StartPipelineExecution"} <= made
    assert fault.hits > 50
    as_undisturbed(platform, undisturbed)


def test_each_delete_fails_once_after_it_has_worked(platform: Lab) -> None:
    platform.converge()
    platform.emulator.faults.add(faults.lost_reply())
    platform.converge(destroy=True)
    assert census(platform.boto) == []


def test_roles_are_not_assumable_at_once(platform: Lab, undisturbed: dict[str, list[str]]) -> None:
    roles_take(3)
    platform.converge()
    refused = [call for call in platform.emulator.calls.of("sagemaker") if call.status == 400]
    assert len(refused) >= 3
    as_undisturbed(platform, undisturbed)


def test_an_endpoint_that_fails_is_told_with_the_reason_and_is_made_anew_by_the_next_apply(
    platform: Lab, undisturbed: dict[str, list[str]]
) -> None:
    reason = "The primary container for production variant champion did not pass the ping health check."
    SAGEMAKER.endings["Endpoint", ENDPOINT] = ("Failed", reason)
    platform.emulator.polls(1)
    (told,) = platform.failures()
    assert reason in told
    assert "/aws/sagemaker/Endpoints/" in told
    assert "it serves nobody, and is made anew" in told
    # AWS lets nothing be done to a failed one but to delete it.
    node = platform.node("endpoint.fraud/sagemaker_endpoint.endpoint")
    assert (node.action, node.summary) == ("replace", "it failed and serves nobody")
    platform.converge()
    as_undisturbed(platform, undisturbed)


def test_an_endpoint_that_rolls_back_is_told_and_goes_on_serving(platform: Lab) -> None:
    platform.converge()
    sagemaker = platform.boto("sagemaker")
    before = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    platform.write({}, **sections(platform.folder, grown=True))
    SAGEMAKER.endings["Endpoint", ENDPOINT] = ("RollingBack,InService", "alarm fraud-errors went off")
    platform.emulator.polls(1)
    (told,) = platform.failures()
    assert "rolled back" in told
    assert "alarm fraud-errors went off" in told
    assert sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"] == before
    assert sagemaker.describe_endpoint_config(EndpointConfigName=before)
    platform.converge()
    assert sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"] != before


def test_an_endpoint_of_which_neither_version_starts_is_left_for_people_to_decide(platform: Lab) -> None:
    platform.converge()
    platform.write({}, **sections(platform.folder, grown=True))
    SAGEMAKER.endings["Endpoint", ENDPOINT] = ("UpdateRollbackFailed", "no capacity")
    platform.emulator.polls(1)
    (told,) = platform.failures()
    assert "no capacity" in told
    assert "--replace endpoint.fraud/sagemaker_endpoint.endpoint" in told
    assert "replace" not in {node.action for node in platform.plan().nodes}


def test_the_line_breaks_after_each_call_once(platform: Lab, undisturbed: dict[str, list[str]]) -> None:
    fault = platform.emulator.faults.add(faults.broken_line())
    for _ in range(5):
        told = platform.failures()
        assert [one for one in told if "Look at the network" not in one] == []
        if not told:
            break
    assert fault.hits > 50
    platform.converge()
    as_undisturbed(platform, undisturbed)


@pytest.mark.parametrize("calls", [5, 30, 60])
def test_credentials_that_expire_in_the_middle(platform: Lab, undisturbed: dict[str, list[str]], calls: int) -> None:
    platform.emulator.faults.add(faults.expired(skip=calls))
    told = platform.failures()
    assert told
    assert all("Log in again" in one and "goes on from here" in one for one in told)
    platform.emulator.faults.clear()
    platform.converge()
    as_undisturbed(platform, undisturbed)


def test_a_region_that_answers_slowly(platform: Lab, undisturbed: dict[str, list[str]]) -> None:
    fault = platform.emulator.faults.add(Fault(latency=0.15, rate=0.3))
    platform.converge()
    assert fault.hits > 20
    as_undisturbed(platform, undisturbed)


def test_a_training_that_fails_tells_why_and_is_run_again(platform: Lab) -> None:
    SAGEMAKER.endings["PipelineExecution", PIPELINE] = ("Failed", "AlgorithmError: no column amount")
    (told,) = platform.failures()
    assert "AlgorithmError: no column amount" in told
    platform.converge()
    runs = [one for one in census(platform.boto) if one.startswith("run of")]
    assert sorted(runs) == [f"run of {PIPELINE}: Failed", f"run of {PIPELINE}: Succeeded"]
