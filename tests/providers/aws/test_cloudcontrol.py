"""What Cloud Control does beyond the conformance: what a plan refuses, what is fixed, requests that take a while or fail."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from mlinfra.engine.permissions import permissions
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.workspace import Workspace
from mlinfra.sdk.diagnostics import DiagnosticError
from mlinfra.sdk.resource import FieldChange, Known
from mlinfra_aws.cloudcontrol import CloudControl
from mlinfra_aws.cloudformation import Schema, at, kept, problems, schema, schema_of, type_names, with_known
from mlinfra_aws.patches import compared, patch
from tests.emulator import faults
from tests.emulator.calls import Call
from tests.providers.aws.conformance import SUBJECT
from tests.providers.aws.lab import Lab

ROOT = Path(__file__).resolve().parents[3]
QUEUE: dict[str, Any] = {
    "type": "aws.cloudcontrol",
    "type_name": "AWS::SQS::Queue",
    "desired_state": {"QueueName": "jobs", "VisibilityTimeout": 60},
}
PARAMETER: dict[str, Any] = {
    "type": "aws.cloudcontrol",
    "type_name": "AWS::SSM::Parameter",
    "desired_state": {"Name": "/lab/limit", "Type": "String", "Value": "5", "Description": "a limit"},
}


def refusal(lab: Lab, type_name: str, state: dict[str, Any], **more: Any) -> str:
    """What a plan says to a resource that it refuses."""
    lab.write({"subject": {"type": "aws.cloudcontrol", "type_name": type_name, "desired_state": state, **more}})
    with pytest.raises(DiagnosticError) as refused:
        lab.plan()
    (told,) = refused.value.diagnostics
    return f"{told.detail} {told.remedy}"


def changes(node: Node) -> set[str]:
    return {change.path for change in node.changes}


# -- what a plan refuses ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("type_name", "state", "told"),
    [
        ("AWS::SQS::Queue", {"DelaySecond": 6}, 'DelaySecond is none of its properties. Did you mean "DelaySeconds"?'),
        ("AWS::SQS::Queue", {"DelaySeconds": "5"}, "DelaySeconds must be an integer"),
        ("AWS::SQS::Queue", {"FifoQueue": "yes"}, "FifoQueue must be true or false"),
        ("AWS::SQS::Queue", {"Arn": "arn:mine"}, "Arn is told by AWS and cannot be set"),
        ("AWS::SQS::Queue", {"Tags": []}, 'Tags is what the field "tags" is for'),
        ("AWS::SSM::Parameter", {"Type": "String"}, "Value is missing"),
        ("AWS::S3::Bucket", {"VersioningConfiguration": {"Statsu": "Enabled"}}, "VersioningConfiguration.Statsu is none"),
        ("AWS::S3::Bucket", {"VersioningConfiguration": {}}, "VersioningConfiguration.Status is missing"),
        ("AWS::S3::Bucket", {"VersioningConfiguration": "Enabled"}, "VersioningConfiguration must be a mapping"),
        ("AWS::ECS::Cluster", {"CapacityProviders": [1]}, "CapacityProviders[0] must be a text"),
        ("AWS::ECS::Cluster", {"CapacityProviders": "FARGATE"}, "CapacityProviders must be a list"),
        ("AWS::AppMesh::Mesh", {}, "Cloud Control cannot make objects of the type AWS::AppMesh::Mesh"),
    ],
)  # fmt: skip
def test_what_the_schema_forbids_is_refused_before_anything_is_called(
    lab: Lab, type_name: str, state: dict[str, Any], told: str
) -> None:
    assert told in refusal(lab, type_name, state)
    assert lab.emulator.calls.of("cloudcontrol") == []


def test_all_that_is_wrong_is_told_at_once(lab: Lab) -> None:
    told = refusal(lab, "AWS::SQS::Queue", {"DelaySecond": 5, "VisibilityTimeout": "60"})
    assert "DelaySecond is none of its properties" in told
    assert "VisibilityTimeout must be an integer" in told
    assert "schema_check: false" in told


def test_tags_of_a_type_that_carries_none_are_refused(lab: Lab) -> None:
    state = {"PolicyName": "lab", "PolicyDocument": "{}"}
    told = refusal(lab, "AWS::Logs::ResourcePolicy", state, tags={"team": "fraud"})
    assert "objects of this type carry no tags" in told


def test_one_tag_more_is_ours_than_of_other_objects(lab: Lab) -> None:
    tags = {f"t{i}": "x" for i in range(47)}
    assert "47 tags are too many: 46 are allowed" in refusal(lab, "AWS::SQS::Queue", {}, tags=tags)
    del tags["t0"]
    lab.write({"subject": {**QUEUE, "tags": tags}})
    lab.converge()
    url = lab.boto("sqs").list_queues()["QueueUrls"][0]
    assert len(lab.boto("sqs").list_queue_tags(QueueUrl=url)["Tags"]) == 50


def test_what_is_newer_than_the_schema_goes_through_unchecked_and_aws_has_its_say(lab: Lab) -> None:
    state = {**QUEUE["desired_state"], "Brand": "new"}
    lab.write({"subject": {**QUEUE, "desired_state": state, "schema_check": False}})
    assert lab.node(SUBJECT).action == "create"
    (told,) = lab.failures()
    assert "extraneous key [Brand] is not permitted" in told


# -- what is fixed ------------------------------------------------------------------------------------------------------


def test_a_property_that_is_fixed_is_named_as_what_forces_the_replacement(lab: Lab) -> None:
    lab.write({"subject": QUEUE})
    lab.converge()
    lab.write({"subject": {**QUEUE, "desired_state": {"QueueName": "other", "VisibilityTimeout": 30}}})
    node = lab.node(SUBJECT)
    assert node.summary == "desired_state.QueueName forces replacement"
    lab.converge(allow=(SUBJECT,))
    assert [url.rpartition("/")[2] for url in lab.boto("sqs").list_queues()["QueueUrls"]] == ["other"]


def test_another_type_is_another_object(lab: Lab) -> None:
    lab.write({"subject": QUEUE})
    lab.converge()
    lab.write({"subject": PARAMETER})
    assert "type_name" in lab.node(SUBJECT).summary
    lab.converge()
    assert lab.boto("sqs").list_queues().get("QueueUrls", []) == []


def test_a_fixed_property_that_was_not_known_is_not_tried_to_be_changed(lab: Lab) -> None:
    """Its value comes of another resource, which is made anew: the plan could not tell."""
    name = {"type": "aws.cloudcontrol", "type_name": "AWS::SNS::Topic", "desired_state": {"TopicName": "first"}}
    group = {
        "type": "aws.cloudcontrol",
        "type_name": "AWS::Logs::LogGroup",
        "desired_state": {"LogGroupName": "/lab/${resource.name.identifier.split(':')[-1]}"},
    }
    lab.write({"name": name, "subject": group})
    lab.converge()
    lab.write({"name": {**name, "desired_state": {"TopicName": "second"}}, "subject": group})
    (told,) = lab.failures()
    assert "LogGroupName of AWS::Logs::LogGroup cannot be changed once it is made" in told
    assert f"--replace {SUBJECT}" in told


def test_lists_are_fixed_as_a_whole_and_neighbours_are_not() -> None:
    def forced(path: str, *fixed: str) -> list[str]:
        told = [FieldChange(path, 1, 2), FieldChange("create_only", {}, dict.fromkeys(fixed, 1))]
        return list(CloudControl.replaces(told))

    assert forced("desired_state.Volumes", "Volumes.*.Size") == ["desired_state.Volumes"]
    assert forced("desired_state.A.B.C", "A.B") == ["desired_state.A.B.C"]
    assert forced("desired_state.A", "A.B") == ["desired_state.A"]
    assert forced("desired_state.Name", "NameOf") == []
    assert forced("tags.team", "tags") == ["tags.team"]
    assert forced("tags", "Name") == []
    assert forced("desired_state", "Name") == []
    assert CloudControl.replaces([FieldChange("desired_state.Name", 1, 2)]) == []


def test_of_some_types_tags_are_fixed_and_of_some_everything() -> None:
    group, secured = schema("AWS::SageMaker::FeatureGroup"), schema("AWS::Glue::SecurityConfiguration")
    assert group is not None
    assert secured is not None
    assert group.fixed({"FeatureGroupName": "x", "ThroughputConfig": {}}, {"a": "b"}) == {
        "FeatureGroupName": "x",
        "tags": {"a": "b"},
    }
    assert secured.fixed({"EncryptionConfiguration": {}}, {}) == {"EncryptionConfiguration": {}}


# -- changes ------------------------------------------------------------------------------------------------------------


def test_what_nobody_declared_stays(lab: Lab) -> None:
    lab.write({"subject": QUEUE})
    lab.converge()
    url = lab.boto("sqs").list_queues()["QueueUrls"][0]
    lab.boto("sqs").set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "9"})
    assert lab.plan().empty
    lab.write({"subject": {**QUEUE, "desired_state": {"QueueName": "jobs", "VisibilityTimeout": 30}}})
    lab.converge()
    told = lab.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (told["VisibilityTimeout"], told["DelaySeconds"]) == ("30", "9")


def test_a_property_that_leaves_is_reset(lab: Lab) -> None:
    lab.write({"subject": QUEUE})
    lab.converge()
    lab.write({"subject": {**QUEUE, "desired_state": {"QueueName": "jobs"}}})
    assert changes(lab.node(SUBJECT)) == {"desired_state.VisibilityTimeout"}
    lab.converge()
    url = lab.boto("sqs").list_queues()["QueueUrls"][0]
    told = lab.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    assert told["VisibilityTimeout"] == "30"


def test_what_aws_does_not_tell_is_said_again_with_every_update(lab: Lab) -> None:
    lab.write({"subject": PARAMETER})
    lab.converge()
    lab.write({"subject": {**PARAMETER, "desired_state": {**PARAMETER["desired_state"], "Value": "6"}}})
    assert changes(lab.node(SUBJECT)) == {"desired_state.Value"}
    lab.converge()
    (told,) = lab.boto("ssm").describe_parameters()["Parameters"]
    assert told["Description"] == "a limit"
    state = {**PARAMETER["desired_state"], "Value": "6", "Description": "another"}
    lab.write({"subject": {**PARAMETER, "desired_state": state}})
    assert changes(lab.node(SUBJECT)) == {"desired_state.Description"}
    lab.converge()
    (told,) = lab.boto("ssm").describe_parameters()["Parameters"]
    assert told["Description"] == "another"


def test_what_aws_alone_tells_can_be_referred_to(lab: Lab) -> None:
    value = {**PARAMETER["desired_state"], "Value": "${resource.jobs.attributes.Arn}"}
    lab.write({"jobs": QUEUE, "subject": {**PARAMETER, "desired_state": value}})
    lab.converge()
    told = lab.boto("ssm").get_parameter(Name="/lab/limit")["Parameter"]["Value"]
    assert told == "arn:aws:sqs:eu-west-1:111111111111:jobs"


def test_no_secret_reaches_the_state(lab: Lab) -> None:
    token = {
        "type": "aws.ssm_parameter",
        "name": "/lab/token",
        "parameter_type": "SecureString",
        "value": "hunter2hunter2",
    }
    value = {**PARAMETER["desired_state"], "Value": "${resource.token.value}"}
    lab.write({"token": token, "subject": {**PARAMETER, "desired_state": value}})
    lab.converge()
    kept = b"".join(path.read_bytes() for path in lab.folder.rglob("*") if path.is_file() and path.suffix != ".yaml")
    assert b"AWS::SSM::Parameter" in kept
    assert b"hunter2hunter2" not in kept


# -- requests -----------------------------------------------------------------------------------------------------------


def test_a_request_is_looked_at_until_it_is_through(lab: Lab) -> None:
    lab.emulator.polls(3)
    lab.write({"subject": QUEUE, "other": PARAMETER})
    lab.converge()
    assert any(line.startswith("IN_PROGRESS") for line in lab.said())
    lab.write(
        {"subject": {**QUEUE, "desired_state": {"QueueName": "jobs", "VisibilityTimeout": 30}}, "other": PARAMETER}
    )
    lab.converge()
    lab.converge(destroy=True, allow=(SUBJECT,))
    assert lab.boto("sqs").list_queues().get("QueueUrls", []) == []


def test_a_request_that_another_is_at_waits_for_it(lab: Lab) -> None:
    lab.write({"subject": QUEUE})
    lab.converge()
    url = lab.boto("sqs").list_queues()["QueueUrls"][0]
    cloud = lab.boto("cloudcontrol")
    (one,) = cloud.list_resources(TypeName="AWS::SQS::Queue")["ResourceDescriptions"]
    lab.emulator.polls(5)
    steps = json.dumps([{"op": "add", "path": "/DelaySeconds", "value": 7}])
    cloud.update_resource(TypeName="AWS::SQS::Queue", Identifier=one["Identifier"], PatchDocument=steps)
    lab.write({"subject": {**QUEUE, "desired_state": {"QueueName": "jobs", "VisibilityTimeout": 30}}})
    lab.converge()
    told = lab.boto("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert (told["VisibilityTimeout"], told["DelaySeconds"]) == ("30", "7")
    assert [call.status for call in lab.emulator.calls.of("cloudcontrol", "UpdateResource")] == [200, 400, 200]


def test_a_request_that_fails_says_why(lab: Lab) -> None:
    lab.emulator.polls(2)
    lab.write({"subject": {**QUEUE, "desired_state": {"QueueName": "not a name"}}})
    (told,) = lab.failures()
    assert "AWS::SQS::Queue: " in told
    assert "alphanumeric" in told


@pytest.mark.parametrize("polls", [0, 3])
def test_a_name_that_somebody_else_has_is_not_ours_however_early_it_is_told(lab: Lab, polls: int) -> None:
    lab.boto("ssm").put_parameter(Name="/lab/limit", Type="String", Value="mine")
    lab.emulator.polls(polls)
    lab.write({"subject": PARAMETER})
    (told,) = lab.failures()
    assert "exists, and no tag says that mlinfra made it" in told
    assert "--adopt" in told
    with lab.open() as workspace:
        assert SUBJECT not in workspace.recovered().state.resources
    assert lab.boto("ssm").get_parameter(Name="/lab/limit")["Parameter"]["Value"] == "mine"


def test_a_queue_whose_name_is_taken_is_refused_with_the_reason(lab: Lab) -> None:
    lab.boto("sqs").create_queue(QueueName="jobs")
    lab.write({"subject": QUEUE})
    (told,) = lab.failures()
    assert "name 'jobs' exists" in told


def test_what_somebody_else_made_is_taken_over_with_adopt(lab: Lab) -> None:
    lab.boto("ssm").put_parameter(Name="/lab/limit", Type="String", Value="mine")
    lab.write({"subject": PARAMETER})
    lab.converge(adopt=(SUBJECT,))
    assert lab.boto("ssm").get_parameter(Name="/lab/limit")["Parameter"]["Value"] == "5"
    assert len(lab.tagged()) == 1


@pytest.mark.parametrize("skip", [0, 1])
def test_one_that_was_cut_off_is_found_by_its_tags(lab: Lab, skip: int) -> None:
    """Its address is made by AWS, and the answer that tells it did not come."""
    lab.emulator.polls(2)
    lab.write({"subject": QUEUE})
    told: dict[str, Any] = {"code": "RequestExpired", "message": "too late", "worked": True, "times": 1}
    operation = ("CreateResource", "GetResourceRequestStatus")[skip]
    fault = lab.emulator.faults.add(faults.Fault("cloudcontrol", operation, **told))
    assert len(lab.failures()) == 1
    assert fault.hits == 1
    lab.converge()
    assert len(lab.boto("sqs").list_queues()["QueueUrls"]) == 1


POLICY: dict[str, Any] = {
    "type": "aws.cloudcontrol",
    "type_name": "AWS::Logs::ResourcePolicy",
    "desired_state": {"PolicyName": "lab", "PolicyDocument": '{"Version": "2012-10-17"}'},
}


def test_what_carries_no_tags_is_ours_if_it_is_as_it_shall_be(lab: Lab) -> None:
    lab.settings["tags"] = {"team": "fraud"}
    lab.write({"subject": POLICY})
    told: dict[str, Any] = {"code": "RequestExpired", "message": "too late", "worked": True, "times": 1}
    lab.emulator.faults.add(faults.Fault("cloudcontrol", "CreateResource", **told))
    assert len(lab.failures()) == 1
    lab.converge()
    lab.write({"subject": {**POLICY, "desired_state": {"PolicyName": "lab", "PolicyDocument": "{}"}}})
    lab.converge()
    (found,) = lab.boto("logs").describe_resource_policies()["resourcePolicies"]
    assert found["policyDocument"] == "{}"
    lab.converge(destroy=True)
    assert lab.boto("logs").describe_resource_policies()["resourcePolicies"] == []


def test_what_carries_no_tags_and_is_otherwise_is_somebody_elses(lab: Lab) -> None:
    lab.boto("logs").put_resource_policy(policyName="lab", policyDocument="{}")
    lab.write({"subject": POLICY})
    (told,) = lab.failures()
    assert "exists, and it is not as this one shall be" in told


# -- types that the table does not have ---------------------------------------------------------------------------------


class OwnTypes(Lab):
    """What the handlers of a type ask for that no table has nobody knows: `plan --permissions` says so."""

    def permitted(self, workspace: Workspace, plan: Plan, calls: list[Call]) -> None:
        _, unknown = permissions(plan, workspace.desire, workspace.catalog, workspace.place)
        assert unknown or not plan.shown()


@pytest.fixture
def own_types(lab: Lab) -> OwnTypes:
    return OwnTypes(lab.folder, lab.emulator, lab.session)


def test_a_type_of_the_account_itself_has_its_schema_asked_of_it(own_types: OwnTypes) -> None:
    lab = own_types
    queue = {**QUEUE, "type_name": "Acme::Lab::Queue", "tags": {"team": "fraud"}}
    lab.write({"subject": queue})
    lab.converge()
    assert lab.emulator.calls.of("cloudformation", "DescribeType")
    lab.write({"subject": {**queue, "desired_state": {"QueueName": "jobs", "VisibilityTimeout": 30}}})
    lab.converge()
    lab.write({"subject": {**queue, "desired_state": {"QueueName": "other"}}})
    (told,) = lab.failures()
    assert "QueueName of Acme::Lab::Queue cannot be changed once it is made" in told
    assert f"--replace {SUBJECT}" in told
    lab.apply(replace=(SUBJECT,))
    assert lab.plan().empty
    lab.converge(destroy=True)
    assert lab.tagged() == []


@pytest.mark.parametrize(
    ("type_name", "told"),
    [
        ("AWS::SQS::Queu", 'does not have the type AWS::SQS::Queu in eu-west-1 for this account. Did you mean "AWS::SQS::Queue"?'),
        ("AWS::EKS::Cluster", "does not have the type AWS::EKS::Cluster in eu-west-1 for this account."),
    ],
)  # fmt: skip
def test_a_type_that_the_account_has_not_got_is_a_clear_error(
    lab: Lab, own_types: OwnTypes, type_name: str, told: str
) -> None:
    """Whether its name is wrong, or it is not there in this region."""
    lab = own_types if type_name.endswith("Queu") else lab
    state: dict[str, Any] = {"ResourcesVpcConfig": {"SubnetIds": []}, "RoleArn": "arn:x"} if "EKS" in type_name else {}
    lab.write({"subject": {"type": "aws.cloudcontrol", "type_name": type_name, "desired_state": state}})
    (found,) = lab.failures()
    assert told in found
    assert "activate the type" in found


# -- pure parts ---------------------------------------------------------------------------------------------------------


def test_patches_go_into_mappings_and_change_lists_as_a_whole() -> None:
    live = {"A": {"B": 1, "C": 2}, "L": [1, 2], "Gone": 1, "a/b~c": 1, "Same": {"X": 1}}
    wanted = {"A": {"B": 1, "C": 3, "D": 4}, "L": [2], "a/b~c": 2, "Same": {"X": 1}}
    assert patch(live, wanted) == [
        {"op": "add", "path": "/A/C", "value": 3},
        {"op": "add", "path": "/A/D", "value": 4},
        {"op": "add", "path": "/L", "value": [2]},
        {"op": "add", "path": "/a~1b~0c", "value": 2},
        {"op": "remove", "path": "/Gone"},
    ]
    assert patch({"On": 1}, {"On": True}) == [{"op": "add", "path": "/On", "value": True}]
    assert patch(wanted, wanted) == []


def test_live_properties_are_compared_in_the_form_of_those_declared() -> None:
    found = Schema(
        {"Policy": "*", "Text": "*", "Any": [{"K": "s", "V": "s"}, 0], "Order": ["s"], "Deep": "#Deep"},
        {"Deep": {"Set": ["s", 0]}},
    )
    known = {
        "Policy": {"a": 1},
        "Text": '{"a":1}',
        "Any": [{"K": "y"}, {"K": "x"}],
        "Order": ["a", "b"],
        "Deep": {"Set": ["q", "p"]},
    }
    live = {
        "Policy": '{"a": 1}',
        "Text": {"a": 1},
        "Any": [{"K": "x", "V": "added"}, {"K": "y", "V": "added"}],
        "Order": ["b", "a"],
        "Deep": {"Set": ["p", "q"], "More": 1},
        "Undeclared": 1,
    }
    assert compared(found, live, known) == {**known, "Order": ["b", "a"]}
    assert compared(found, {"Any": [{"K": "z"}]}, known) == {"Any": [{"K": "z"}]}


def test_what_is_kept_of_a_schema_says_what_is_needed() -> None:
    told = {
        "typeName": "Acme::Lab::Thing",
        "additionalProperties": False,
        "required": ["Name"],
        "properties": {
            "Name": {"type": "string"},
            "Size": {"type": ["integer", "string"]},
            "Parts": {"type": "array", "insertionOrder": False, "items": {"$ref": "#/definitions/Part"}},
            "Labels": {"type": "object", "patternProperties": {".*": {"type": "string"}}},
        },
        "definitions": {"Part": {"type": "object", "properties": {"On": {"type": "boolean"}}, "required": ["On"]}},
        "createOnlyProperties": ["/properties/Name", "/properties/Parts/items/properties/On"],
        "primaryIdentifier": ["/properties/Name"],
        "tagging": {"taggable": True, "tagProperty": "/properties/Labels", "tagUpdatable": False},
        "handlers": {"create": {}, "read": {}, "delete": {}},
    }
    found = schema_of(kept(told))
    assert found == Schema(
        {"Name!": "s", "Size": "*", "Parts": ["#Part", 0], "Labels": {"*": "s"}},
        {"Part": {"On!": "b", "*": "*"}},
        create_only=("Name", "Parts.*.On"),
        tags_stay=True,
        identifier=("Name",),
        tags="Labels",
        pairs=False,
        updatable=False,
    )
    assert problems(found, {"Name": "x", "Parts": [{"Off": 1}]}) == ["Parts[0].On is missing"]
    assert at({"Parts": [{"On": True}, {}]}, "Parts.*.On") == [True]
    assert with_known({"Parts": [{}]}, {"Parts": [{"On": True}]}, "Parts.*.On") == {"Parts": [{"On": True}]}
    assert with_known({"A": 1}, {"B": {"C": 1}}, "B.C") == {"A": 1, "B": {"C": 1}}


def test_the_table_is_what_the_script_makes_of_the_published_schemas() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "cloudformation_types.py"))
    told = {one["typeName"]: one for one in script["schemas"]()}
    assert set(type_names()) == set(told)
    for name in ("AWS::SQS::Queue", "AWS::S3::Bucket", "AWS::SageMaker::Endpoint"):
        assert schema(name) == schema_of(kept(told[name]))
    assert script["table"]() == (ROOT / "providers" / "mlinfra_aws" / "cloudformation_types.jsonl").read_text("utf-8")


def test_what_an_object_may_hold_is_named_before_it_goes(lab: Lab) -> None:
    lab.write({})
    client = lab.client()
    stores = Known(SUBJECT, "x", {"type_name": "AWS::DynamoDB::Table"})
    assert CloudControl.would_lose(client, stores) == "what the AWS::DynamoDB::Table holds, if anything"
    assert CloudControl.would_lose(client, Known(SUBJECT, "x", {"type_name": "AWS::SNS::Topic"})) is None


def test_an_error_that_is_none_of_a_missing_type_is_passed_on(own_types: OwnTypes) -> None:
    lab = own_types
    lab.write({"subject": {**QUEUE, "type_name": "Acme::Lab::Queue"}})
    lab.emulator.faults.add(faults.Fault("cloudformation", "DescribeType", code="AccessDenied", status=403))
    (told,) = lab.failures()
    assert "cloudformation DescribeType was refused" in told
