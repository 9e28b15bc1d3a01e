"""Samples of CloudWatch: alarms and dashboards."""

from __future__ import annotations

import json
from typing import Any

from tests.providers.aws.conformance import Outside, Sample
from tests.providers.aws.lab import ACCOUNT, REGION, Lab

TOPICS = [f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}" for name in ("first", "second", "third")]
ALARM = {
    "alarm_name": "lab-errors",
    "alarm_description": "too many errors",
    "comparison_operator": "GreaterThanThreshold",
    "evaluation_periods": 3,
    "datapoints_to_alarm": 2,
    "threshold": 5,
    "metric_name": "Invocation5XXErrors",
    "namespace": "AWS/SageMaker",
    "dimensions": {"EndpointName": "fraud", "VariantName": "champion"},
    "period": 60,
    "statistic": "Sum",
    "unit": "Count",
    "treat_missing_data": "notBreaching",
    "actions_enabled": True,
    "alarm_actions": TOPICS[:2],
    "ok_actions": TOPICS[:1],
    "insufficient_data_actions": TOPICS[:1],
    "tags": {"team": "fraud"},
}
OUTSIDE: dict[str, Any] = {
    "alarm_description": ("AlarmDescription", "mine"),
    "comparison_operator": ("ComparisonOperator", "LessThanThreshold"),
    "evaluation_periods": ("EvaluationPeriods", 7),
    "datapoints_to_alarm": ("DatapointsToAlarm", 1),
    "threshold": ("Threshold", 77.0),
    "metric_name": ("MetricName", "Invocation4XXErrors"),
    "namespace": ("Namespace", "Mine"),
    "dimensions": (
        "Dimensions",
        [{"Name": "EndpointName", "Value": "mine"}, {"Name": "VariantName", "Value": "champion"}],
    ),
    "period": ("Period", 300),
    "statistic": ("Statistic", "Maximum"),
    "unit": ("Unit", "Seconds"),
    "treat_missing_data": ("TreatMissingData", "breaching"),
    "actions_enabled": ("ActionsEnabled", False),
    "alarm_actions": ("AlarmActions", []),
    "ok_actions": ("OKActions", TOPICS[2:]),
    "insufficient_data_actions": ("InsufficientDataActions", TOPICS[2:]),
}
TOLD = (
    "AlarmName",
    "AlarmDescription",
    "ComparisonOperator",
    "EvaluationPeriods",
    "DatapointsToAlarm",
    "Threshold",
    "MetricName",
    "Namespace",
    "Dimensions",
    "Period",
    "Statistic",
    "ExtendedStatistic",
    "Unit",
    "TreatMissingData",
    "ActionsEnabled",
    "AlarmActions",
    "OKActions",
    "InsufficientDataActions",
    "EvaluateLowSampleCountPercentile",
    "Metrics",
    "ThresholdMetricId",
)


def put(member: str, value: Any) -> Outside:
    """Somebody changes one member of an alarm."""

    def change(lab: Lab, id: str) -> Any:
        cloudwatch = lab.boto("cloudwatch")
        alarm = cloudwatch.describe_alarms(AlarmNames=[id])["MetricAlarms"][0]
        told = {name: alarm[name] for name in TOLD if alarm.get(name) not in (None, "", [])}
        return cloudwatch.put_metric_alarm(**{**told, member: value})

    return change


def queries(expression: str) -> list[dict[str, Any]]:
    """A metric and an expression on it."""
    metric = {
        "metric_name": "Invocations",
        "namespace": "AWS/SageMaker",
        "dimensions": {"EndpointName": "fraud"},
        "period": 60,
        "stat": "Sum",
    }
    return [
        {"id": "all", "metric": metric},
        {"id": "rate", "expression": expression, "label": "rate", "return_data": True},
    ]


