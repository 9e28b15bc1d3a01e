"""Kind ``registry``: versions of models and the names they go by. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, field_validator

from mlinfra.kinds.compute import PortNumber, Resources
from mlinfra.kinds.kind import Kind, Open, Part, opaque
from mlinfra.kinds.units import ALIAS, MODEL_NAME, check_alias

Alias = Annotated[str, AfterValidator(check_alias), Field(json_schema_extra={"pattern": f"^{ALIAS}$"})]


class RegisteredModel(Part):
    """A model of which the registry keeps versions."""

    aliases: list[Open[Alias]] = Field(
        [],
        description="Names for one version each, such as champion and challenger. Endpoints and trainings name models by them: "
        "registry.NAME/MODEL@ALIAS. Which version an alias stands for is decided by a training that produces it, or by a person.",
    )
    description: str = Field("", description="What the model is for.")
    tags: dict[str, Open[str]] = Field({}, description="Tags of the model: owner, team, licence.")
    approval: Literal["auto", "manual"] = Field(
        "auto",
        description="Whether a new version takes over the alias it was made for by itself (`auto`) or only when a person moves the "
        "alias (`manual`). Default: auto.",
    )

    @field_validator("aliases")
    @classmethod
    def _once(cls, aliases: list[str]) -> list[str]:
        plain = [] if opaque(aliases) else [alias for alias in aliases if not opaque(alias)]
        twice = sorted({alias for alias in plain if plain.count(alias) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in it twice")
        return aliases


class Registry(Kind):
    """A model registry with experiment tracking: versions of models, the aliases they go by, the runs that made them.

    Trainings log to it, endpoints serve from it.

    ::

        registry:
          models:
            models:
              fraud:
                aliases: [champion, challenger]
                approval: manual
                description: Is this card payment fraud?
    """

    kind: ClassVar[str] = "registry"
    outputs: ClassVar[Mapping[str, str]] = {
        "url": "MLflow's tracking URI",
        "models": "the version each alias stands for: ${registry.NAME.models.MODEL.ALIAS}",
    }

    models: dict[Annotated[str, StringConstraints(pattern=f"^{MODEL_NAME}$")], Open[RegisteredModel]] = Field(
        {}, description="The models, by name: letters, digits, dots, - and _, 63 characters at most."
    )
    port: PortNumber | None = Field(
        None, description="The port of its server. Default: one that the runtime chooses and keeps."
    )
    expose: bool = Field(
        False,
        description="Whether other machines reach it. Default: only this machine, or the environment's own network.",
    )
    resources: Resources | None = Field(None, description="What its server may use. Default: the tool's usual size.")
