"""What a breach sets off: an alarm on the metrics of a monitor, a topic for who is told, a rule that starts a training. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.refs import has_token
from mlinfra.sdk.workload import JobHandle
from mlinfra_aws.kinds import roles
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor

METRICS: Final = "aws/sagemaker/Endpoints/data-metrics"
DRIFT: Final = "feature_baseline_drift_"
COLUMNS: Final = 10
"""Metrics that an alarm may put together."""
DISTANCE: Final = 0.1
"""From which distance on SageMaker itself says that a column has drifted."""
WEEK: Final = 7 * 86400
"""Seconds that an alarm looks back at most."""
EVENTS: Final = "events.amazonaws.com"
CLOUDWATCH: Final = "cloudwatch.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Watched:
    """What an alarm looks at. ``period``: seconds between two looks."""

    endpoint: Handle
    schedule: Handle
    period: int


def breach(monitor: Monitor, lowering: Lowering, watched: Watched) -> None:
    """Alarm, topic and rule, as far as they are wanted and SageMaker tells what they need."""
    columns = _columns(monitor, lowering)
    if not columns:
        for field in ("then", "notify"):
            if getattr(monitor, field) is not None:
                lowering.unsupported(field, "there is no alarm that a breach would set off")
        return
    topic = _topic(monitor, lowering) if monitor.notify is not None else None
    alarm = _alarm(monitor, lowering, watched, columns, topic)
    if monitor.then is not None:
        _start(monitor, lowering, alarm, watched)


def _columns(monitor: Monitor, lowering: Lowering) -> list[str]:
    """The columns whose metrics an alarm is made of; none where it cannot be made, which is told."""
    if monitor.type != "data_drift":
        lowering.unsupported(
            "threshold",
            "no metric tells the share of bad values: what is bad stands in the reports, and nothing alarms",
        )
        return []
    if opaque(monitor.threshold):
        lowering.unsupported("threshold", "it must be known when it is planned: nothing alarms")
        return []
    if not monitor.columns:
        lowering.unsupported("threshold", "nothing alarms: an alarm knows columns by name, so list them in `columns`")
        return []
    known = [one for one in monitor.columns if not opaque(one)]
    if len(known) < len(monitor.columns):
        lowering.unsupported(
            "columns", "they must be known when it is planned: the alarm leaves out those that are not"
        )
    if len(known) > COLUMNS:
        lowering.unsupported("columns", f"an alarm looks at {COLUMNS} columns at most: the first ones")
    return known[:COLUMNS]


def _alarm(monitor: Monitor, lowering: Lowering, watched: Watched, columns: list[str], topic: Handle | None) -> Handle:
    """The share of drifted columns, look after look."""
    limit = DISTANCE
    if monitor.column_threshold is not None:
        if monitor.method is None and not opaque(monitor.column_threshold):
            limit = monitor.column_threshold
        else:
            lowering.unsupported("column_threshold", f"in SageMaker's own measure a column has drifted from {DISTANCE}")
    breaches = 1 if opaque(monitor.breaches) else min(monitor.breaches, WEEK // watched.period)
    if breaches != monitor.breaches:
        lowering.unsupported("breaches", f"an alarm looks back a week at most: {breaches} in a row")
    ids = [f"c{index}" for index in range(len(columns))]
    drifted = " + ".join(f"IF({one} >= {limit:g}, 1, 0)" for one in ids)
    dimensions = {"Endpoint": watched.endpoint.ref("name"), "MonitoringSchedule": watched.schedule.ref("name")}
    queries: list[dict[str, Any]] = [
        {
            "id": "share",
            "expression": f"({drifted}) / {len(ids)}",
            "label": "share of drifted columns",
            "return_data": True,
        }
    ]
    for one, column in zip(ids, columns, strict=True):
        metric = {
            "namespace": METRICS,
            "metric_name": f"{DRIFT}{column}",
            "dimensions": dimensions,
            "period": watched.period,
            "stat": "Maximum",
        }
        queries.append({"id": one, "metric": metric})
    threshold = float(monitor.threshold or 0)
    told = {"alarm_actions": [topic.ref("arn")], "ok_actions": [topic.ref("arn")]} if topic is not None else {}
    return lowering.resource(
        "aws.cloudwatch_metric_alarm",
        "breach",
        {
            "alarm_name": name(lowering.place, lowering.component, limit=255),
            "alarm_description": f"{lowering.component} of {lowering.place.blueprint}: columns have drifted",
            # A score of 0 is never a drift.
            "comparison_operator": "GreaterThanOrEqualToThreshold" if threshold else "GreaterThanThreshold",
            "threshold": threshold,
            "evaluation_periods": breaches,
            "metric_query": queries,
            # A look that had nothing to look at neither breaches nor makes well.
            "treat_missing_data": "ignore",
            **told,
        },
        label="alarm",
    )


def _topic(monitor: Monitor, lowering: Lowering) -> Handle:
    """Who is told. A URL that is a secret does not stand in a subscription, which whoever may list them can read."""
    assert monitor.notify is not None
    called = name(lowering.place, lowering.component, limit=256)
    webhook = monitor.notify.webhook
    fields: dict[str, Any] = {"name": called}
    secret = roles.secret(lowering, webhook)
    if secret or opaque(webhook) or has_token(webhook):
        why = (
            "whoever may list subscriptions would read the secret" if secret else "it must be known when it is planned"
        )
        lowering.unsupported("notify.webhook", f"{why}: subscribe to the topic {called} yourself")
    else:
        protocol = "https" if webhook.startswith("https://") else "http"
        fields["subscription"] = [{"protocol": protocol, "endpoint": webhook}]
        lowering.unsupported("notify.webhook", "it gets CloudWatch's own words, once it confirmed SNS's subscription")
    statement: dict[str, Any] = {
        "Sid": "alarms",
        "Effect": "Allow",
        "Principal": {"Service": CLOUDWATCH},
        "Action": "sns:Publish",
        "Resource": roles.arn(lowering, "sns", called),
    }
    if lowering.place.settings.get("account"):
        statement["Condition"] = {"StringEquals": {"aws:SourceAccount": str(lowering.place.settings["account"])}}
    fields["policy"] = {"Version": "2012-10-17", "Statement": [statement]}
    return lowering.resource("aws.sns_topic", "breach", fields, label="who is told")


def _start(monitor: Monitor, lowering: Lowering, alarm: Handle, watched: Watched) -> None:
    """The training's pipeline, when the alarm goes off."""
    job = lowering.shared(str(monitor.then), "job")
    if not isinstance(job, JobHandle) or not isinstance(job.runtime, Handle):
        lowering.unsupported("then", f"{monitor.then} cannot be started from here: a breach is told only")
        return
    if opaque(monitor.cooldown) or monitor.cooldown > watched.period:
        lowering.unsupported("cooldown", "a training is started each time that the alarm goes off")
    pipeline = job.runtime.ref("arn")
    starts = {"Effect": "Allow", "Action": "sagemaker:StartPipelineExecution", "Resource": pipeline}
    role = roles.role(lowering, "starter", {"start": [starts]}, service=EVENTS)
    lowering.resource(
        "aws.cloudwatch_event_rule",
        "then",
        {
            "name": name(lowering.place, lowering.component, "then", limit=64),
            "description": f"a breach of {lowering.component} starts {monitor.then}",
            "event_pattern": {
                "source": ["aws.cloudwatch"],
                "detail-type": ["CloudWatch Alarm State Change"],
                "resources": [alarm.ref("arn")],
                "detail": {"state": {"value": ["ALARM"]}},
            },
            "target": [{"target_id": "training", "arn": pipeline, "role_arn": role.ref("arn")}],
        },
        label=f"starts {monitor.then}",
    )