SAMPLES = [
    Sample(
        "aws.cloudwatch_metric_alarm",
        ALARM,
        updates={
            "alarm_description": "still too many",
            "comparison_operator": "GreaterThanOrEqualToThreshold",
            "evaluation_periods": 4,
            "datapoints_to_alarm": 3,
            "threshold": 0.5,
            "metric_name": "ModelLatency",
            "namespace": "Other",
            "dimensions": {"EndpointName": "other"},
            "period": 10,
            "statistic": "Average",
            "unit": "Percent",
            "treat_missing_data": "ignore",
            "actions_enabled": False,
            "alarm_actions": TOPICS[1:],
            "ok_actions": TOPICS[1:],
            "insufficient_data_actions": TOPICS[1:],
            "tags": {"team": "risk", "more": "tags"},
        },
        replaces={"alarm_name": "lab-other"},
        resets={
            "alarm_description": None,
            "datapoints_to_alarm": None,
            "dimensions": None,
            "unit": None,
            "alarm_actions": None,
            "ok_actions": None,
            "insufficient_data_actions": None,
            "tags": None,
        },
        untried={
            "extended_statistic": "instead of statistic: tried in the sample after this",
            "evaluate_low_sample_count_percentiles": "the same",
            "metric_query": "instead of metric_name: tried in the last sample",
            "threshold_metric_id": "the same",
        },
        outside={
            **{name: put(*told) for name, told in OUTSIDE.items()},
            "tags": lambda lab, id: lab.boto("cloudwatch").tag_resource(
                ResourceARN=f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{id}",
                Tags=[{"Key": "team", "Value": "someone"}],
            ),
        },
        remove=lambda lab, id: lab.boto("cloudwatch").delete_alarms(AlarmNames=[id]),
        name="alarm_name",
        service="cloudwatch",
        creating="PutMetricAlarm",
        noop_calls=2,
    ),
    Sample(
        "aws.cloudwatch_metric_alarm",
        {
            **{name: value for name, value in ALARM.items() if name != "statistic"},
            "extended_statistic": "p90",
            "evaluate_low_sample_count_percentiles": "ignore",
        },
        updates={"extended_statistic": "p99", "evaluate_low_sample_count_percentiles": "evaluate"},
        resets={"evaluate_low_sample_count_percentiles": None},
        untried=dict.fromkeys(
            (*ALARM, "metric_query", "threshold_metric_id"), "tried in the samples before and after this"
        ),
        outside={
            "extended_statistic": put("ExtendedStatistic", "p50"),
            "evaluate_low_sample_count_percentiles": put("EvaluateLowSampleCountPercentile", "evaluate"),
        },
        name="alarm_name",
        service="cloudwatch",
        creating="PutMetricAlarm",
        noop_calls=2,
    ),
    Sample(
        "aws.cloudwatch_metric_alarm",
        {
            "alarm_name": "lab-band",
            "comparison_operator": "GreaterThanUpperThreshold",
            "evaluation_periods": 2,
            "metric_query": queries("ANOMALY_DETECTION_BAND(all)"),
            "threshold_metric_id": "rate",
        },
        updates={"metric_query": queries("ANOMALY_DETECTION_BAND(all, 3)"), "threshold_metric_id": "all"},
        untried=dict.fromkeys(
            (*ALARM, "extended_statistic", "evaluate_low_sample_count_percentiles"), "tried in the samples before this"
        ),
        outside={
            "metric_query": put("Metrics", [{"Id": "rate", "Expression": "1", "ReturnData": True}]),
            "threshold_metric_id": put("ThresholdMetricId", "all"),
        },
        name="alarm_name",
        service="cloudwatch",
        creating="PutMetricAlarm",
        noop_calls=2,
    ),
    Sample(
        "aws.cloudwatch_dashboard",
        {"dashboard_name": "lab", "dashboard_body": {"widgets": [{"type": "text", "properties": {"markdown": "one"}}]}},
        updates={"dashboard_body": {"widgets": [{"type": "text", "properties": {"markdown": "two"}}]}},
        replaces={"dashboard_name": "other"},
        outside={
            "dashboard_body": lambda lab, id: lab.boto("cloudwatch").put_dashboard(
                DashboardName=id, DashboardBody=json.dumps({"widgets": []})
            )
        },
        remove=lambda lab, id: lab.boto("cloudwatch").delete_dashboards(DashboardNames=[id]),
        name="dashboard_name",
        service="cloudwatch",
        creating="PutDashboard",
        noop_calls=5,
    ),
]
