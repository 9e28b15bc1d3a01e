"""The recipe for kind ``registry``: a model package group a model, a bucket for their files, a repository for their images.

Its aliases are marks on approved versions (`sagemaker.model_alias`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.kind import opaque
from mlinfra.sdk.diagnostics import fail
from mlinfra.sdk.lowering import Handle, Lowering, Outputs
from mlinfra_aws.kinds import buckets
from mlinfra_aws.names import name

if TYPE_CHECKING:
    from mlinfra.kinds.registry import Registry

MODELS: Final = "models"
ARTIFACTS: Final = "artifacts"
IMAGES: Final = "images"
"""Under these names the recipe shares its models (name → `Declared`), the bucket and the repository."""
KEPT: Final = 20
"""How many images without a tag are kept."""
_SERVER: Final = "it has no server of its own: AWS's API is reached with credentials"


@dataclass(frozen=True, slots=True)
class Declared:
    """A model as the registry declares it: its group, that group's name, its aliases, and how a new version comes to one."""

    group: Handle
    name: str
    aliases: Mapping[str, Handle] = field(default_factory=dict)
    approval: str = "auto"


def lower(registry: Registry, lowering: Lowering) -> Outputs:
    """Groups, aliases, bucket and repository of one registry.

    Errors: DiagnosticError for names that only an apply could tell.
    """
    _tell_unsupported(registry, lowering)
    place = lowering.place
    bucket = buckets.own(lowering, ARTIFACTS)
    expired = {
        "rulePriority": 1,
        "description": "images that lost their tag",
        "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": KEPT},
        "action": {"type": "expire"},
    }
    repository = lowering.resource(
        "aws.ecr_repository",
        IMAGES,
        {
            "name": name(place, lowering.component, limit=200),
            "image_scanning_configuration": {"scan_on_push": True},
            "lifecycle_policy": {"rules": [expired]},
        },
        label="images",
    )
    shared: dict[str, Declared] = {}
    held: dict[str, dict[str, str]] = {}
    for called, model in registry.models.items():
        _known(f'The model "{called}"', model)
        _known(f'An alias of the model "{called}"', model.aliases, *model.aliases)
        group = name(place, lowering.component, called)
        declared = lowering.resource(
            "aws.sagemaker_model_package_group",
            called,
            {"model_package_group_name": group, "tags": dict(model.tags)},
            label=f"model {called}",
        )
        aliases = {
            alias: lowering.resource(
                "aws.sagemaker_model_alias",
                f"{called}@{alias}",
                {"model_package_group_name": group, "alias": alias},
                after=(declared.address,),
                label=f"{called}@{alias}" + (" (approved by a person)" if model.approval == "manual" else ""),
            )
            for alias in model.aliases
        }
        shared[called] = Declared(declared, group, aliases, str(model.approval))
        held[called] = {alias: handle.ref("version") for alias, handle in aliases.items()}
    lowering.share(MODELS, shared)
    lowering.share(ARTIFACTS, bucket)
    lowering.share(IMAGES, repository)
    return {"models": held}


def _tell_unsupported(registry: Registry, lowering: Lowering) -> None:
    for called, model in registry.models.items():
        if not opaque(model) and model.description != "":
            lowering.unsupported(
                f"models.{called}.description",
                "AWS can set it once only; to change it would mean to lose the versions",
            )
    for part, asked in (("port", registry.port is not None), ("expose", registry.expose is not False)):
        if asked:
            lowering.unsupported(part, _SERVER)
    if registry.resources is not None:
        lowering.unsupported("resources", _SERVER)


def _known(what: str, *values: Any) -> None:
    """Errors: DiagnosticError if one of the values can be told only by an apply: names must be known before."""
    if any(opaque(value) for value in values):
        raise fail(
            "value-not-known",
            "Value not known while planning",
            f"{what} comes from a value that only an apply can tell.",
            "Write it out, or take it from a variable.",
        )
