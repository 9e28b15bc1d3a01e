"""The parts of a container's fields, in the forms that people write and in one form that compares. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from mlinfra.kinds.units import Duration


class Part(BaseModel):
    """A part of a field. Numbers may stand where text is meant, as in a blueprint's YAML."""

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)


def words(value: Any) -> Any:
    """A command line as its words."""
    return shlex.split(value) if isinstance(value, str) else value


Words = Annotated[list[str], BeforeValidator(words)]
"""A list of words, or one text that is split as a shell does; no shell runs."""


def pairs(value: Any) -> Any:
    """A map, also if it is written as a list of ``NAME=value``."""
    if isinstance(value, list) and all(isinstance(item, str) and "=" in item for item in value):
        return dict(item.split("=", 1) for item in value)
    if isinstance(value, Mapping):
        return {name: ("true" if text else "false") if isinstance(text, bool) else text for name, text in value.items()}
    return value


Pairs = Annotated[dict[str, str], BeforeValidator(pairs)]


class Binding(Part):
    """Where a port of the container is reached from outside it."""

    host_ip: str = "127.0.0.1"
    """The address; ``0.0.0.0`` for all of the machine's."""
    host_port: int | None = Field(None, ge=1, le=65535)
    """None: the engine chooses one at each start."""

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value is None:
            return {}
        if isinstance(value, str) and ":" in value:
            address, _, port = value.rpartition(":")
            return {"host_ip": address, "host_port": port or None}
        return {"host_port": value} if isinstance(value, int | str) else value


def port_keys(value: Any) -> Any:
    """Ports by ``80/tcp``; ``tcp`` may be left out. Also from a list as the docker command has it: ``8080:80``, ``80``."""
    if isinstance(value, list):
        value = {inside: outside or None for outside, _, inside in (str(item).rpartition(":") for item in value)}
    if not isinstance(value, Mapping):
        return value
    return {str(name) if "/" in str(name) else f"{name}/tcp": binding for name, binding in value.items()}


PortKey = Annotated[str, Field(pattern=r"^\d{1,5}/(tcp|udp|sctp)$")]
Ports = Annotated[dict[PortKey, Binding], BeforeValidator(port_keys)]


class Mount(Part):
    """A volume, or a folder of the engine's machine, in the container."""

    target: str
    """The path in the container."""
    source: str
    """The volume's name, or the folder's path on the engine's machine."""
    type: Literal["volume", "bind"] = "volume"
    read_only: bool = False

    @field_validator("target")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return absolute(value)


class Endpoint(Part):
    """The container on a network."""

    name: str
    """The network's name or id."""
    aliases: list[str] = []
    """Names by which other containers on it find this one, besides its own name."""
    ipv4_address: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("aliases")
    @classmethod
    def _sorted(cls, value: list[str]) -> list[str]:
        return sorted(set(value))


def endpoints(value: Any) -> Any:
    """Networks as a list, also if they are written as a map by name."""
    if isinstance(value, Mapping):
        return [{"name": name, **(endpoint or {})} for name, endpoint in value.items()]
    return value


class RestartPolicy(Part):
    """What the engine does when the container's program ends."""

    name: Literal["no", "always", "unless-stopped", "on-failure"] = "no"
    maximum_retry_count: int = Field(0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if value is False:
            return {"name": "no"}  # YAML 1.1 reads the bare word so
        return {"name": value} if isinstance(value, str) else value


class Healthcheck(Part):
    """How the engine asks the container whether it is well."""

    test: list[str]
    """A command for the container's shell, or a list: ``[CMD, program, argument …]``, ``[CMD-SHELL, text]``, ``[NONE]``."""
    interval: Duration | None = None
    timeout: Duration | None = None
    start_period: Duration | None = None
    retries: int | None = Field(None, ge=1)

    @field_validator("test", mode="before")
    @classmethod
    def _form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return ["CMD-SHELL", value]
        if isinstance(value, list) and value and value[0] not in ("CMD", "CMD-SHELL", "NONE"):
            return ["CMD", *value]
        return value


class FileText(Part):
    """A file that is put into the container before it starts."""

    content: str
    mode: str = Field("0644", pattern=r"^0[0-7]{3}$")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"content": value} if isinstance(value, str) else value

    @field_validator("mode", mode="before")
    @classmethod
    def _octal(cls, value: Any) -> Any:
        return f"0{value}" if len(str(value)) == 3 else value  # YAML 1.2 reads 0644 as the number 644


class LiveFile(FileText):
    """A file whose change the program notices by itself, or is told by a signal."""

    signal: str | None = Field(None, pattern=r"^SIG[A-Z0-9]+$")


def absolute(path: str) -> str:
    """A path in a container without a slash at its end.

    Errors: ValueError if it is relative or goes up.
    """
    pure = PurePosixPath(path)
    if not pure.is_absolute() or ".." in pure.parts or str(pure) == "/":
        raise ValueError("must be a path from the root of the container, without ..")
    return str(pure)


def paths(value: Mapping[str, Any]) -> dict[str, Any]:
    """A map by absolute paths."""
    return {absolute(path): item for path, item in value.items()}


def capability(names: Sequence[str]) -> list[str]:
    """Names of capabilities without ``CAP_``, in capitals."""
    return sorted({name.upper().removeprefix("CAP_") for name in names})
