"""The recipe for kind ``endpoint``: a model a variant, a content-named configuration, the endpoint, its log group and bucket.

What changes by the blueprint makes another configuration beside the old one, which goes once the endpoint runs the new one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.kinds.units import ModelRef
from mlinfra.sdk.diagnostics import did_you_mean, fail
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra.sdk.refs import expression
from mlinfra_aws.kinds import buckets, roles
from mlinfra_aws.kinds.images import Image, image
from mlinfra_aws.kinds.instances import instance
from mlinfra_aws.kinds.registry import ARTIFACTS, MODELS, Declared
from mlinfra_aws.kinds.rollout import deployment
from mlinfra_aws.names import name
from mlinfra_aws.s3_objects import walk
from mlinfra_aws.sagemaker.endpoint_config import content_name

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Endpoint, Variant

CAPTURES: Final = "captures/"
RETENTION: Final = 30
"""Days that logs are kept."""
START: Final = (60, 3600)
"""Seconds that AWS lets a start take, at least and at most."""
ROOM: Final = 63
"""Characters of a name."""
VERSION: Final = 6
"""Of them kept free for a version: -v1234."""
TIMEOUT: Final = 60
"""Seconds that an answer may take, always."""
_MANAGED: Final = "AWS's own URL answers, to requests that are signed with credentials"


@dataclass(frozen=True, slots=True)
class Served:
    """A variant with its model: the model's resource, that one's name (with tokens), and the version (a token, or text)."""

    variant: str
    spec: Variant
    model: Handle
    name: str
    version: str
    follows: bool
    """Whether an alias decides the version."""


def lower(endpoint: Endpoint, lowering: Lowering) -> Outputs:
    """Role, models, configuration, endpoint.

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
    served = [_served(key, variant, env, lowering, role, files) for key, variant in endpoint.variants.items()]
    config = _configuration(endpoint, lowering, called, served, files)
    fields: dict[str, Any] = {
        "name": called,
        "endpoint_config_name": config.ref("name"),
        # The blueprint's weights hold when it changes, and the number of instances where nothing scales them.
        "exclude_retained_variant_properties": ["DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"],
    }
    rolled_out = deployment(endpoint.rollout, lowering) if endpoint.rollout is not None else None
    if rolled_out is not None:
        fields["deployment_config"] = rolled_out
    made = lowering.resource("aws.sagemaker_endpoint", "endpoint", fields, after=(logs.address,), label="endpoint")
    for one in served:
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


# -- models -----------------------------------------------------------------------------------------------------------------


def _served(
    called: str, variant: Variant, env: Mapping[str, str], lowering: Lowering, role: Handle, files: Handle
) -> Served:
    """The model of a variant."""
    if opaque(variant):
        raise _refused(f'The variant "{called}" comes from a value that only an apply can tell.', "Write it out.")
    follows = False
    after: tuple[str, ...] = ()
    if variant.artifact is not None:
        version, container, after = _packed(called, variant.artifact, lowering, files)
    elif isinstance(variant.model, ModelRef):
        package, version, follows = _registered(called, variant.model, lowering)
        container = {"model_package_name": package}
    else:
        raise _refused(
            f"Which model {called} serves is known only after an apply.",
            "Write it as a text: registry.NAME/MODEL@ALIAS.",
        )
    if env:
        container["environment"] = dict(env)
    base = name(lowering.place, lowering.component, called)
    told = content_name(base[: ROOM - 9 - VERSION], container)
    full = f"{told}-v{version}" if follows else told
    model = lowering.resource(
        "aws.sagemaker_model",
        f"{called}-{told.rpartition('-')[2]}",
        {"name": full, "execution_role_arn": role.ref("arn"), "primary_container": container},
        after=after,
        label=f"{called} model",
    )
    return Served(called, variant, model, model.ref("name"), version, follows)


def _registered(called: str, model: ModelRef, lowering: Lowering) -> tuple[str, str, bool]:
    """A version of a registry: its ARN, the version, and whether an alias decides it."""
    declared: Mapping[str, Declared] = lowering.shared(model.component, MODELS) or {}
    if model.model not in declared:
        raise _refused(
            f'{model.component} has no model "{model.model}".{did_you_mean(model.model, declared)}',
            f"It declares: {', '.join(sorted(declared)) or 'none'}. Add it, or correct the variant {called}.",
        )
    found = declared[model.model]
    if model.version is not None:
        told = expression(
            "group.replace(':model-package-group/', ':model-package/') ~ '/' ~ version",
            {"group": found.group.ref("arn"), "version": str(model.version)},
        )
        return told, str(model.version), False
    alias = found.aliases.get(model.alias or "")
    if alias is None:
        raise _refused(
            f'{model.component}/{model.model} has no alias "{model.alias}".{did_you_mean(str(model.alias), found.aliases)}',
            f"It declares: {', '.join(sorted(found.aliases)) or 'none'}. Add it, or correct the variant {called}.",
        )
    return alias.ref("model_package_arn"), alias.ref("version"), True


