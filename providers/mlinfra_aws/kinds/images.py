"""Which image a component runs: the environment's setting, or one that is pushed to the registry's own repository. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mlinfra.sdk.lowering import Handle, Lowering
from mlinfra_aws.kinds.registry import IMAGES
from mlinfra_aws.names import name


@dataclass(frozen=True, slots=True)
class Image:
    """What containers are made of: its URI (with tokens), and the ARN of the repository if that is ours."""

    uri: str
    repository: str | None


def image(lowering: Lowering, purpose: Literal["training", "serving"], registry: str | None) -> Image:
    """The image for a purpose: ``images.training`` of the environment, or the tag ``training`` of the repository of ``registry``;
    without a registry, of a repository of the component's own."""
    setting: Any = (lowering.place.settings.get("images") or {}).get(purpose)
    if setting:
        return Image(str(setting), None)
    repository = lowering.shared(registry, IMAGES) if registry is not None else None
    if not isinstance(repository, Handle):
        repository = lowering.resource(
            "aws.ecr_repository",
            IMAGES,
            {
                "name": name(lowering.place, lowering.component, limit=200),
                "image_scanning_configuration": {"scan_on_push": True},
            },
            label="images",
        )
    return Image(f"{repository.ref('repository_url')}:{purpose}", repository.ref("arn"))
