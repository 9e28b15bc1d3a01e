"""`State`: what mlinfra owns in one environment, and how it is written. Strict in reading: what is not whole and ours is an
error, never "nothing there yet".
"""

from __future__ import annotations

import hashlib
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import mlinfra
from mlinfra.sdk.diagnostics import DiagnosticError, fail

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ResourceState:
    """What is known of one resource. ``fields`` are the live ones as last seen, ``desired`` what the blueprint said when
    they were applied (references resolved); secrets are fingerprints in both. ``tainted``: a run was cut off or failed
    before it was ready."""

    address: str
    type: str
    provider: str
    id: str
    fields: Mapping[str, Any]
    desired: Mapping[str, Any]
    dependencies: list[str] = field(default_factory=list)
    tainted: bool = False
    component: str = ""
    created_at: str = ""
    updated_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Everything but the address, which is the key."""
        return {name: getattr(self, name) for name in _NAMES}

    @staticmethod
    def from_json(address: str, record: Mapping[str, Any]) -> ResourceState:
        """The entry that `to_json` wrote.

        Errors: KeyError or TypeError if it is not one.
        """
        return ResourceState(address, **record)


_NAMES = tuple(f.name for f in fields(ResourceState) if f.name != "address")


@dataclass(frozen=True, slots=True)
class State:
    """``lineage`` tells one state from another, ``serial`` its versions; ``salt`` makes its fingerprints its own;
    ``covers`` are the last journal segments, one a run, whose entries are in it; ``written_by`` is a version of mlinfra."""

    blueprint: str
    environment: str
    lineage: str
    serial: int
    salt: str
    resources: Mapping[str, ResourceState] = field(default_factory=dict)
    pending: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Creates of which nobody knows whether they happened (a lost reply): address → the intent as JSON."""
    covers: tuple[str, ...] = ()
    written_by: str = ""

    @staticmethod
    def new(blueprint: str, environment: str) -> State:
        """A state of nothing."""
        return State(blueprint, environment, uuid.uuid4().hex, 0, secrets.token_hex(16))

    def with_resources(self, resources: Mapping[str, ResourceState]) -> State:
        """The same state holding other resources."""
        return replace(self, resources=dict(resources))

    def dump(self) -> bytes:
        """As written: one JSON object with a checksum over its body."""
        body = {
            "blueprint": self.blueprint,
            "environment": self.environment,
            "lineage": self.lineage,
            "serial": self.serial,
            "salt": self.salt,
            "covers": self.covers,
            "written_by": mlinfra.__version__,
            "pending": self.pending,
            "resources": {address: entry.to_json() for address, entry in self.resources.items()},
        }
        text = json.dumps(body, separators=(",", ":"))
        return f'{{"mlinfra_state":{FORMAT},"checksum":"{_checksum(text)}","body":{text}}}'.encode()

    @staticmethod
    def parse(data: bytes, blueprint: str, environment: str) -> State:
        """The state that `dump` wrote, for this blueprint and environment.

        Errors: DiagnosticError if it is empty, damaged, newer, or another's.
        """
        if not data:
            raise _damaged("it is empty")
        try:
            text = data.decode()
            record = json.loads(text)
            version = record["mlinfra_state"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _damaged("it is not a state that mlinfra wrote, or cut short") from error
        if version != FORMAT:
            raise fail(
                "state-newer",
                "State of another version",
                f"The state has format {version}; this mlinfra reads format {FORMAT}.",
                "Use the version of mlinfra that wrote it, or a newer one.",
            )
        try:
            body = record["body"]
            if record["checksum"] != _checksum(text.partition(',"body":')[2][:-1]):
                raise _damaged("its checksum does not fit its content")
            state = State(
                body["blueprint"],
                body["environment"],
                body["lineage"],
                body["serial"],
                body["salt"],
                {address: ResourceState.from_json(address, item) for address, item in body["resources"].items()},
                body["pending"],
                tuple(body["covers"]),
                body["written_by"],
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise _damaged(f"part of it is missing ({error})") from error
        if (state.blueprint, state.environment) != (blueprint, environment):
            raise fail(
                "state-foreign",
                "State of another blueprint",
                f"The state belongs to {state.blueprint} in {state.environment}, not to {blueprint} in {environment}.",
                "Use another folder, or give the blueprint its old name back.",
            )
        return state


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(why: str) -> DiagnosticError:
    return fail(
        "state-damaged",
        "State is damaged",
        f"The state cannot be used: {why}.",
        "Put a copy of it back, or make it anew from what is there: mlinfra state rebuild.",
    )
