"""Statuses that take a while: moto's own `ManagedState`, with one number of looks for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from moto.moto_api import state_manager
from moto.moto_api._internal.managed_state_model import ManagedState

MODELS: Final[set[str]] = set()
"""The names of all models with such a status, those of moto included."""


def settle_after(looks: int) -> None:
    """Have every status change after so many looks; 0: at once."""
    transition: dict[str, Any] = {"progression": "manual", "times": looks} if looks else {"progression": "immediate"}
    for model in {*MODELS, *state_manager.get_registered_models()}:
        state_manager.set_transition(model, transition)


class Progress(ManagedState):
    """A status that goes its way: ``Progress("sagemaker::endpoint", "Creating", "InService")``."""

    def __init__(self, model: str, *way: str) -> None:
        MODELS.add(model)
        super().__init__(model, transitions=list(pairwise(way)) or [(way[0], way[0])])

    def look(self) -> str:
        """The status as a caller sees it; a look brings it on."""
        shown = self.status or ""
        self.advance()
        return shown

    def go(self, *way: str) -> None:
        """Begin another way."""
        self._transitions = list(pairwise(way)) or [(way[0], way[0])]
        self._status, self._tick = way[0], 0
