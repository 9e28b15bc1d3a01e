"""Statuses that take a while: moto's own `ManagedState`, with one number of looks for all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from moto.moto_api import state_manager
from moto.moto_api._internal.managed_state_model import ManagedState

MODELS: Final[set[str]] = set()
"""The names of all models of ours with such a status."""
_LOOKS: Final = {"number": 0}


def settle_after(looks: int) -> None:
    """Have every status change after so many looks; 0: at once."""
    _LOOKS["number"] = looks
    for model in {*MODELS, *state_manager.get_registered_models()}:
        state_manager.set_transition(model, _transition())


def _transition() -> dict[str, Any]:
    looks = _LOOKS["number"]
    return {"progression": "manual", "times": looks} if looks else {"progression": "immediate"}


class Progress(ManagedState):
    """A status that goes its way: ``Progress("sagemaker::Endpoint", "Creating", "InService")``. ``reason`` is why it ends so."""

    def __init__(self, model: str, *way: str, reason: str = "") -> None:
        if model not in MODELS:
            MODELS.add(model)
            state_manager.set_transition(model, _transition())
        super().__init__(model, transitions=list(pairwise(way)) or [(way[0], way[0])])
        self.reason = reason
        self._end = way[-1]

    def look(self) -> str:
        """The status as a caller sees it; a look brings it on."""
        shown = self.status or ""
        self.advance()
        return shown

    @property
    def settled(self) -> bool:
        """Whether it is at its end."""
        return self._status == self._end
