"""What is usual, for SageMaker's monitors: statistics and constraints that its analyzer makes of the reference, once, in a job.

Pure. The accounts of the analyzer's image are those of AWS's list of paths, a region each.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.refs import CLOSE, has_token, references
from mlinfra_aws.kinds.storage import CONTENTS
from mlinfra_aws.names import name
from mlinfra_aws.s3_objects import digest
from mlinfra_aws.sagemaker.endpoint_config import content_name

if TYPE_CHECKING:
    from mlinfra.kinds.monitor import Monitor

REPOSITORY: Final = "sagemaker-model-monitor-analyzer"
ACCOUNTS: Final[Mapping[str, str]] = {
    "ap-east-1": "001633400207",
    "ap-northeast-1": "574779866223",
    "ap-northeast-2": "709848358524",
    "ap-south-1": "126357580389",
    "ap-southeast-1": "245545462676",
    "ap-southeast-2": "563025443158",
    "ca-central-1": "536280801234",
    "eu-central-1": "048819808253",
    "eu-north-1": "895015795356",
    "eu-west-1": "468650794304",
    "eu-west-2": "749857270468",
    "eu-west-3": "680080141114",
    "me-south-1": "607024016150",
    "sa-east-1": "539772159869",
    "us-east-1": "156813124566",
    "us-east-2": "777275614652",
    "us-west-1": "890145073186",
    "us-west-2": "159807026194",
}
"""Region → the account of AWS that has the analyzer's image there."""
FORMATS: Final[Mapping[str, Any]] = {
    ".parquet": {"parquet": {}},
    ".csv": {"csv": {"header": True}},
    ".json": {"json": {"lines": False}},
    ".jsonl": {"json": {"lines": True}},
}
"""How a name ends → what the analyzer calls it."""
BASELINES: Final = "baselines/"
INPUT: Final = "/opt/ml/processing/input/baseline_dataset_input"
OUTPUT: Final = "/opt/ml/processing/output"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline: the job that makes it, and where its files are (with tokens)."""

    job: Handle
    place: str


def analyzer(lowering: Lowering) -> str | None:
    """The URI of the analyzer's image in this region, or None if it is not known."""
    region = str(lowering.place.settings["region"])
    account = ACCOUNTS.get(region)
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{REPOSITORY}" if account is not None else None


def in_bucket(reference: str, lowering: Lowering) -> bool:
    """Whether SageMaker can read it."""
    if has_token(reference):
        components = [one.address.partition("/")[0] for one in references(reference)]
        return any(isinstance(lowering.shared(one, "bucket"), Handle) for one in components)
    return not opaque(reference) and reference.startswith("s3://")


def baseline(
    monitor: Monitor, lowering: Lowering, role: Handle, bucket: Handle, image: str, cluster: Mapping[str, Any]
) -> Baseline:
    """The job. It runs when it is made, again if the reference changes, and the apply fails with it."""
    reference = str(monitor.reference)
    told = FORMATS.get(PurePosixPath(reference).suffix.lower(), FORMATS[".parquet"])
    content: dict[str, Any] = {
        "role_arn": role.ref("arn"),
        "app_specification": {"image_uri": image},
        "processing_resources": {"cluster_config": dict(cluster)},
        "processing_inputs": [
            {
                "input_name": "reference",
                "s3_input": {
                    "s3_uri": reference,
                    "local_path": INPUT,
                    "s3_data_type": "S3Prefix",
                    "s3_input_mode": "File",
                    "s3_data_distribution_type": "FullyReplicated",
                    "s3_compression_type": "None",
                },
            }
        ],
        "environment": {
            "dataset_format": json.dumps(told),
            "dataset_source": INPUT,
            "output_path": OUTPUT,
            "publish_cloudwatch_metrics": "Disabled",
        },
        "stopping_condition": {"max_runtime_in_seconds": 3600},
    }
    changing = {**content, "digest": _digest(reference, lowering)}
    job = content_name(name(lowering.place, lowering.component, "baseline"), changing)
    place = f"s3://{bucket.ref('bucket')}/{BASELINES}{job}"
    output = {"s3_uri": place, "local_path": OUTPUT, "s3_upload_mode": "EndOfJob"}
    handle = lowering.resource(
        "aws.sagemaker_processing_job",
        f"baseline-{job.rpartition('-')[2]}",
        {
            "processing_job_name": job,
            **content,
            "processing_output_config": {"outputs": [{"output_name": "baseline", "s3_output": output}]},
        },
        after=[contents.address for contents in _contents(reference, lowering)],
        label="baseline of the reference",
    )
    return Baseline(handle, place)


def _contents(reference: str, lowering: Lowering) -> list[Handle]:
    """The files that the blueprint puts where the reference is: they are there first."""
    components = [one.address.partition("/")[0] for one in references(reference)]
    return [found for one in components if isinstance(found := lowering.shared(one, CONTENTS), Handle)]


def _digest(reference: str, lowering: Lowering) -> str:
    """What changes with the reference, if it is a file of the blueprint; else nothing."""
    path = reference.rpartition(CLOSE)[2].lstrip("/")
    for contents in _contents(reference, lowering):
        file = Path(lowering.place.root) / str(lowering.declared(contents.address, "source")) / path
        if path and file.is_file():
            return digest(file)
    return ""
