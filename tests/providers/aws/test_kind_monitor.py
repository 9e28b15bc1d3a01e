"""Monitors on AWS: what SageMaker watches for, what a breach sets off, and what is told instead."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from mlinfra_aws.kinds.preprocessor import preprocess_handler
from tests.emulator.services.sagemaker import SAGEMAKER
from tests.providers.aws.lab import ACCOUNT, REGION, Lab
from tests.providers.aws.test_kind_serving import ENDPOINT, artifact, noted

DRIFT = "lab-test-monitor-drift"
REPORTS = f"{DRIFT}-reports-{ACCOUNT}"
COLUMNS = ["amount", "hour"]


def write(lab: Lab, *, endpoint: Any = None, text: str = "rows\n", **fields: Any) -> None:
    """A monitor of an endpoint, a training that it may start, and its reference in a storage."""
    for name, content in {"data/reference.csv": text, "code/train.py": "print('trained')\n"}.items():
        path = lab.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    found = {"of": "endpoint.fraud", "reference": "${storage.lake.url}/reference.csv", "columns": COLUMNS, **fields}
    lab.write(
        {},
        storage={"lake": {"contents": "data"}},
        secret={"hook": {"generate": True}},
        training={"fraud": {"source": "code", "run": "python train.py"}},
        endpoint={"fraud": {"variants": {"champion": {"artifact": artifact(lab)}}, **(endpoint or {})}},
        monitor={"drift": {name: value for name, value in found.items() if value is not None}},
    )


def only(lab: Lab, operation: str, key: str) -> dict[str, Any]:
    """The one thing that a list of SageMaker tells."""
    (found,) = getattr(lab.boto("sagemaker"), operation)()[key]
    return dict(found)


def definition(lab: Lab) -> dict[str, Any]:
    name = only(lab, "list_data_quality_job_definitions", "JobDefinitionSummaries")["MonitoringJobDefinitionName"]
    return dict(lab.boto("sagemaker").describe_data_quality_job_definition(JobDefinitionName=name))


def schedule(lab: Lab) -> dict[str, Any]:
    return dict(lab.boto("sagemaker").describe_monitoring_schedule(MonitoringScheduleName=DRIFT))


def alarm(lab: Lab) -> dict[str, Any]:
    (found,) = lab.boto("cloudwatch").describe_alarms(AlarmNames=[DRIFT])["MetricAlarms"]
    return dict(found)


def test_drift_is_watched_for_told_and_mended(lab: Lab) -> None:
    write(lab, window="6h", threshold=0.5, every="2h", breaches=2, then="training.fraud", keep="10d")
    lab.converge()
    assert noted(lab) == {}
    sagemaker = lab.boto("sagemaker")
    job = sagemaker.describe_processing_job(
        ProcessingJobName=only(lab, "list_processing_jobs", "ProcessingJobSummaries")["ProcessingJobName"]
    )
    lake = f"lab-test-storage-lake-{ACCOUNT}"
    assert job["ProcessingInputs"][0]["S3Input"]["S3Uri"] == f"s3://{lake}/reference.csv"
    assert json.loads(job["Environment"]["dataset_format"]) == {"csv": {"header": True}}
    place = job["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    told = definition(lab)
    assert told["DataQualityBaselineConfig"] == {
        "ConstraintsResource": {"S3Uri": f"{place}/constraints.json"},
        "StatisticsResource": {"S3Uri": f"{place}/statistics.json"},
    }
    assert told["DataQualityJobInput"]["EndpointInput"]["EndpointName"] == ENDPOINT
    assert told["DataQualityAppSpecification"]["ImageUri"].startswith(f"468650794304.dkr.ecr.{REGION}.amazonaws.com/")
    key = told["DataQualityAppSpecification"]["RecordPreprocessorSourceUri"].removeprefix(f"s3://{REPORTS}/")
    assert b"def preprocess_handler(" in lab.boto("s3").get_object(Bucket=REPORTS, Key=key)["Body"].read()
    when = schedule(lab)["MonitoringScheduleConfig"]
    assert when["MonitoringJobDefinitionName"] == told["JobDefinitionName"]
    assert when["ScheduleConfig"] == {
        "ScheduleExpression": "cron(0 0/2 ? * * *)",
        "DataAnalysisStartTime": "-PT6H",
        "DataAnalysisEndTime": "-PT0H",
    }
    rules = lab.boto("s3").get_bucket_lifecycle_configuration(Bucket=REPORTS)["Rules"]
    assert (rules[0]["Filter"], rules[0]["Expiration"]) == ({"Prefix": "reports/"}, {"Days": 10})
    found = alarm(lab)
    assert (found["Threshold"], found["EvaluationPeriods"], found["TreatMissingData"]) == (0.5, 2, "ignore")
    expression, *metrics = found["Metrics"]
    assert expression["Expression"] == "(IF(c0 >= 0.1, 1, 0) + IF(c1 >= 0.1, 1, 0)) / 2"
    assert [one["MetricStat"]["Metric"]["MetricName"] for one in metrics] == [
        "feature_baseline_drift_amount",
        "feature_baseline_drift_hour",
    ]
    assert metrics[0]["MetricStat"]["Period"] == 7200
    rule = lab.boto("events").describe_rule(Name=f"{DRIFT}-then")
    pattern = json.loads(rule["EventPattern"])
    assert pattern["resources"] == [found["AlarmArn"]]
    (target,) = lab.boto("events").list_targets_by_rule(Rule=f"{DRIFT}-then")["Targets"]
    pipeline = sagemaker.describe_pipeline(PipelineName="lab-test-training-fraud")["PipelineArn"]
    assert target["Arn"] == pipeline
    policy = lab.boto("iam").get_role_policy(RoleName=f"{DRIFT}-starter", PolicyName="start")["PolicyDocument"]
    (allowed,) = policy["Statement"]
    assert (allowed["Action"], allowed["Resource"]) == (["sagemaker:StartPipelineExecution"], [pipeline])
    trust = lab.boto("iam").get_role(RoleName=f"{DRIFT}-starter")["Role"]["AssumeRolePolicyDocument"]
    assert trust["Statement"][0]["Principal"] == {"Service": ["events.amazonaws.com"]}
    lab.converge(destroy=True)
    assert lab.tagged() == []
    for operation, member in (
        ("list_processing_jobs", "ProcessingJobSummaries"),
        ("list_data_quality_job_definitions", "JobDefinitionSummaries"),
        ("list_monitoring_schedules", "MonitoringScheduleSummaries"),
    ):
        assert getattr(sagemaker, operation)()[member] == []
    assert lab.boto("cloudwatch").describe_alarms()["MetricAlarms"] == []
    assert lab.boto("events").list_rules()["Rules"] == []
    assert lab.boto("sns").list_topics()["Topics"] == []


def test_the_order_is_baseline_then_definition_then_schedule(lab: Lab) -> None:
    lab.emulator.polls(2)
    write(lab)
    lab.converge()
    order = [call.operation for call in lab.emulator.calls.of("sagemaker") if call.operation.startswith("Create")]
    wanted = ["CreateProcessingJob", "CreateDataQualityJobDefinition", "CreateMonitoringSchedule"]
    assert [one for one in order if one in wanted] == wanted
    assert order.index("CreateEndpoint") < order.index("CreateDataQualityJobDefinition")
    described = [call.operation for call in lab.emulator.calls.of("sagemaker")]
    begun, judged = described.index("CreateProcessingJob"), described.index("CreateDataQualityJobDefinition")
    assert described[begun:judged].count("DescribeProcessingJob") >= 2


def test_a_baseline_that_fails_is_told_and_made_again_when_its_reference_changes(lab: Lab) -> None:
    write(lab)
    with lab.open() as workspace:
        (address,) = [one for one in workspace.desire.resources if ".baseline-" in one]
        job = workspace.desire.resources[address].fields["processing_job_name"]
    SAGEMAKER.endings["ProcessingJob", job] = ("Failed", "no rows in the reference")
    assert any("no rows in the reference" in told for told in lab.failures())
    assert lab.boto("sagemaker").list_monitoring_schedules()["MonitoringScheduleSummaries"] == []
    write(lab, text="other rows\n")
    lab.converge()
    assert only(lab, "list_processing_jobs", "ProcessingJobSummaries")["ProcessingJobName"] != job
    assert schedule(lab)["MonitoringScheduleStatus"] == "Scheduled"


def test_another_reference_is_another_baseline_and_another_definition(lab: Lab) -> None:
    write(lab)
    lab.converge()
    before = definition(lab)
    write(lab, text="other rows\n")
    lab.emulator.calls.clear()
    lab.converge()
    after = definition(lab)
    assert after["DataQualityBaselineConfig"] != before["DataQualityBaselineConfig"]
    assert schedule(lab)["MonitoringScheduleConfig"]["MonitoringJobDefinitionName"] == after["JobDefinitionName"]
    order = [call.operation for call in lab.emulator.calls.of("sagemaker")]
    assert order.index("UpdateMonitoringSchedule") < order.index("DeleteDataQualityJobDefinition")


def test_whoever_is_told_is_told_by_a_topic(lab: Lab) -> None:
    write(lab, notify={"webhook": "https://hooks.example.com/x"})
    assert set(noted(lab)) == {"notify.webhook"}
    lab.converge()
    (topic,) = (one["TopicArn"] for one in lab.boto("sns").list_topics()["Topics"])
    (one,) = lab.boto("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert (one["Protocol"], one["Endpoint"]) == ("https", "https://hooks.example.com/x")
    assert alarm(lab)["AlarmActions"] == alarm(lab)["OKActions"] == [topic]
    allowed = json.loads(lab.boto("sns").get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    (statement,) = allowed["Statement"]
    assert statement["Principal"] == {"Service": ["cloudwatch.amazonaws.com"]}
    assert statement["Resource"] == [topic]


def test_a_secret_url_is_never_in_a_subscription(lab: Lab) -> None:
    write(lab, notify={"webhook": "https://hooks.example.com/${secret.hook.value}"})
    told = noted(lab)
    assert "secret" in told["notify.webhook"]
    lab.converge()
    (topic,) = (one["TopicArn"] for one in lab.boto("sns").list_topics()["Topics"])
    assert lab.boto("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"of": None, "current": "s3://x/y.parquet"}, "current"),
        ({"reference": "https://example.com/reference.parquet"}, "reference"),
        ({"reference": "data/reference.csv"}, "reference"),
        ({"type": "performance", "threshold": 0.9, "labels": {"source": "s3://x/labels.parquet"}}, "type"),
        ({"type": "concept_drift", "labels": {"source": "s3://x/labels.parquet"}}, "type"),
        ({"endpoint": {"capture": False}}, "of"),
    ],
)
def test_what_sagemaker_cannot_watch_is_told_and_nothing_is_made(lab: Lab, fields: dict[str, Any], told: str) -> None:
    write(lab, **fields)
    assert set(noted(lab)) == {told}
    with lab.open() as workspace:
        assert not [one for one in workspace.desire.resources if one.startswith("monitor.")]


def test_what_a_monitor_has_no_place_for_is_told(lab: Lab) -> None:
    write(
        lab,
        variants=["champion"],
        window="36h",
        minimum_rows=10,
        method="psi",
        column_threshold=0.2,
        breaches=500,
        cooldown="1d",
        then="training.fraud",
        every="30m",
        port=8080,
        expose=True,
        columns=[f"c{number}" for number in range(11)],
    )
    assert set(noted(lab)) == {
        "window", "minimum_rows", "method", "column_threshold", "breaches", "cooldown", "every", "port", "expose", "columns",
    }  # fmt: skip
    lab.converge()
    assert len([one for one in alarm(lab)["Metrics"] if "MetricStat" in one]) == 10


def test_a_threshold_of_a_column_in_sagemakers_own_measure(lab: Lab) -> None:
    write(lab, column_threshold=0.25, threshold=0)
    assert noted(lab) == {}
    lab.converge()
    found = alarm(lab)
    assert found["Metrics"][0]["Expression"].count(">= 0.25") == 2
    assert found["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize(
    "fields", [{"type": "data_quality", "reference": None}, {"type": "data_quality"}, {"columns": []}]
)
def test_without_a_metric_nothing_alarms(lab: Lab, fields: dict[str, Any]) -> None:
    write(lab, **fields, then="training.fraud", notify={"webhook": "https://hooks.example.com/x"})
    assert set(noted(lab)) == {"threshold", "then", "notify"}
    lab.converge()
    assert schedule(lab)["MonitoringScheduleStatus"] == "Scheduled"
    assert ("DataQualityBaselineConfig" in definition(lab)) is (fields.get("reference", "") is not None)
    assert lab.boto("cloudwatch").describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize(
    ("when", "expression", "told"),
    [
        ({"every": "1h"}, "cron(0 * ? * * *)", False),
        ({"every": "90m"}, "cron(0 0/2 ? * * *)", True),
        ({"every": "1d"}, "cron(0 0 ? * * *)", False),
        ({"every": "2d"}, "cron(0 0 ? * * *)", True),
        ({"cron": "0 * * * *"}, "cron(0 * ? * * *)", False),
        ({"cron": "0 3 * * *"}, "cron(0 3 ? * * *)", False),
        ({"cron": "0 */6 * * *"}, "cron(0 0/6 ? * * *)", False),
        ({"cron": "0 17/12 * * *"}, "cron(0 17/12 ? * * *)", False),
        ({"cron": "30 3 * * *"}, "cron(0 3 ? * * *)", True),
        ({"cron": "0 3 * * 1"}, "cron(0 0 ? * * *)", True),
    ],
)
def test_times_in_the_words_of_sagemaker(lab: Lab, when: dict[str, str], expression: str, told: bool) -> None:
    write(lab, **when)
    assert set(noted(lab)) == (set(when) if told else set())
    with lab.open() as workspace:
        (found,) = [
            one for one in workspace.desire.resources.values() if one.type == "aws.sagemaker_monitoring_schedule"
        ]
    assert found.fields["monitoring_schedule_config"]["schedule_config"]["schedule_expression"] == expression


def captured(told: Any, answer: Any, encoding: str = "JSON") -> Any:
    def side(value: Any) -> Any:
        return SimpleNamespace(data=value if isinstance(value, str) else json.dumps(value), encoding=encoding)

    return SimpleNamespace(endpoint_input=side(told), endpoint_output=side(answer))


@pytest.mark.parametrize(
    ("told", "answer", "rows"),
    [
        ({"dataframe_records": [{"a": 1, "b": "x"}]}, {"predictions": [1]}, [{"a": 1, "b": "x", "prediction": 1}]),
        (
            {"dataframe_split": {"columns": ["a"], "data": [[1], [2]]}},
            {"predictions": [0, 1]},
            [{"a": 1, "prediction": 0}, {"a": 2, "prediction": 1}],
        ),
        ({"inputs": {"a": [1, 2]}}, {"predictions": [0]}, [{"a": 1}, {"a": 2}]),
        ({"instances": [[1, 2]]}, [0.5], [{"0": 1, "1": 2, "prediction": 0.5}]),
        (
            {"dataframe_records": [{"a": {"b": [1, 2]}}]},
            {"predictions": [{"label": "x", "score": 0.5}]},
            [{"a.b.0": 1, "a.b.1": 2, "prediction.label": "x", "prediction.score": 0.5}],
        ),
        ({"something": "else"}, {"predictions": []}, []),
        ("{", "", []),
    ],
)
def test_requests_become_rows_with_names(told: Any, answer: Any, rows: list[dict[str, Any]]) -> None:
    assert preprocess_handler(captured(told, answer)) == rows


def test_requests_in_csv_become_rows_with_names() -> None:
    rows = preprocess_handler(captured("a,b\n1,x\n,y\n", "0\n1\n", "CSV"))
    assert rows == [{"a": 1.0, "b": "x", "prediction": 0.0}, {"a": None, "b": "y", "prediction": 1.0}]


def test_a_request_whose_answer_was_not_captured_gives_no_row() -> None:
    assert preprocess_handler(SimpleNamespace(endpoint_input=None, endpoint_output=None)) == []