def _packed(
    called: str, artifact: str, lowering: Lowering, files: Handle
) -> tuple[str, dict[str, Any], tuple[str, ...]]:
    """A folder of the blueprint, put into the bucket under a digest of its files: that is its version."""
    folder = Path(lowering.place.root) / artifact
    if not (folder / "MLmodel").is_file():
        raise _refused(
            f'"{artifact}" is no model in MLflow\'s format: it has no file MLmodel.',
            f"Save the model there, or correct the path. It is looked for at {folder}.",
        )
    whole = hashlib.sha256()
    for path in walk(folder):
        whole.update(f"{path.relative_to(folder)}\0".encode())
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    version = whole.hexdigest()[:12]
    prefix = f"models/{called}/{version}/"
    put = lowering.resource(
        "aws.s3_objects",
        f"{called}-{version}",
        {"bucket": files.ref("bucket"), "prefix": prefix, "source": artifact},
        label=f"{called} files",
    )
    source = {
        "s3_uri": f"s3://{files.ref('bucket')}/{prefix}",
        "s3_data_type": "S3Prefix",
        "compression_type": "None",
    }
    runs = _serving(lowering, None)
    return version, {"image": runs.uri, "model_data_source": {"s3_data_source": source}}, (put.address,)


def _serving(lowering: Lowering, registry: str | None) -> Image:
    """The image of variants that no registry names one for: one for all of them."""
    for offered in lowering.offers(f"serving:{lowering.component}"):
        found: Image = offered
        return found
    made = image(lowering, "serving", registry)
    lowering.share(f"serving:{lowering.component}", made)
    return made


# -- configuration ----------------------------------------------------------------------------------------------------------


def _configuration(endpoint: Endpoint, lowering: Lowering, called: str, served: list[Served], files: Handle) -> Handle:
    """What the endpoint runs. Its name changes with all that is in it, since it never changes itself."""
    answering = [one for one in served if not _shadow(one)]
    copied = [one for one in served if _shadow(one)]
    if copied and (len(answering) > 1 or len(copied) > 1):
        for one in copied:
            lowering.unsupported(
                f"variants.{one.variant}.shadow", "AWS copies the requests of one variant to one other"
            )
        copied = []
    runs_on, count = instance(endpoint.resources, lowering), _count(endpoint)
    start = None if opaque(endpoint.health.start) else int(min(max(endpoint.health.start, START[0]), START[1]))

    def variant(one: Served, weight: float) -> dict[str, Any]:
        found: dict[str, Any] = {
            "variant_name": _variant_name(one.variant),
            "model_name": one.name,
            "instance_type": runs_on,
            "initial_instance_count": count,
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
    return lowering.resource(
        "aws.sagemaker_endpoint_configuration",
        told.rpartition("-")[2],
        {"name": f"{told}{versions}", **content},
        label="endpoint configuration",
    )


def _shadow(one: Served) -> bool:
    return one.spec.shadow is True


def _variant_name(called: str) -> str:
    """Letters, digits and hyphens."""
    return called.replace("_", "-").strip("-")


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


def _count(endpoint: Endpoint) -> int:
    """How many instances a variant begins with."""
    if endpoint.scale is None or opaque(endpoint.scale) or opaque(endpoint.scale.replicas):
        return 1
    return max(1, endpoint.scale.replicas.low)


# -- the rest ---------------------------------------------------------------------------------------------------------------


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
        repositories.append(_serving(lowering, next(iter(sorted(registries)), None)).repository)
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
    scale = endpoint.scale
    if scale is not None and (opaque(scale) or opaque(scale.replicas)):
        lowering.unsupported("scale.replicas", "it must be known when it is planned: one instance runs")
    elif scale is not None:
        if scale.replicas.low == 0:
            lowering.unsupported("scale.replicas", "one instance of each variant runs always")
        if scale.target is not None:
            lowering.unsupported(
                "scale.target", f"nothing scales yet: {_count(endpoint)} of {scale.replicas} instances run"
            )


def _refused(detail: str, remedy: str) -> Exception:
    return fail("model-unknown", "Model cannot be found", detail, remedy)
