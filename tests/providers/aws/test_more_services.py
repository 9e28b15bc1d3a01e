"""What single types do beyond the conformance: jobs that are run again or fail, tables with items, code from elsewhere."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from mlinfra.sdk.resource import Known
from mlinfra_aws.dynamodb import Table
from mlinfra_aws.sagemaker.declared import declared
from mlinfra_aws.sagemaker.training_job import TrainingJob
from tests.emulator.services.sagemaker import SAGEMAKER
from tests.providers.aws.conformance import SUBJECT
from tests.providers.aws.lab import REGION, Lab
from tests.providers.aws.samples.iam import role
from tests.providers.aws.samples.sagemaker import ROLES
from tests.providers.aws.samples.sagemaker_jobs import SAMPLES as JOBS

TRAINING = {"type": "aws.sagemaker_training_job", **JOBS[0].fields}


def changed(lab: Lab) -> set[str]:
    """The fields that the plan changes in place."""
    node = lab.node(SUBJECT)
    assert node.action == "update"
    return {change.path.partition(".")[0] for change in node.changes}


# -- training jobs ------------------------------------------------------------------------------------------------------


def known_job(lab: Lab) -> tuple[TrainingJob, Known]:
    """The job that the blueprint has, and what the state knows of it."""
    with lab.open() as workspace:
        entry = workspace.recovered().state.resources[SUBJECT]
    settable = {name: value for name, value in entry.fields.items() if name in JOBS[0].fields}
    return TrainingJob.model_validate(settable), Known(SUBJECT, entry.id, entry.fields)


def test_a_training_is_there_once_it_is_through(lab: Lab) -> None:
    lab.emulator.polls(3)
    lab.write({**ROLES, "subject": TRAINING})
    lab.converge()
    _, known = known_job(lab)
    assert known.fields["training_job_status"] == "Completed"
    assert known.fields["s3_model_artifacts"] == "s3://lab-models/fraud-1/output/model.tar.gz"
    assert any(line.startswith("InProgress") for line in lab.said())


def test_a_run_is_a_job_of_its_own_and_one_however_often_it_is_cut_off(lab: Lab) -> None:
    lab.write({**ROLES, "subject": TRAINING})
    lab.converge()
    job, known = known_job(lab)
    lab.emulator.calls.clear()
    first, second = (job.run(lab.client(), known, lab.operation(SUBJECT)) for _ in range(2))
    assert first.succeeded
    assert first == second
    names = {one["TrainingJobName"] for one in lab.boto("sagemaker").list_training_jobs()["TrainingJobSummaries"]}
    assert len(names) == 2
    (made,) = names - {"fraud-1"}
    assert first.outputs["model"] == f"s3://lab-models/{made}/output/model.tar.gz"


def test_a_training_that_fails_says_why(lab: Lab) -> None:
    SAGEMAKER.endings["TrainingJob", "fraud-1"] = ("Failed", "AlgorithmError: no data")
    lab.write({**ROLES, "subject": TRAINING})
    (told,) = lab.failures()
    assert "AlgorithmError: no data" in told


def test_a_training_that_runs_is_stopped_before_it_is_deleted(lab: Lab) -> None:
    lab.write({**ROLES, "subject": TRAINING})
    lab.converge()
    _, known = known_job(lab)
    sagemaker = lab.boto("sagemaker")
    sagemaker.delete_training_job(TrainingJobName="fraud-1")
    lab.emulator.polls(50)
    told = {"TrainingImage": "x", "TrainingInputMode": "File"}
    arn = known.fields["role_arn"]
    sagemaker.create_training_job(
        TrainingJobName="fraud-1",
        AlgorithmSpecification=told,
        RoleArn=arn,
        OutputDataConfig={"S3OutputPath": "s3://lab-models"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    lab.emulator.calls.clear()
    TrainingJob.delete(lab.client(), known, lab.operation(SUBJECT))
    did = [call.operation for call in lab.emulator.calls.of("sagemaker") if not call.operation.startswith("Describe")]
    assert did == ["StopTrainingJob", "DeleteTrainingJob"]


def test_what_aws_adds_to_items_of_lists_is_no_change() -> None:
    live = {"outputs": [{"name": "a", "app_managed": False, "deep": {"x": 1, "y": 2}}], "key": "k"}
    known = {"outputs": [{"name": "a", "deep": {"x": 1}}]}
    assert declared(live, known) == {"outputs": [{"name": "a", "deep": {"x": 1}}], "key": "k"}
    assert declared([{"name": "a"}, {"name": "b"}], [{"name": "a"}]) == [{"name": "a"}, {"name": "b"}]


# -- tables -------------------------------------------------------------------------------------------------------------

TABLE: dict[str, Any] = {
    "type": "aws.dynamodb_table",
    "name": "lab-features",
    "hash_key": "user_id",
    "attribute": [{"name": "user_id", "type": "S"}],
}


def test_how_a_table_is_paid_changes_in_place(lab: Lab) -> None:
    lab.write({"subject": TABLE})
    lab.converge()
    lab.write({"subject": {**TABLE, "billing_mode": "PROVISIONED", "read_capacity": 5, "write_capacity": 5}})
    assert changed(lab) == {"billing_mode", "read_capacity", "write_capacity"}
    lab.converge()
    lab.write({"subject": TABLE})
    assert "billing_mode" in changed(lab)
    lab.converge()


def test_what_would_be_lost_with_a_table_is_asked_of_the_table(lab: Lab) -> None:
    lab.write({"subject": TABLE})
    lab.converge()
    known = Known(SUBJECT, "lab-features", {})
    assert Table.would_lose(lab.client(), known) is None
    lab.boto("dynamodb").put_item(TableName="lab-features", Item={"user_id": {"S": "ada"}})
    told = Table.would_lose(lab.client(), known)
    assert told is not None
    assert "its items" in told


def test_an_attribute_that_is_part_of_no_key_is_refused_when_it_is_planned(lab: Lab) -> None:
    lab.write({"subject": {**TABLE, "attribute": [*TABLE["attribute"], {"name": "city", "type": "S"}]}})
    (told,) = refusals(lab)
    assert "city is an attribute and part of no key" in told


def refusals(lab: Lab) -> list[str]:
    """What a plan is refused for."""
    from mlinfra.sdk.diagnostics import DiagnosticError

    try:
        lab.plan()
    except DiagnosticError as error:
        return [one.detail for one in error.diagnostics]
    return []


# -- topics and functions -----------------------------------------------------------------------------------------------


def test_a_topic_that_keeps_the_order_can_tell_messages_by_their_content(lab: Lab) -> None:
    topic = {"type": "aws.sns_topic", "name": "lab.fifo", "fifo_topic": True, "content_based_deduplication": True}
    lab.write({"subject": topic})
    lab.converge()
    lab.write({"subject": {**topic, "content_based_deduplication": False}})
    assert changed(lab) == {"content_based_deduplication"}
    lab.converge()
    arn = lab.boto("sns").list_topics()["Topics"][0]["TopicArn"]
    lab.boto("sns").set_topic_attributes(TopicArn=arn, AttributeName="ContentBasedDeduplication", AttributeValue="true")
    assert changed(lab) == {"content_based_deduplication"}


def packed(text: str) -> bytes:
    """A zip file with one module."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py", (2020, 1, 1, 0, 0, 0)), text)
    return found.getvalue()


