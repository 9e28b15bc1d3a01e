"""`aws.cloudwatch_metric_alarm` and `aws.cloudwatch_dashboard`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, UNORDERED, keyed_by
from mlinfra.sdk.resource import Created, Fields, Known, Operation
from mlinfra_aws.client import AwsClient
from mlinfra_aws.documents import Document, read, text
from mlinfra_aws.errors import Rule
from mlinfra_aws.regular import Regular, batches
from mlinfra_aws.resource import Part, Tagged
from mlinfra_aws.tags import TagCalls, pairs, unpaired

CLOUDWATCH_TAGS = TagCalls("cloudwatch", "ListTagsForResource", "TagResource", "UntagResource", "ResourceARN")
GONE = (Rule("ResourceNotFound"), Rule("DashboardNotFoundError"))
Comparison = Literal[
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
    "LessThanLowerOrGreaterThanUpperThreshold",
    "LessThanLowerThreshold",
    "GreaterThanUpperThreshold",
]


class Metric(Part):
    """One metric, and how its points are put together."""

    metric_name: str = Field(min_length=1, max_length=255)
    namespace: str | None = Field(None, min_length=1, max_length=255)
    dimensions: dict[str, str] = Field({}, max_length=30)
    period: int = Field(ge=1)
    stat: str
    unit: str | None = None


class MetricQuery(Part):
    """A metric, or an expression on other ones."""

    id: str = Field(pattern=r"^[a-z][A-Za-z0-9_]{0,254}$")
    expression: str | None = None
    label: str | None = None
    metric: Metric | None = None
    period: int | None = Field(None, ge=1)
    return_data: bool = False
    account_id: str | None = None


class MetricAlarm(Regular, Tagged):
    """An alarm on a metric.

    Example::

        resource:
          errors:
            type: aws.cloudwatch_metric_alarm
            alarm_name: fraud-errors
            namespace: AWS/SageMaker
            metric_name: Invocation5XXErrors
            dimensions: { EndpointName: fraud, VariantName: champion }
            statistic: Sum
            period: 60
            evaluation_periods: 3
            comparison_operator: GreaterThanThreshold
            threshold: 5
    """

    type: ClassVar[str] = "aws.cloudwatch_metric_alarm"
    noun: ClassVar[str] = "alarm"
    service: ClassVar[str] = "cloudwatch"
    words: ClassVar[Mapping[str, str]] = {
        "arn": "AlarmArn",
        "ok_actions": "OKActions",
        "evaluate_low_sample_count_percentiles": "EvaluateLowSampleCountPercentile",
    }
    gone_if: ClassVar[tuple[Rule, ...]] = GONE
    looks_first: ClassVar[bool] = True
    tag_calls: ClassVar[TagCalls | None] = CLOUDWATCH_TAGS

    alarm_name: Annotated[str, REPLACE] = Field(min_length=1, max_length=255)
    """Its name."""
    alarm_description: str | None = Field(None, max_length=1024)
    """What it says."""
    comparison_operator: Comparison
    """How values and threshold are compared."""
    evaluation_periods: int = Field(ge=1)
    """How many periods are looked at."""
    datapoints_to_alarm: int | None = Field(None, ge=1)
    """In how many of them the threshold must be crossed; in all if not given."""
    threshold: float | None = None
    """What values are compared with."""
    threshold_metric_id: str | None = None
    """The query that makes the band values are compared with, instead of a threshold."""
    metric_name: str | None = Field(None, min_length=1, max_length=255)
    """The metric; not with ``metric_query``."""
    namespace: str | None = Field(None, min_length=1, max_length=255, pattern=r"^[^:]")
    """Its namespace."""
    dimensions: dict[str, str] = Field({}, max_length=30)
    """Its dimensions."""
    period: int | None = Field(None, ge=1)
    """The seconds of a period."""
    statistic: Literal["SampleCount", "Average", "Sum", "Minimum", "Maximum"] | None = None
    """How the values of a period become one."""
    extended_statistic: str | None = None
    """A percentile instead: ``p99``."""
    unit: str | None = None
    """The unit that values must have."""
    metric_query: Annotated[list[MetricQuery], keyed_by("id")] = Field([], max_length=20)
    """Metrics and expressions, instead of one metric."""
    treat_missing_data: Literal["missing", "ignore", "breaching", "notBreaching"] = "missing"
    """What a period without values counts as."""
    evaluate_low_sample_count_percentiles: Literal["evaluate", "ignore"] | None = None
    """Whether a percentile of few values counts."""
    actions_enabled: bool = True
    """Whether its actions are done."""
    alarm_actions: Annotated[list[str], UNORDERED] = Field([], max_length=5)
    """ARNs of what is done when it goes off."""
    ok_actions: Annotated[list[str], UNORDERED] = Field([], max_length=5)
    """ARNs of what is done when all is well again."""
    insufficient_data_actions: Annotated[list[str], UNORDERED] = Field([], max_length=5)
    """ARNs of what is done when there is too little to tell."""

    def object_id(self) -> str:
        return self.alarm_name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if bool(fields["metric_name"]) == bool(fields["metric_query"]):
            raise ProviderError(
                f"the alarm {fields['alarm_name']} needs something to look at",
                remedy='Give one of "metric_name" and "metric_query".',
            )
        if fields["threshold"] is None and fields["threshold_metric_id"] is None:
            raise ProviderError(
                f"the alarm {fields['alarm_name']} has nothing to compare with",
                remedy='Give one of "threshold" and "threshold_metric_id".',
            )
        return super().normalise(fields, place)

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        found: dict[str, Fields] = {}
        shape = client.shape("cloudwatch", "DescribeAlarms", output=True).members["MetricAlarms"].member
        for some in batches(list(known), 100):
            names = [item.id for item in some]
            for alarm in client.pages(
                "cloudwatch", "DescribeAlarms", "MetricAlarms", AlarmNames=names, AlarmTypes=["MetricAlarm"]
            ):
                found[alarm["AlarmName"]] = cls._alarm(shape, alarm)
        return {item.address: found.get(item.id) for item in known}

    @classmethod
    def _alarm(cls, shape: Any, alarm: Mapping[str, Any]) -> Fields:
        live = cls.told(shape, {key: value for key, value in alarm.items() if key != "Dimensions"})
        live["dimensions"] = unpaired(alarm.get("Dimensions", []), "Name")
        live["metric_query"] = [_query(one) for one in alarm.get("Metrics", [])]
        return live

    def make(self, client: AwsClient, op: Operation) -> Created:
        self._put(client, op, Tags=pairs(self.owned(op)))
        return Created(self.alarm_name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._put(client, op)
        return None

    def _put(self, client: AwsClient, op: Operation, **more: Any) -> None:
        params = self.asked(client, "PutMetricAlarm")
        params.pop("Dimensions", None)
        if self.dimensions:
            params["Dimensions"] = pairs(self.dimensions, "Name")
        if self.metric_query:
            params["Metrics"] = [_asked(one) for one in self.metric_query]
        self.call(client, "PutMetricAlarm", op=op, **params, **more)

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteAlarms", op=op, AlarmNames=[known.id])


def _query(told: Mapping[str, Any]) -> Fields:
    """A query as the API tells it."""
    found: Fields = {
        "id": told["Id"],
        "expression": told.get("Expression"),
        "label": told.get("Label"),
        "period": told.get("Period"),
        "return_data": told.get("ReturnData", True),
        "account_id": told.get("AccountId"),
    }
    stat = told.get("MetricStat")
    if stat:
        metric = stat["Metric"]
        found["metric"] = {
            "metric_name": metric.get("MetricName"),
            "namespace": metric.get("Namespace"),
            "dimensions": unpaired(metric.get("Dimensions", []), "Name"),
            "period": stat["Period"],
            "stat": stat["Stat"],
            "unit": stat.get("Unit"),
        }
        found["metric"] = {key: value for key, value in found["metric"].items() if value not in (None, {})}
    return {key: value for key, value in found.items() if value is not None}


def _asked(query: MetricQuery) -> dict[str, Any]:
    """A query as the API takes it."""
    found: dict[str, Any] = {
        "Id": query.id,
        "Expression": query.expression,
        "Label": query.label,
        "Period": query.period,
        "ReturnData": query.return_data,
        "AccountId": query.account_id,
    }
    if query.metric is not None:
        one = query.metric
        metric: dict[str, Any] = {"MetricName": one.metric_name, "Dimensions": pairs(one.dimensions, "Name")}
        metric |= {"Namespace": one.namespace} if one.namespace else {}
        found["MetricStat"] = {"Metric": metric, "Period": one.period, "Stat": one.stat}
        found["MetricStat"] |= {"Unit": one.unit} if one.unit else {}
    return {key: value for key, value in found.items() if value is not None}


class Dashboard(Regular):
    """A dashboard. It carries no tags: one that is as this one shall be is taken as its own.

    Example::

        resource:
          board: { type: aws.cloudwatch_dashboard, dashboard_name: fraud, dashboard_body: { widgets: [] } }
    """

    type: ClassVar[str] = "aws.cloudwatch_dashboard"
    noun: ClassVar[str] = "dashboard"
    service: ClassVar[str] = "cloudwatch"
    gone_if: ClassVar[tuple[Rule, ...]] = GONE
    looks_first: ClassVar[bool] = True

    dashboard_name: Annotated[str, REPLACE] = Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")
    """Its name."""
    dashboard_body: Document
    """What it shows: a mapping, or JSON text."""

    def object_id(self) -> str:
        return self.dashboard_name

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        # A body is somebody's document: what is empty in it is kept.
        return {**super().normalise(fields, place), "dashboard_body": fields["dashboard_body"]}

    @classmethod
    def look(cls, client: AwsClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        return {item.address: cls._one(client, item) for item in known}

    @classmethod
    def _one(cls, client: AwsClient, known: Known) -> Fields | None:
        told = cls.found(client, "GetDashboard", DashboardName=known.id)
        if told is None:
            return None
        return {
            "dashboard_name": known.id,
            "dashboard_body": read(told["DashboardBody"]),
            "arn": told["DashboardArn"],
        }

    def held(self, client: AwsClient, id: str, live: Mapping[str, Any], op: Operation) -> bool:
        return bool(live.get("dashboard_body") == self.dashboard_body)

    def make(self, client: AwsClient, op: Operation) -> Created:
        self._put(client, op)
        return Created(self.dashboard_name)

    def change(self, client: AwsClient, known: Known, changed: set[str], op: Operation) -> Fields | None:
        self._put(client, op)
        return None

    def _put(self, client: AwsClient, op: Operation) -> None:
        answer = self.call(
            client, "PutDashboard", op=op, DashboardName=self.dashboard_name, DashboardBody=text(self.dashboard_body)
        )
        # It was taken, and AWS has something to say about it.
        for told in answer.get("DashboardValidationMessages", [])[:3]:
            op.say(f"{told.get('DataPath', '')}: {told.get('Message', '')}")

    @classmethod
    def delete(cls, client: AwsClient, known: Known, op: Operation) -> None:
        cls.found(client, "DeleteDashboards", op=op, DashboardNames=[known.id])
