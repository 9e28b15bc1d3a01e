"""Quantities and names as a blueprint writes them, and what they are in Python: durations, sizes, ranges, references.

Messages of errors are clauses that go on from the name of the key: ``must be …``. Knows no kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

_SECONDS: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+")
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])")
_SIZES: Final[Mapping[str, int]] = {
    "": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMGT]?|[KMGT]i)B?")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_RANGE: Final = re.compile(r"(\d{1,9})(?:\s*\.\.\s*(\d{1,9}))?")
_NAME: Final = r"[a-z][a-z0-9_-]{0,40}"
_COMPONENT: Final = re.compile(rf"[a-z][a-z0-9_]*\.{_NAME}")
MODEL_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
ALIAS: Final = r"[A-Za-z0-9_-]{1,63}"
_MODEL: Final = re.compile(
    rf"(?P<component>[a-z][a-z0-9_]*\.{_NAME})/(?P<model>{MODEL_NAME})(?:@(?P<alias>{ALIAS})|:(?P<version>\d{{1,9}}))?"
)
_RESERVED_ALIAS: Final = re.compile(r"latest|v\d+", re.IGNORECASE)


def parse_duration(value: Any) -> float:
    """Seconds of ``45s``, ``10m``, ``1h30m``, ``7d``, ``250ms``, or of a number, which are seconds.

    Errors: ValueError.
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    if isinstance(value, str):
        text = value.strip()
        if _NUMBER.fullmatch(text):
            return float(text)
        if _DURATION.fullmatch(text):
            parts = _DURATION_PART.findall(text)
            units = [list(_SECONDS).index(unit) for _, unit in parts]
            if units == sorted(set(units), reverse=True):
                return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))
    raise ValueError("must be a duration such as 45s, 10m, 1h30m or 7d, or a number of seconds")


def parse_bytes(value: Any) -> int:
    """Bytes of ``4Gi``, ``512Mi`` (powers of 1024), ``2G`` (powers of 1000), or of a number, which are bytes.

    Errors: ValueError.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    found = round(float(match[1]) * _SIZES[match[2]]) if match else 0
    if found <= 0:
        raise ValueError("must be a size such as 512Mi or 4Gi, or a number of bytes")
    return found


def parse_cpu(value: Any) -> float:
    """CPUs of ``500m`` (thousandths), ``"1.5"`` or a number.

    Errors: ValueError.
    """
    found = 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
    elif isinstance(value, str):
        text = value.strip()
        scale = 0.001 if text.endswith("m") else 1.0
        found = float(text.removesuffix("m")) * scale if _NUMBER.fullmatch(text.removesuffix("m")) else 0.0
    if not 0 < found < float("inf"):
        raise ValueError("must be a number of CPUs such as 2, 0.5 or 500m")
    return found


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^(\d+(\.\d+)?|{_DURATION.pattern})$"},
                {"type": "number", "minimum": 0},
            ],
            "examples": ["45s", "10m", "1h30m", "7d"],
        }
    ),
]
"""Seconds. Written as ``45s``, ``10m``, ``1h30m``, ``7d`` (units w d h m s ms, largest first) or a number of seconds."""

Bytes = Annotated[
    int,
    BeforeValidator(parse_bytes),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": rf"^{_SIZE.pattern}$"}, {"type": "integer", "exclusiveMinimum": 0}],
            "examples": ["512Mi", "4Gi"],
        }
    ),
]
"""Bytes. Written as ``512Mi``, ``4Gi`` (powers of 1024), ``2G`` (powers of 1000) or a number of bytes."""

Cpu = Annotated[
    float,
    BeforeValidator(parse_cpu),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": r"^\d+(\.\d+)?m?$"}, {"type": "number", "exclusiveMinimum": 0}],
            "examples": [2, 0.5, "500m"],
        }
    ),
]
"""CPUs. Written as ``2``, ``0.5`` or ``500m`` (thousandths)."""


class _Written:
    """A value object that a blueprint writes as text. Subclasses give `parse`, ``__str__`` and the JSON schema."""

    __slots__ = ()

    @classmethod
    def parse(cls, value: Any) -> Self:
        """The object that a text means. Errors: ValueError."""
        raise NotImplementedError

    @classmethod
    def _json_schema(cls) -> dict[str, Any]:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Opaque texts stand in its place, so it is not for certain an object when it is written out.
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return cls._json_schema()


@dataclass(frozen=True, slots=True)
class Range(_Written):
    """A range of whole numbers, both ends included. Written as ``1..4``, or ``2`` for just that."""

    low: int
    high: int

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Errors: ValueError."""
        if isinstance(value, cls):
            return value
        text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
        match = _RANGE.fullmatch(text)
        if match is None:
            raise ValueError("must be a range such as 1..4, or a whole number")
        low, high = int(match[1]), int(match[2] or match[1])
        if low > high:
            raise ValueError(f"the range {text} begins above its end: write {high}..{low}")
        return cls(low, high)

    @classmethod
    def _json_schema(cls) -> dict[str, Any]:
        texts = {"type": "string", "pattern": rf"^{_RANGE.pattern}$"}
        return {"anyOf": [texts, {"type": "integer", "minimum": 0}], "examples": ["1..4", 2]}

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}..{self.high}"


