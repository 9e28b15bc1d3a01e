"""`Resource`: the base of every resource type, and what its functions are given.

A resource type is a frozen pydantic model: its fields are what a blueprint or a recipe sets, plus computed ones that
the provider tells. Its functions each do one thing to the world and raise `mlinfra.sdk.errors`. The smallest useful type
sets ``type`` and implements ``read``, ``create`` and ``delete``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from mlinfra.sdk.errors import Cancelled, Unreachable

Fields = dict[str, Any]
"""The fields of one resource: JSON values; secrets as `Sensitive`."""


@dataclass(frozen=True, slots=True)
class Known:
    """A resource that the state holds: where it stands, its provider id, and the fields it had when last applied or read."""

    address: str
    id: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Created:
    """What a create gives: the provider id, and the live fields if the call told all of them (else they are read)."""

    id: str
    fields: Fields | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field that differs. ``old`` is what is there, ``new`` what the blueprint wants."""

    path: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Status:
    """How a resource does right now, for `mlinfra status`."""

    state: Literal["running", "stopped", "failed", "ready", "unknown"]
    detail: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run of a job ended. ``outputs`` are JSON values for the screen; ``log`` is the file with everything it printed."""

    succeeded: bool
    detail: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    log: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """What a function that changes something is told besides the fields.

    ``owner`` are the tags every object must carry that can (``mlinfra:blueprint``, ``mlinfra:environment``,
    ``mlinfra:address``). ``token`` is the same for the same step of the same plan: a client token for idempotent calls.
    ``work`` is this environment's folder for files of the provider. ``say`` reports progress, one short line a call.
    ``adopt`` allows taking over an object that is not ours.
    """

    address: str
    owner: Mapping[str, str]
    token: str
    work: Path
    say: Callable[[str], None] = lambda text: None
    adopt: bool = False
    cancelled: threading.Event = field(default_factory=threading.Event)

    def wait(self, seconds: float) -> None:
        """Sleep that an interrupt ends.

        Errors: Cancelled.
        """
        if self.cancelled.wait(seconds):
            raise Cancelled("interrupted while waiting")


class Resource(BaseModel):
    """One live thing that a provider manages. Subclasses are resource types.

    ``client`` is what the provider's ``connect`` returned. A function must be safe to call from several threads.
    Field values reach functions resolved; a desired resource is an instance (``self``), a live one a dict of fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", coerce_numbers_to_str=True)

    type: ClassVar[str]
    """``provider.name``, as a blueprint writes it."""
    noun: ClassVar[str] = ""
    """What people call it in a plan line ("alias", "process"); the name after the dot if empty."""
    holds_data: ClassVar[bool] = False
    """Whether deleting it may lose data that mlinfra cannot make again (promise P11)."""
    external: ClassVar[bool] = False
    """Somebody else brings it into being (a training run, a person); mlinfra waits for it, tracks it and restores it."""
    looks_outside: ClassVar[bool] = False
    """Whether `normalise` looks at more than the fields (files of the blueprint, environment variables), so that the same
    fields can mean something else the next time."""

    # -- reading ------------------------------------------------------------------------------------------------

    @classmethod
    def read(cls, client: Any, known: Known) -> Fields | None:
        """The live fields, computed ones included, or None if it is gone.

        Errors: Unreachable if that cannot be told now.
        """
        raise NotImplementedError

    @classmethod
    def read_many(cls, client: Any, known: Sequence[Known]) -> Mapping[str, Fields | Unreachable | None]:
        """Live fields by address, for all resources of this type at once. The default maps `read` over a few threads."""

        def one(item: Known) -> Fields | Unreachable | None:
            try:
                return cls.read(client, item)
            except Unreachable as error:
                return error

        if len(known) == 1:
            return {known[0].address: one(known[0])}
        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(zip((item.address for item in known), pool.map(one, known), strict=True))

    def locate(self, client: Any, op: Operation) -> str | None:
        """The id under which this resource already exists and is ours, or None. Asked after a run that was cut off
        between a create and its record, so it must find whatever `create` may have left behind, even half made."""
        return None

    # -- changing: one transaction each, waiting is `ready` -----------------------------------------------------------

    def create(self, client: Any, op: Operation) -> Created:
        """Make it. If it exists and is ours, take it as made; if it is somebody else's, raise NotOurs unless ``op.adopt``."""
        raise NotImplementedError

    def update(self, client: Any, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        """Make the live object like ``self``. Returns the live fields if the call told them all, else they are read."""
        raise NotImplementedError

    @classmethod
    def delete(cls, client: Any, known: Known, op: Operation) -> None:
        """Remove it. Deleting what is gone succeeds."""
        raise NotImplementedError

    @classmethod
    def ready(cls, client: Any, known: Known, op: Operation) -> None:
        """Wait until it can be used, with ``op.wait`` between looks. Raise ProviderError with the reason if it fails."""

    def run(self, client: Any, known: Known, op: Operation) -> RunResult:
        """Run it once and wait for the end (jobs only)."""
        raise NotImplementedError

    # -- telling ------------------------------------------------------------------------------------------------------

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        """The desired fields in the form that `read` gives back (pure). ``place`` is the `Place` of the environment."""
        return fields

    @classmethod
    def would_lose(cls, client: Any, known: Known) -> str | None:
        """What a delete would lose ("12 files, 3.4 MB"), or None if nothing. Asked only of types that hold data."""
        return None

    @classmethod
    def replaces(cls, changes: Sequence[FieldChange]) -> Sequence[str]:
        """The paths of those changes that need a replacement though their field's policy does not say so (pure): a list that
        can grow in place and not shrink, say. Values may be unknown."""
        return ()

    @classmethod
    def beside(cls, changes: Sequence[FieldChange]) -> bool:
        """Whether the successor that these changes make can exist beside the object (pure): its name tells them apart. Then
        it is made first, what stands on it goes over to the new one, and the old one is deleted last. No changes: a
        replacement was asked for. Values may be unknown."""
        return False

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        """One line in the words of the field for these changes ("stopped → start"), or None for the generic one."""
        return None

    @classmethod
    def status(cls, client: Any, known: Known) -> Status | None:
        """How it does now, or None for a type that has nothing to tell."""
        return None

    @classmethod
    def logs(cls, client: Any, known: Known, *, tail: int, follow: bool) -> Iterator[str] | None:
        """Its last ``tail`` log lines, then new ones as they come if ``follow``; None for a type without logs."""
        return None
