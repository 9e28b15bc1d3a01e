"""Kind ``training``: code that makes models, and what it runs with. Knows no provider."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from mlinfra.kinds.compute import Environment, LocalPath, Requirements, Resources
from mlinfra.kinds.kind import Kind, Link, OneOrMore, Open, Part, Switch, opaque
from mlinfra.kinds.units import Duration, FeatureStoreRef, ModelRef, RegistryRef


class Checkpoints(Part):
    """Where a run keeps what it needs to go on after it was cut off. It finds the folder in MLINFRA_CHECKPOINTS."""

    url: str | None = Field(
        None,
        min_length=1,
        description="Where they are kept: ${storage.lake.url}/checkpoints. Default: a volume of the training's own.",
    )
    keep: int | None = Field(None, ge=1, description="How many are kept at most. Default: all.")


class Training(Kind):
    """Code that makes models: run by `mlinfra run training.NAME`, by a monitor, or once when a dependent needs its model.

    It runs in its own environment with its requirements, in its source folder. It is told where to log by
    MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, and what to register its model as by MLINFRA_MODEL_NAME.

    ::

        training:
          fraud:
            source: training
            run: python train.py --trees 200
            requirements: [scikit-learn, pandas]
            env: { TRANSACTIONS: "${storage.lake.url}/transactions.parquet" }
            resources: { cpu: 2, memory: 4Gi }
            produces: registry.models/fraud@champion
            timeout: 1h
    """

    kind: ClassVar[str] = "training"
    outputs: ClassVar[Mapping[str, str]] = {
        "experiment": "the experiment that its runs are logged to",
        "job": "the address of its job",
    }

    run: list[Open[str]] = Field(
        min_length=1,
        json_schema_extra={"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        description="The command: a text, split at blanks as a shell does (no shell runs it), or a list of words.",
    )
    source: LocalPath = Field(
        ".", description="The folder with its code, below the blueprint's. Default: the blueprint's own."
    )
    requirements: Requirements = Field(
        [],
        description="Python packages, as pip writes them. Endpoints that serve the model get them too. Default: none.",
    )
    env: Environment = Field({}, description="Environment variables. Secrets belong to `secrets`.")
    secrets: Environment = Field(
        {},
        description="Secret values by name, each given as a file whose path is in the environment variable NAME_FILE: "
        "DB_PASSWORD: ${secret.db.value} is read from the file DB_PASSWORD_FILE.",
    )
    features: FeatureStoreRef | None = Field(
        None, description="The feature store it reads, which it finds in FEATURE_STORE_URL: feature_store.fraud."
    )
    inputs: Environment = Field(
        {},
        description="Data it reads, by name: a URL or path, found in the environment variable MLINFRA_INPUT_NAME. "
        "Components that an input refers to are there before it runs.",
    )
    produces: OneOrMore[Open[ModelRef]] = Field(
        [],
        description="The models that a run makes versions of, each with the alias that the new version gets: "
        "registry.models/fraud@champion, or a list. It runs once by itself if nothing holds the alias yet. Default: none.",
    )
    registry: RegistryRef | None = Field(
        None, description="The registry that its runs are logged to. Default: that of the first model it produces."
    )
    experiment: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="The experiment that runs are logged to. Default: the component's name.",
    )
    resources: Resources | None = Field(None, description="What a run may use. Default: no limit, or the usual size.")
    timeout: Duration | None = Field(None, description="How long a run may take: 1h. Default: no limit.")
    retries: int = Field(0, ge=0, le=100, description="How often a failed run is tried again. Default: 0.")
    spot: bool = Field(
        False,
        description="Whether a run may use cheaper capacity that can be taken away; use it with `checkpoints`. Default: false.",
    )
    checkpoints: Switch[Checkpoints] = Field(
        None, description="Where a run keeps what it needs to go on: `true`, or a mapping. Default: nowhere."
    )

    @field_validator("run", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return shlex.split(value)
        except ValueError:
            raise ValueError("a quote in the command is not closed") from None

    @field_validator("produces")
    @classmethod
    def _makes_versions(cls, value: list[ModelRef]) -> list[ModelRef]:
        known = [model for model in value if isinstance(model, ModelRef)]
        for model in known:
            if model.version is not None:
                raise ValueError(
                    f"a run makes a new version and cannot make version {model.version}: name an alias instead"
                )
            if known.count(model) > 1:
                raise ValueError(f"{model} stands in it twice")
        return value

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        both = sorted(set(self.env) & set(self.secrets)) if not opaque(self.env) and not opaque(self.secrets) else []
        if both:
            raise ValueError(f'{", ".join(both)} stands in "env" and in "secrets": keep it in one')
        return self

    def links(self) -> list[Link]:
        """The registries of what it produces and logs to, and the feature store it reads."""
        found: list[Link] = []
        if not opaque(self.produces):
            for number, model in enumerate(self.produces):
                if not opaque(model):
                    field = "produces" if len(self.produces) == 1 else f"produces.{number}"
                    found.append(Link(field, model.component, "produces", model))
        for field in ("registry", "features"):
            component = getattr(self, field)
            if component is not None and not opaque(component):
                found.append(Link(field, component, "uses"))
        return found
