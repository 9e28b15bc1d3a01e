"""The recipe for kind ``endpoint``: a model a variant, a content-named configuration, the endpoint, its log group and bucket.

What changes by the blueprint makes another configuration beside the old one, which goes once the endpoint runs the new one.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.kinds.units import ModelRef
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra_aws.kinds import buckets, roles
from mlinfra_aws.kinds.configuration import CAPTURES, START, configuration
from mlinfra_aws.kinds.images import image
from mlinfra_aws.kinds.registry import ARTIFACTS
from mlinfra_aws.kinds.rollout import alarms, deployment
from mlinfra_aws.kinds.scaling import scalers, scaling
from mlinfra_aws.kinds.variants import served, serving
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Endpoint

RETENTION: Final = 30
"""Days that logs are kept."""
TIMEOUT: Final = 60
"""Seconds that an answer may take, always."""
_MANAGED: Final = "AWS's own URL answers, to requests that are signed with credentials"


def lower(endpoint: Endpoint, lowering: Lowering) -> Outputs:
    """Role, models, configuration, alarms, endpoint, what scales it.

    Errors: DiagnosticError for a model that its registry does not declare, or a folder without one.
    """
    place = lowering.place
    called = name(place, lowering.component)
    _tell_unsupported(endpoint, lowering)
    env = roles.plain_env(lowering, endpoint.env, "let the server ask Secrets Manager, as its role may")
    keep = endpoint.capture.keep if endpoint.capture is not None and not opaque(endpoint.capture.keep) else None
    files = buckets.own(lowering, "files", expire=[(CAPTURES, keep)] if keep is not None else [])
    group = f"/aws/sagemaker/Endpoints/{called}"
    logs = lowering.resource(
        "aws.cloudwatch_log_group", "logs", {"name": group, "retention_in_days": RETENTION}, label="logs"
    )
    role = _role(endpoint, lowering, files, group)
    models = [served(key, variant, env, lowering, role, files) for key, variant in endpoint.variants.items()]
    config = configuration(endpoint, lowering, called, models, files)
    scales = scaling(endpoint, lowering, config.instance)
    # The blueprint's weights hold when it changes; so does the number of instances, unless something scales them.
    anew = ["DesiredWeight", "DataCaptureConfig", *([] if scales is not None else ["DesiredInstanceCount"])]
    fields: dict[str, Any] = {
        "name": called,
        "endpoint_config_name": config.handle.ref("name"),
        "exclude_retained_variant_properties": sorted(anew),
    }
    rolled_out = deployment(endpoint.rollout, lowering) if endpoint.rollout is not None else None
    if endpoint.rollout is not None and rolled_out is not None:
        watching = alarms(endpoint.rollout, lowering, called, [one.variant for one in config.answering])
        if watching:
            told = [{"alarm_name": alarm.ref("alarm_name")} for alarm in watching]
            rolled_out["auto_rollback_configuration"] = {"alarms": told}
        fields["deployment_config"] = rolled_out
    made = lowering.resource("aws.sagemaker_endpoint", "endpoint", fields, after=(logs.address,), label="endpoint")
    if scales is not None:
        scalers(scales, lowering, made, called, config)
    for one in models:
        lowering.headline(one.variant, one.version)
    lowering.share("endpoint", made)
    lowering.share("variants", tuple(endpoint.variants))
    outputs = {
        "url": f"https://runtime.sagemaker.{place.settings['region']}.amazonaws.com/endpoints/{made.ref('name')}"
    }
    if endpoint.capture is not None:
        lowering.share("capture", files)
        outputs["capture"] = f"s3://{files.ref('bucket')}/{CAPTURES}"
    return outputs


def _role(endpoint: Endpoint, lowering: Lowering, files: Handle, group: str) -> Handle:
    """What its containers have: their models to read, captures to write, their logs."""
    registries = {
        variant.model.component
        for variant in endpoint.variants.values()
        if not opaque(variant) and isinstance(variant.model, ModelRef)
    }
    models: list[roles.Statement] = []
    repositories: list[str | None] = []
    for registry in sorted(registries):
        bucket = lowering.shared(registry, ARTIFACTS)
        if isinstance(bucket, Handle):
            models += roles.reads(bucket)
        repositories.append(image(lowering, "serving", registry).repository)
    own = [*roles.writes(files, CAPTURES)] if endpoint.capture is not None else []
    if any(not opaque(one) and one.artifact is not None for one in endpoint.variants.values()):
        own += roles.reads(files, "models/")
        repositories.append(serving(lowering, next(iter(sorted(registries)), None)).repository)
    images: list[roles.Statement] = []
    for repository in dict.fromkeys(repositories):
        images += roles.pulls(repository)[0 if not images else 1 :]
    return roles.role(
        lowering,
        "server",
        {
            "models": models,
            "own": own,
            "data": roles.touches(lowering, dict(endpoint.env)),
            "image": images,
            "logs": [*roles.logs(lowering, group), *roles.metrics()],
        },
    )


def _tell_unsupported(endpoint: Endpoint, lowering: Lowering) -> None:
    given = endpoint.model_fields_set
    if endpoint.requirements:
        lowering.unsupported("requirements", "the image that serves must have them")
    for field in ("cache", "batching"):
        if getattr(endpoint, field) is not None:
            lowering.unsupported(field, "SageMaker has none; a server in the image may")
    for field in ("port", "sticky"):
        if getattr(endpoint, field) is not None:
            lowering.unsupported(field, _MANAGED)
    if endpoint.expose is not False:
        lowering.unsupported("expose", _MANAGED)
    if endpoint.auth is not None:
        lowering.unsupported("auth", f"{_MANAGED}, and the token is not asked for")
    if "timeout" in given and (opaque(endpoint.timeout) or endpoint.timeout != TIMEOUT):
        lowering.unsupported("timeout", f"an answer may take {TIMEOUT} s, always")
    if "health" in given and not opaque(endpoint.health):
        for field in ("every", "timeout", "failures"):
            if field in endpoint.health.model_fields_set:
                lowering.unsupported(f"health.{field}", "SageMaker asks /ping in its own rhythm")
        start = endpoint.health.start
        if opaque(start) or math.ceil(start) not in range(START[0], START[1] + 1):
            lowering.unsupported("health.start", f"a start may take {START[0]} to {START[1]} s")
