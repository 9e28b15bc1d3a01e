"""How many replicas of something run, and how a new version of it takes over. Part of kind ``endpoint``."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from mlinfra.kinds.kind import Open, Part, opaque
from mlinfra.kinds.units import Duration, Range

Percent = Annotated[int, Field(ge=1, le=100)]


class ScaleTarget(Part):
    """What the number of replicas follows; of several, the one that wants most. At least one."""

    requests_per_second: float | None = Field(None, gt=0, description="Requests a second and replica: 200.")
    concurrency: float | None = Field(None, gt=0, description="Requests that a replica works on at a time: 4.")
    cpu: float | None = Field(None, gt=0, le=100, description="Use of a replica's CPU in percent: 70.")
    gpu: float | None = Field(None, gt=0, le=100, description="Use of a replica's GPU in percent: 80.")

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if all(getattr(self, name) is None for name in type(self).model_fields):
            raise ValueError(f"a target needs at least one of: {', '.join(type(self).model_fields)}")
        return self


class Scale(Part):
    """How many replicas of each variant run."""

    replicas: Range = Field(
        1,
        validate_default=True,
        description="Their number: 2, or a range such as 1..4 (0..4: none while idle). Default: 1.",
    )
    target: ScaleTarget | None = Field(None, description="What their number follows within the range. Needs a range.")
    cooldown: Duration = Field(
        "5m", validate_default=True, description="How long the load must stay low before replicas go. Default: 5m."
    )

    @model_validator(mode="after")
    def _room_to_scale(self) -> Self:
        if opaque(self.replicas):
            return self
        if self.replicas.high == 0:
            raise ValueError('"replicas" must allow at least one: 0..4')
        if self.target is not None and self.replicas.low == self.replicas.high:
            raise ValueError(
                f'"target" needs a range of replicas to choose from: replicas: {self.replicas}..{self.replicas.high + 3}'
            )
        if self.target is None and self.replicas.low != self.replicas.high:
            raise ValueError(
                f'nothing says how many of {self.replicas} replicas run: add a "target", or write one number'
            )
        return self


class Rollback(Part):
    """What ends a rollout: the old version answers all requests again. At least one."""

    error_rate: float | None = Field(
        None, gt=0, le=1, description="Share of failed requests of the new version, 0 to 1: 0.02."
    )
    latency: Duration | None = Field(
        None, description="Time within which 95 % of the new version's answers must come: 500ms."
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> Self:
        if self.error_rate is None and self.latency is None:
            raise ValueError('say what ends the rollout: "error_rate", "latency", or both')
        return self


class Rollout(Part):
    """How a new version of a model takes over: step by step, watched after each."""

    canary: list[Open[Percent]] = Field(
        [100],
        min_length=1,
        max_length=20,
        description="The new version's share of the requests in percent, step by step: [10, 50, 100]. Default: all at once.",
    )
    bake: Duration = Field("5m", validate_default=True, description="How long each step is watched. Default: 5m.")
    rollback: Rollback | None = Field(
        None,
        description="What ends the rollout. Default: only that the new version does not start or fails its health checks.",
    )

    @field_validator("canary")
    @classmethod
    def _rises_to_all(cls, steps: list[int]) -> list[int]:
        if opaque(steps) or any(opaque(step) for step in steps):
            return steps
        if any(later <= earlier for earlier, later in pairwise(steps)):
            raise ValueError(f"the steps must rise: {sorted(set(steps))}")
        if steps[-1] != 100:
            raise ValueError(f"the last step must be 100: {[*steps, 100]}")
        return steps
