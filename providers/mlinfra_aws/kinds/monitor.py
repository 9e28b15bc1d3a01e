"""The recipe for kind ``monitor``: SageMaker's data quality monitor on what an endpoint captured.

A baseline of the reference, a job definition, a schedule; for drift an alarm on the metrics that it tells, and what that sets
off. What SageMaker has nothing for is told.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra_aws.kinds import buckets, roles
from mlinfra_aws.kinds.baseline import BASELINES, REPOSITORY, Baseline, analyzer, baseline, in_bucket
from mlinfra_aws.kinds.breach import Watched, breach
from mlinfra_aws.kinds.configuration import CAPTURES
from mlinfra_aws.kinds.instances import instance
from mlinfra_aws.kinds.times import HOUR, Times, times
from mlinfra_aws.names import name
from mlinfra_aws.sagemaker.endpoint_config import content_name

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor

REPORTS: Final = "reports/"
CODE: Final = "code/"
LOGS: Final = "/aws/sagemaker/ProcessingJobs"
"""Where all processing jobs of an account log to. It belongs to no blueprint."""
DISK: Final = 20
"""GB."""
SLACK: Final = 300
"""Seconds that a look must end before the next one."""
LONGEST: Final = 86400


def lower(monitor: Monitor, lowering: Lowering) -> Outputs:
    """Bucket, role, baseline, definition, schedule; alarm, topic and rule. Nothing where SageMaker cannot watch."""
    why = _impossible(monitor, lowering)
    if why is not None:
        lowering.unsupported(*why)
        return {}
    _tell_unsupported(monitor, lowering)
    looks = times(monitor, lowering)
    image = analyzer(lowering)
    assert image is not None
    assert monitor.of is not None
    captures, endpoint = lowering.shared(str(monitor.of), "capture"), lowering.shared(str(monitor.of), "endpoint")
    keep = None if opaque(monitor.keep) else monitor.keep
    bucket = buckets.own(lowering, "reports", expire=[(REPORTS, keep)] if keep is not None else [])
    if keep is None:
        lowering.unsupported("keep", "it must be known when it is planned: reports stay")
    role = _role(monitor, lowering, captures, bucket)
    cluster = {
        "instance_type": instance(monitor.resources, lowering),
        "instance_count": 1,
        "volume_size_in_gb": DISK,
    }
    usual = baseline(monitor, lowering, role, bucket, image, cluster) if monitor.reference is not None else None
    definition = _definition(lowering, endpoint, bucket, role, usual, image, cluster, looks)
    schedule = name(lowering.place, lowering.component)
    made = lowering.resource(
        "aws.sagemaker_monitoring_schedule",
        "schedule",
        {
            "name": schedule,
            "monitoring_schedule_config": {
                "monitoring_job_definition_name": definition.ref("name"),
                "monitoring_type": "DataQuality",
                "schedule_config": {
                    "schedule_expression": looks.expression,
                    "data_analysis_start_time": f"-PT{looks.window}H",
                    "data_analysis_end_time": "-PT0H",
                },
            },
        },
        label="schedule",
    )
    breach(monitor, lowering, Watched(endpoint, made, looks.hours * HOUR))
    return {"url": f"s3://{bucket.ref('bucket')}/{REPORTS}"}


def _impossible(monitor: Monitor, lowering: Lowering) -> tuple[str, str] | None:
    """The field because of which nothing is made, and why."""
    if opaque(monitor.type) or monitor.type not in ("data_drift", "data_quality"):
        return "type", f"nothing watches for {monitor.type}: SageMaker is given no labels here"
    if monitor.of is None:
        return "current", "nothing watches it: SageMaker looks at what an endpoint captured"
    if opaque(monitor.of) or not isinstance(lowering.shared(str(monitor.of), "endpoint"), Handle):
        return "of", "it must be known when it is planned: nothing watches"
    if not isinstance(lowering.shared(str(monitor.of), "capture"), Handle):
        return "of", f"nothing watches: {monitor.of} captures nothing, since its `capture` is off"
    if analyzer(lowering) is None:
        region = lowering.place.settings["region"]
        return "type", f"nothing watches: where SageMaker's analyzer is in {region} is not known"
    if monitor.reference is not None and not in_bucket(monitor.reference, lowering):
        return "reference", "nothing watches: SageMaker reads what is in a bucket, so put it into a storage"
    return None


def _definition(
    lowering: Lowering,
    endpoint: Handle,
    bucket: Handle,
    role: Handle,
    usual: Baseline | None,
    image: str,
    cluster: dict[str, Any],
    looks: Times,
) -> Handle:
    """What is compared. It never changes: its name changes with all that is in it."""
    program = (resources.files("mlinfra_aws.kinds") / "preprocessor.py").read_text("utf-8")
    digest = hashlib.sha256(program.encode()).hexdigest()[:12]
    code = lowering.resource(
        "aws.s3_object",
        f"preprocessor-{digest}",
        {
            "bucket": bucket.ref("bucket"),
            "key": f"{CODE}{digest}/preprocessor.py",
            "content": program,
            "content_type": "text/x-python",
        },
        label="what makes rows of requests",
    )
    content: dict[str, Any] = {
        "role_arn": role.ref("arn"),
        "data_quality_app_specification": {
            "image_uri": image,
            "record_preprocessor_source_uri": f"s3://{bucket.ref('bucket')}/{CODE}{digest}/preprocessor.py",
            "environment": {"publish_cloudwatch_metrics": "Enabled"},
        },
        "data_quality_job_input": {
            "endpoint_input": {
                "endpoint_name": endpoint.ref("name"),
                "local_path": "/opt/ml/processing/input/endpoint",
                "s3_input_mode": "File",
                "s3_data_distribution_type": "FullyReplicated",
            }
        },
        "data_quality_job_output_config": {
            "monitoring_outputs": [
                {
                    "s3_output": {
                        "s3_uri": f"s3://{bucket.ref('bucket')}/{REPORTS.rstrip('/')}",
                        "local_path": "/opt/ml/processing/output",
                        "s3_upload_mode": "EndOfJob",
                    }
                }
            ]
        },
        "job_resources": {"cluster_config": cluster},
        "stopping_condition": {"max_runtime_in_seconds": min(LONGEST, looks.hours * HOUR - SLACK)},
    }
    if usual is not None:
        content["data_quality_baseline_config"] = {
            "constraints_resource": {"s3_uri": f"{usual.place}/constraints.json"},
            "statistics_resource": {"s3_uri": f"{usual.place}/statistics.json"},
        }
    called = content_name(name(lowering.place, lowering.component), content)
    return lowering.resource(
        "aws.sagemaker_data_quality_job_definition",
        called.rpartition("-")[2],
        {"name": called, **content},
        after=[code.address, *([usual.job.address] if usual is not None else [])],
        label="what is compared",
    )


def _role(monitor: Monitor, lowering: Lowering, captures: Handle, bucket: Handle) -> Handle:
    """What its jobs have: captures and reference to read, baselines and reports to write, their logs and metrics."""
    region = lowering.place.settings["region"]
    return roles.role(
        lowering,
        "watcher",
        {
            "captures": roles.reads(captures, CAPTURES),
            "reference": roles.touches(lowering, [monitor.reference]),
            "own": [*roles.reads(bucket), *roles.writes(bucket, BASELINES), *roles.writes(bucket, REPORTS)],
            "image": roles.pulls(f"arn:aws:ecr:{region}:*:repository/{REPOSITORY}"),
            "logs": [*roles.logs(lowering, LOGS), *roles.metrics()],
        },
    )


def _tell_unsupported(monitor: Monitor, lowering: Lowering) -> None:
    given = monitor.model_fields_set
    offered = lowering.shared(str(monitor.of), "variants") or ()
    if monitor.variants and set(monitor.variants) != set(offered):
        lowering.unsupported("variants", "SageMaker looks at what all variants answered")
    if "minimum_rows" in given:
        lowering.unsupported("minimum_rows", "SageMaker judges few rows too; in its measure they weigh less")
    if monitor.method is not None:
        lowering.unsupported("method", "SageMaker has a measure of its own: the largest distance of two distributions")
    for field, why in (("labels", "SageMaker's data quality does not look at labels"), ("metric", "it has none")):
        if getattr(monitor, field) is not None:
            lowering.unsupported(field, why)
    if "timestamp_field" in given:
        lowering.unsupported("timestamp_field", "captured requests tell their time themselves")
    for field, asked in (("port", monitor.port is not None), ("expose", monitor.expose is not False)):
        if asked:
            lowering.unsupported(field, "it has no server: reports are in its bucket, and SageMaker Studio shows them")