@dataclass(frozen=True, slots=True)
class ModelRef(_Written):
    """A model in a registry: ``registry.models/fraud@champion`` by alias, ``registry.models/fraud:3`` by version, or
    ``registry.models/fraud`` for the model as such."""

    component: str
    """The registry's address."""
    model: str
    alias: str | None = None
    version: int | None = None

    @classmethod
    def parse(cls, value: Any) -> Self:
        """Errors: ValueError."""
        if isinstance(value, cls):
            return value
        match = _MODEL.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError("must be a model such as registry.NAME/MODEL@ALIAS or registry.NAME/MODEL:VERSION")
        if not match["component"].startswith("registry."):
            raise ValueError(
                f"models are kept by a registry, and {match['component']} is none: write registry.NAME/MODEL@ALIAS"
            )
        if match["alias"]:
            check_alias(match["alias"])
        return cls(
            match["component"], match["model"], match["alias"], int(match["version"]) if match["version"] else None
        )

    @classmethod
    def _json_schema(cls) -> dict[str, Any]:
        pattern = rf"^registry\.{_NAME}/{MODEL_NAME}(@{ALIAS}|:\d{{1,9}})?$"
        return {"type": "string", "pattern": pattern, "examples": ["registry.models/fraud@champion"]}

    def __str__(self) -> str:
        end = f"@{self.alias}" if self.alias else f":{self.version}" if self.version is not None else ""
        return f"{self.component}/{self.model}{end}"


def check_alias(alias: str) -> str:
    """The alias. MLflow refuses ``latest`` and ``v1``: it reads them as versions (mlflow.utils.validation).

    Errors: ValueError.
    """
    if not re.fullmatch(ALIAS, alias):
        raise ValueError("must be an alias of letters, digits, - and _, 63 characters at most")
    if _RESERVED_ALIAS.fullmatch(alias):
        raise ValueError(f'the alias "{alias}" would be read as a version: choose a word such as champion')
    return alias


def check_component(kind: str = "") -> Any:
    """A check of addresses of components, of one kind if ``kind`` is given; its errors are ValueErrors."""

    def check(value: str) -> str:
        if not _COMPONENT.fullmatch(value):
            raise ValueError(f"must be the address of a component such as {kind or 'endpoint'}.NAME")
        if kind and not value.startswith(f"{kind}."):
            raise ValueError(f"{value.partition('.')[0]} is the wrong kind here: write {kind}.NAME")
        return value

    return check


def _component_schema(kind: str) -> WithJsonSchema:
    pattern = rf"^{kind}\.{_NAME}$" if kind else rf"^[a-z][a-z0-9_]*\.{_NAME}$"
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": [f"{kind or 'endpoint'}.fraud"]})


ComponentRef = Annotated[str, AfterValidator(check_component()), _component_schema("")]
"""The address of a component: ``endpoint.fraud``."""
EndpointRef = Annotated[str, AfterValidator(check_component("endpoint")), _component_schema("endpoint")]
"""The address of an endpoint: ``endpoint.fraud``."""
TrainingRef = Annotated[str, AfterValidator(check_component("training")), _component_schema("training")]
"""The address of a training: ``training.fraud``."""
RegistryRef = Annotated[str, AfterValidator(check_component("registry")), _component_schema("registry")]
"""The address of a registry: ``registry.models``."""
FeatureStoreRef = Annotated[str, AfterValidator(check_component("feature_store")), _component_schema("feature_store")]
"""The address of a feature store: ``feature_store.fraud``."""
