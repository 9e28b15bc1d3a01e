"""The keys of an environment that this provider knows."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """``host`` names the engine: ``unix://…``, ``tcp://…`` or ``ssh://user@machine``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str | None = None
    images: dict[str, str] = {}
    """Images to use in the place of those that workloads name, such as ``{"python:3.11-slim": registry.example/python:3.11}``."""
