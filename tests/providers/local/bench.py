"""A workbench for resource types of this machine: does to one resource what the engine does, on a real folder."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlinfra.engine.catalog import Catalog
from mlinfra.engine.desired import form, instance
from mlinfra.engine.diff import changes
from mlinfra.engine.plan import Change
from mlinfra.engine.values import conceal_fields, reveal
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import FieldChange, Fields, Known, Operation, Resource
from mlinfra_local import PROVIDER
from mlinfra_local.client import LocalClient, connect


@dataclass
class Bench:
    """``said`` are the progress lines. A new `client` is what a new run of the CLI has."""

    root: Path
    said: list[str] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    _client: LocalClient | None = None

    @property
    def place(self) -> Place:
        return Place("shop", "test", self.root, self.root / ".mlinfra" / "test")

    @property
    def work(self) -> Path:
        return self.place.work

    @property
    def client(self) -> LocalClient:
        if self._client is None:
            self._client = connect(self.place)
        return self._client

    def operation(self, address: str = "resource.x", *, adopt: bool = False) -> Operation:
        owner = {"mlinfra:blueprint": "shop", "mlinfra:environment": "test", "mlinfra:address": address}
        return Operation(address, owner, "token", self.work, self.said.append, adopt, self.cancelled)

    def subject(self, type: str, address: str = "resource.x", **fields: Any) -> Subject:
        model = Catalog([PROVIDER]).resource_type(type)
        wanted = form(model, conceal_fields(model, fields), self.place, address).fields
        return Subject(self, model, address, dict(wanted))


@dataclass
class Subject:
    """One desired resource."""

    bench: Bench
    model: type[Resource]
    address: str
    wanted: Fields

    @property
    def desired(self) -> Resource:
        return instance(self.model, reveal(self.wanted), self.address)

    def apply(self, *, adopt: bool = False) -> Fields:
        """Create it, or update what is there; wait; read. Checks that nothing is left to change."""
        op = self.bench.operation(self.address, adopt=adopt)
        found = self.desired.locate(self.bench.client, op)
        before = self.read(found) if found is not None else None
        if found is None or before is None:
            found = self.desired.create(self.bench.client, op).id
        else:
            told = [FieldChange(c.path, reveal(c.before), reveal(c.after)) for c in self.changes(found)]
            if told:
                self.desired.update(self.bench.client, Known(self.address, found, before), told, op)
        known = Known(self.address, found, reveal(self.wanted))
        self.model.ready(self.bench.client, known, op)
        live = self.read(found)
        assert live is not None
        assert self.changes(found) == ()
        return live

    @property
    def id(self) -> str:
        found = self.desired.locate(self.bench.client, self.bench.operation(self.address))
        assert found is not None
        return found

    def read(self, id: str | None = None) -> Fields | None:
        known = Known(self.address, id or self.id, reveal(self.wanted))
        live = self.model.read_many(self.bench.client, [known])[self.address]
        assert live is None or isinstance(live, dict)
        return live

    def changes(self, id: str | None = None) -> tuple[Change, ...]:
        live = self.read(id)
        assert live is not None
        return changes(self.model, self.wanted, self.wanted, conceal_fields(self.model, live), "salt")

    def told(self, id: str | None = None) -> str | None:
        """What a plan line says of what differs."""
        return self.model.explain([FieldChange(c.path, reveal(c.before), reveal(c.after)) for c in self.changes(id)])

    def delete(self, id: str) -> None:
        known = Known(self.address, id, self.wanted)
        self.model.delete(self.bench.client, known, self.bench.operation(self.address))

    def would_lose(self) -> str | None:
        return self.model.would_lose(self.bench.client, Known(self.address, self.id, self.wanted))
