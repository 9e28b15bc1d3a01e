"""The models of an endpoint's variants: versions of a registry, or folders of the blueprint in MLflow's format."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.kinds.units import ModelRef
from mlinfra.sdk.diagnostics import did_you_mean, fail
from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra.sdk.refs import expression
from mlinfra_aws.kinds.images import Image, image
from mlinfra_aws.kinds.registry import MODELS, Declared
from mlinfra_aws.names import name
from mlinfra_aws.s3_objects import walk
from mlinfra_aws.sagemaker.endpoint_config import content_name

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Variant

ROOM: Final = 63
"""Characters of a name."""
VERSION: Final = 6
"""Of them kept free for a version: -v1234."""


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


def served(
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
    runs = serving(lowering, None)
    return version, {"image": runs.uri, "model_data_source": {"s3_data_source": source}}, (put.address,)


def serving(lowering: Lowering, registry: str | None) -> Image:
    """The image of variants that no registry names one for: one for all of them."""
    for offered in lowering.offers(f"serving:{lowering.component}"):
        found: Image = offered
        return found
    made = image(lowering, "serving", registry)
    lowering.share(f"serving:{lowering.component}", made)
    return made


def shadow(one: Served) -> bool:
    """Whether it gets copies of requests only."""
    return one.spec.shadow is True


def variant_name(called: str) -> str:
    """Letters, digits and hyphens."""
    return called.replace("_", "-").strip("-")


def _refused(detail: str, remedy: str) -> Exception:
    return fail("model-unknown", "Model cannot be found", detail, remedy)
