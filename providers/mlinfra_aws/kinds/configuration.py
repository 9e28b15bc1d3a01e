"""The configuration of an endpoint: what it runs, on how much, and what of its requests is kept. It never changes itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra_aws.kinds.instances import instance
from mlinfra_aws.kinds.variants import ROOM, VERSION, Served, shadow, variant_name
from mlinfra_aws.sagemaker.endpoint_config import content_name

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Endpoint

CAPTURES: Final = "captures/"
START: Final = (60, 3600)
"""Seconds that AWS lets a start take, at least and at most."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """A configuration as it was made."""

    handle: Handle
    instance: str
    """The type of its instances."""
    answering: list[Served]
    copied: list[Served]
    """Those that get copies of requests."""


def configuration(
    endpoint: Endpoint, lowering: Lowering, called: str, served: list[Served], files: Handle
) -> Configuration:
    """What the endpoint runs. Its name changes with all that is in it, since it never changes itself."""
    answering = [one for one in served if not shadow(one)]
    copied = [one for one in served if shadow(one)]
    if copied and (len(answering) > 1 or len(copied) > 1):
        for one in copied:
            lowering.unsupported(
                f"variants.{one.variant}.shadow", "AWS copies the requests of one variant to one other"
            )
        copied = []
    runs_on, instances = instance(endpoint.resources, lowering), count(endpoint)
    start = None if opaque(endpoint.health.start) else int(min(max(endpoint.health.start, START[0]), START[1]))

    def variant(one: Served, weight: float) -> dict[str, Any]:
        found: dict[str, Any] = {
            "variant_name": variant_name(one.variant),
            "model_name": one.name,
            "instance_type": runs_on,
            "initial_instance_count": instances,
            "initial_variant_weight": weight,
        }
        if start is not None:
            found["container_startup_health_check_timeout_in_seconds"] = start
        return found

    content: dict[str, Any] = {
        "production_variants": [variant(one, _weight(one, lowering)) for one in answering],
    }
    if copied:
        # As heavy as the one whose requests it gets: all of them.
        content["shadow_production_variants"] = [variant(copied[0], _weight(answering[0], lowering))]
    if endpoint.capture is not None:
        content["data_capture_config"] = {
            "enable_capture": True,
            "initial_sampling_percentage": _percent(endpoint.capture.sample, lowering),
            "destination_s3_uri": f"s3://{files.ref('bucket')}/{CAPTURES.rstrip('/')}",
            "capture_options": [{"capture_mode": "Input"}, {"capture_mode": "Output"}],
            "capture_content_type_header": {
                "csv_content_types": ["text/csv"],
                "json_content_types": ["application/json"],
            },
        }
    following = [one for one in served if one.follows]
    told = content_name(called[: max(1, ROOM - 9 - VERSION * len(following))].rstrip("-"), content)
    versions = "".join(f"-v{one.version}" for one in following)
    handle = lowering.resource(
        "aws.sagemaker_endpoint_configuration",
        told.rpartition("-")[2],
        {"name": f"{told}{versions}", **content},
        label="endpoint configuration",
    )
    return Configuration(handle, runs_on, answering, copied)


def _weight(one: Served, lowering: Lowering) -> float:
    if opaque(one.spec.weight):
        lowering.unsupported(f"variants.{one.variant}.weight", "it must be known when it is planned: it gets 1")
        return 1.0
    return float(one.spec.weight)


def _percent(sample: float, lowering: Lowering) -> int:
    if opaque(sample):
        lowering.unsupported("capture.sample", "it must be known when it is planned: all are kept")
        return 100
    return round(sample * 100)


def count(endpoint: Endpoint) -> int:
    """How many instances a variant begins with."""
    if endpoint.scale is None or opaque(endpoint.scale) or opaque(endpoint.scale.replicas):
        return 1
    return max(1, endpoint.scale.replicas.low)
