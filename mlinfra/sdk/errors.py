"""Errors a provider raises, bare: the engine adds the address and the action.

::

    ProviderError            anything that a resource cannot do; message says what, why and what to do
    ├── Unreachable          what holds the object cannot be asked now (its server is down): live is not known
    ├── NotOurs              an object of that name exists and somebody else made it
    └── Cancelled            the user interrupted a wait
"""

from __future__ import annotations


class ProviderError(Exception):
    """Something outside said no. ``remedy`` tells what to do; ``log`` holds the last lines of a log, where there is one."""

    def __init__(self, message: str, *, remedy: str = "", log: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy
        self.log = log


class Unreachable(ProviderError):
    """The service that holds the object does not answer, so whether it exists cannot be told."""


class NotOurs(ProviderError):
    """An object of that name exists and does not carry our ownership tags."""


class Cancelled(ProviderError):
    """A wait was ended by the user."""