def test_a_function_has_layers_and_a_network_and_loses_them_again(lab: Lab) -> None:
    layer = lab.boto("lambda").publish_layer_version(LayerName="more", Content={"ZipFile": packed("x = 1")})
    ec2 = lab.boto("ec2")
    network = {
        "subnet_ids": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "security_group_ids": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    function = {
        "type": "aws.lambda_function",
        "function_name": "scorer",
        "role": "${resource.role.arn}",
        "runtime": "python3.11",
        "handler": "app.handle",
        "filename": "app.zip",
    }
    more = {"layers": [layer["LayerVersionArn"]], "vpc_config": network}
    needs = {"role": role("scorer", "lambda")}
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "app.zip").write_bytes(packed("def handle(event, context): pass"))
    lab.write({**needs, "subject": {**function, **more}})
    lab.converge()
    lab.boto("lambda").update_function_configuration(FunctionName="scorer", Layers=[])
    assert changed(lab) == {"layers"}
    lab.converge()
    lab.write({**needs, "subject": function})
    assert changed(lab) == {"layers", "vpc_config"}
    lab.converge()
    told = lab.boto("lambda").get_function_configuration(FunctionName="scorer")
    assert told.get("Layers", []) == []
    assert told.get("VpcConfig", {}).get("SubnetIds", []) == []


def test_code_that_changed_in_its_file_is_a_change(lab: Lab) -> None:
    lab.folder.mkdir(parents=True, exist_ok=True)
    (lab.folder / "app.zip").write_bytes(packed("def handle(event, context): return 1"))
    function = {
        "type": "aws.lambda_function",
        "function_name": "scorer",
        "role": "${resource.role.arn}",
        "runtime": "python3.11",
        "handler": "app.handle",
        "filename": "app.zip",
    }
    lab.write({"role": role("scorer", "lambda"), "subject": function})
    lab.converge()
    (lab.folder / "app.zip").write_bytes(packed("def handle(event, context): return 2"))
    assert changed(lab) == {"source_code_hash"}
    lab.converge()
    assert REGION in lab.boto("lambda").get_function(FunctionName="scorer")["Configuration"]["FunctionArn"]
