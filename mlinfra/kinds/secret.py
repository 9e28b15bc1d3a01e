"""Kind ``secret``: a value that nobody is to see. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from mlinfra.kinds.compute import LocalPath
from mlinfra.kinds.kind import Kind, Part, Switch


class Generate(Part):
    """A random value, made once and kept."""

    length: int = Field(32, ge=8, le=1024, description="Number of characters. Default: 32.")
    characters: Literal["letters", "hex", "printable"] = Field(
        "letters",
        description="What it is made of: `letters` (small and capital letters and digits), `hex` (0-9, a-f) or `printable` "
        "(with punctuation that is safe in quotes). Default: letters.",
    )


class Secret(Kind):
    """A password, token or key: generated, or taken from the environment of the command line or from a file.

    Its value never stands in the state, a plan, a log or on the screen. Components take it as ``${secret.NAME.value}``.

    ::

        secret:
          api_token: { generate: { length: 40 } }
          slack:     { env: SLACK_WEBHOOK }
          licence:   { file: secrets/licence.txt }
    """

    kind: ClassVar[str] = "secret"
    outputs: ClassVar[Mapping[str, str]] = {
        "value": "the secret itself; what it is put into is secret as well",
        "path": "the file that holds it, where the runtime has one",
    }

    generate: Switch[Generate] = Field(
        None,
        description="Make a random value once and keep it: `generate: true`, or a mapping. One of the three sources.",
    )
    env: str | None = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="The environment variable of the command line that has the value. One of the three sources.",
    )
    file: LocalPath | None = Field(
        None,
        description="A file in the blueprint's folder that has the value; a line break at its end is left out. Keep it out of "
        "version control. One of the three sources.",
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in ("generate", "env", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            told = f"it has {' and '.join(given)}" if given else "it has none"
            raise ValueError(f'a secret needs exactly one of "generate", "env" and "file", and {told}')
        return self
