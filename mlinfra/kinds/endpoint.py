"""Kind ``endpoint``: models that answer requests. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from mlinfra.kinds.compute import Environment, LocalPath, PortNumber, Requirements, Resources
from mlinfra.kinds.kind import Kind, Link, Open, Part, Switch, opaque
from mlinfra.kinds.rollout import Rollout, Scale
from mlinfra.kinds.units import Duration, ModelRef

VariantName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]


class Variant(Part):
    """One model behind the endpoint, and its part of the requests."""

    model: ModelRef | None = Field(
        None,
        description="The model, by alias (registry.models/fraud@champion: follows the alias) or by version "
        "(registry.models/fraud:3). Either this or `artifact`.",
    )
    artifact: LocalPath | None = Field(
        None, description="A folder of the blueprint with a model in MLflow's format, for models outside a registry."
    )
    weight: int = Field(
        100,
        ge=0,
        le=1_000_000,
        description="Its part of the requests, relative to the other variants'. 0: none. Default: 100.",
    )
    shadow: bool = Field(
        False,
        description="Whether it gets a copy of each request while its answers are thrown away; its weight does not count. "
        "Default: false.",
    )

    @model_validator(mode="after")
    def _one_model(self) -> Self:
        if (self.model is None) == (self.artifact is None):
            raise ValueError('a variant needs exactly one of "model" and "artifact"')
        if isinstance(self.model, ModelRef) and self.model.alias is None and self.model.version is None:
            raise ValueError(f"say which version of {self.model} is served: {self.model}@ALIAS or {self.model}:VERSION")
        return self


class Health(Part):
    """How it is told whether a variant can answer. One that fails gets no requests until it answers again."""

    every: Duration = Field("5s", validate_default=True, description="How often each variant is asked. Default: 5s.")
    timeout: Duration = Field("2s", validate_default=True, description="How long an answer may take. Default: 2s.")
    failures: int = Field(3, ge=1, le=100, description="Failures in a row until it gets no requests. Default: 3.")
    start: Duration = Field("3m", validate_default=True, description="How long a start may take. Default: 3m.")


class Capture(Part):
    """Keeps what was asked and answered, which monitors look at."""

    sample: float = Field(1.0, ge=0, le=1, description="The share of requests that is kept, 0 to 1. Default: 1, all.")
    keep: Duration = Field("30d", validate_default=True, description="How long they are kept. Default: 30d.")


class Cache(Part):
    """Answers equal requests from memory."""

    ttl: Duration = Field("1m", validate_default=True, description="How long an answer is good. Default: 1m.")
    entries: int = Field(1024, ge=1, description="How many answers are kept at most. Default: 1024.")


class Batching(Part):
    """Answers requests that arrive together by one call of the model."""

    max_size: int = Field(64, ge=1, le=100_000, description="Rows in one call at most. Default: 64.")
    max_wait: Duration = Field(
        "10ms", validate_default=True, description="How long the first request waits for others. Default: 10ms."
    )


class Auth(Part):
    """Who may ask: requests carry the header ``Authorization: Bearer TOKEN``."""

    token: str = Field(min_length=1, description="The token, best of a secret: ${secret.api.value}.")


class Endpoint(Kind):
    """Models that answer requests at one stable URL: variants with weights, shadow copies, request capture, rollouts.

    It speaks MLflow's protocol (POST /invocations) and the Open Inference Protocol v2, and tells metrics at /metrics.

    ::

        endpoint:
          fraud:
            variants:
              champion:   { model: registry.models/fraud@champion, weight: 90 }
              challenger: { model: registry.models/fraud@challenger, weight: 10 }
            scale: { replicas: 1..4, target: { requests_per_second: 200 } }
            rollout: { canary: [10, 50, 100], bake: 10m }
            cache: { ttl: 30s }
    """

    kind: ClassVar[str] = "endpoint"
    outputs: ClassVar[Mapping[str, str]] = {
        "url": "its URL; predictions are at /invocations",
        "capture": "the folder of the captured requests, where the runtime has a path",
    }

    variants: dict[VariantName, Open[Variant]] = Field(
        min_length=1, description="The models that answer, by a name for each: champion, challenger."
    )
    requirements: Requirements = Field(
        [], description="Python packages that the models need. Default: those of the training that produces them."
    )
    env: Environment = Field({}, description="Environment variables of the servers.")
    resources: Resources | None = Field(
        None, description="What a replica may use. Default: no limit, or the usual size."
    )
    scale: Scale | None = Field(None, description="How many replicas of each variant run. Default: one.")
    rollout: Rollout | None = Field(
        None, description="How a new version takes over. Default: in one step, once it is loaded and answers."
    )
    health: Health = Field({}, validate_default=True, description="How it is told whether a variant can answer.")
    capture: Switch[Capture] = Field(
        {},
        validate_default=True,
        description="Whether requests and answers are kept for monitors: `true`, `false`, or a mapping. Default: all, for 30d.",
    )
    cache: Switch[Cache] = Field(
        None, description="Answers to equal requests from memory: `true`, or a mapping. Default: off."
    )
    batching: Switch[Batching] = Field(
        None, description="Requests that arrive together in one call of the model: `true`, or a mapping. Default: off."
    )
    sticky: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9-]{1,100}$",
        description="A request header whose value keeps a caller on one variant: X-User. Default: each request by weight alone.",
    )
    timeout: Duration = Field("60s", validate_default=True, description="How long an answer may take. Default: 60s.")
    port: PortNumber | None = Field(
        None, description="The port of its URL. Default: one that the runtime chooses and keeps."
    )
    expose: bool = Field(
        False,
        description="Whether other machines reach it. Default: only this machine, or the environment's own network.",
    )
    auth: Auth | None = Field(None, description="A token that each request must carry. Default: none.")

    @field_validator("variants")
    @classmethod
    def _someone_answers(cls, variants: dict[str, Variant]) -> dict[str, Variant]:
        if opaque(variants) or any(
            opaque(each) or opaque(each.weight) or opaque(each.shadow) for each in variants.values()
        ):
            return variants
        if all(each.shadow for each in variants.values()):
            raise ValueError("all variants are shadows, and nobody answers: one must not be a shadow")
        if sum(each.weight for each in variants.values() if not each.shadow) == 0:
            raise ValueError("the weights add up to 0, and nobody answers: give one variant a weight above 0")
        return variants

    def links(self) -> list[Link]:
        """The registries of the models it serves."""
        if opaque(self.variants):
            return []
        return [
            Link(f"variants.{name}.model", variant.model.component, "uses", variant.model)
            for name, variant in self.variants.items()
            if not opaque(variant) and isinstance(variant.model, ModelRef)
        ]
