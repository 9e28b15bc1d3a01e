"""Kinds for tests of the loader: small, with a field of every shape, and links of every role."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, field_validator

from mlinfra.sdk.refs import Sensitive, has_token


@dataclass(frozen=True)
class ModelRef:
    component: str
    model: str
    alias: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Link:
    field: str
    component: str
    role: Literal["uses", "produces", "starts"]
    model: ModelRef | None = None


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="wrap")
    @classmethod
    def _tokens(cls, value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        return value if has_token(value) or isinstance(value, Sensitive) else handler(value)


class Kind(Part):
    kind: ClassVar[str]
    outputs: ClassVar[Mapping[str, str]] = {}

    def links(self) -> list[Link]:
        return []


def model_link(field: str, text: str, role: Literal["uses", "produces"]) -> Link:
    match = re.fullmatch(r"([\w.-]+)/([\w-]+)@([\w-]+)", text)
    assert match is not None
    return Link(field, match[1], role, ModelRef(match[1], match[2], match[3]))


class Storage(Kind):
    kind: ClassVar[str] = "storage"
    outputs: ClassVar[Mapping[str, str]] = {"url": "its URL", "path": "its folder"}

    versioning: bool = False
    encryption: Literal["kms", "none"] | None = None
    labels: dict[str, str] = {}
    note: str | None = None


class Declared(Part):
    aliases: list[str] = []


class Registry(Kind):
    kind: ClassVar[str] = "registry"
    outputs: ClassVar[Mapping[str, str]] = {"url": "tracking URI", "models": "versions"}

    models: dict[str, Declared] = {}


class Training(Kind):
    kind: ClassVar[str] = "training"
    outputs: ClassVar[Mapping[str, str]] = {"job": "its job", "experiment": "its experiment"}

    run: str
    requirements: list[str] = []
    env: dict[str, str] = {}
    cpu: float | None = Field(None, gt=0, le=64)
    produces: str | None = None

    @field_validator("requirements", mode="after")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        if "nothing" in value:
            raise ValueError("nothing cannot be installed")
        return value

    def links(self) -> list[Link]:
        return [model_link("produces", self.produces, "produces")] if self.produces else []


class Variant(Part):
    model: str
    weight: int = Field(100, ge=0)


class Endpoint(Kind):
    kind: ClassVar[str] = "endpoint"
    outputs: ClassVar[Mapping[str, str]] = {"url": "its URL"}

    variants: dict[str, Variant]
    replicas: int | str = 1

    def links(self) -> list[Link]:
        return [model_link(f"variants.{name}.model", variant.model, "uses") for name, variant in self.variants.items()]


class Monitor(Kind):
    kind: ClassVar[str] = "monitor"

    of: str
    threshold: float = 0.5
    reference: str | None = None
    then: str | None = None

    def links(self) -> list[Link]:
        found = [Link("of", self.of, "uses")]
        return [*found, Link("then", self.then, "starts")] if self.then else found


KINDS: dict[str, type[Kind]] = {model.kind: model for model in (Storage, Registry, Training, Endpoint, Monitor)}
