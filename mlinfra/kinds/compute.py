"""What kinds that run something have in common: resources, commands, requirements, environment variables, folders.

Says what is wanted, never how a runtime does it.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from mlinfra.kinds.kind import Open, Part
from mlinfra.kinds.units import Bytes, Cpu

_REQUIREMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\[\]]*\])?\s*([<>=!~;@(].*)?")


class Resources(Part):
    """What something that runs may use: CPU, memory and GPUs, or an instance type that stands for them.

    Without it there is no limit where the environment has none, and its smallest usual size elsewhere.
    """

    cpu: Cpu | None = Field(None, description="CPUs: 2, 0.5 or 500m (thousandths). Default: no limit.")
    memory: Bytes | None = Field(None, description="Memory: 512Mi, 4Gi, or a number of bytes. Default: no limit.")
    gpu: int | None = Field(None, ge=0, le=64, description="Number of GPUs. Default: none.")
    instance: str | None = Field(
        None,
        min_length=1,
        description="An instance type as the environment's provider names it, in the place of cpu, memory and gpu. Best set "
        "by a variable that each environment gives its value.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        sizes = [name for name in ("cpu", "memory", "gpu") if getattr(self, name) is not None]
        if self.instance is not None and sizes:
            raise ValueError(f'"instance" already says how large it is: remove it, or remove {" and ".join(sizes)}')
        return self


def check_folder(text: str) -> str:
    """A path within the blueprint's folder, without ``./`` and ``..``.

    Errors: ValueError.
    """
    path = posixpath.normpath(text.replace("\\", "/"))
    if not text.strip() or "\0" in text:
        raise ValueError("must be a path within the blueprint's folder")
    if path.startswith(("/", "~")) or re.match(r"[A-Za-z]:", path):
        raise ValueError("must be a path relative to the blueprint's folder")
    if path == ".." or path.startswith("../"):
        raise ValueError("must be a path that stays within the blueprint's folder")
    return path


LocalPath = Annotated[str, AfterValidator(check_folder)]
"""A path relative to the blueprint's folder that does not leave it."""


def _check_requirement(text: str) -> str:
    if not _REQUIREMENT.fullmatch(text.strip()):
        raise ValueError("must be a requirement as pip writes it, such as scikit-learn>=1.5")
    return text.strip()


Requirements = list[Open[Annotated[str, AfterValidator(_check_requirement)]]]
"""Python packages as pip writes them: ``pandas``, ``scikit-learn>=1.5``. Options of pip are not among them."""


def _as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


Environment = dict[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")],
    Open[Annotated[str, BeforeValidator(_as_text)]],
]
"""Environment variables; numbers, true and false become text."""

PortNumber = Annotated[int, Field(ge=1, le=65535)]
