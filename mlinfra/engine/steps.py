"""The steps of one node: intent, call, record, wait, result. The only place where the engine changes the world."""

from __future__ import annotations

import datetime as dt
import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.desired import Form, applied, form, instance
from mlinfra.engine.diff import changes
from mlinfra.engine.events import Emit, NodeProgress
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.lower import Desired
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.refresh import concealed, read_type
from mlinfra.engine.resolving import Views
from mlinfra.engine.values import MISSING, absent, at_path, conceal_fields, decode, encode, is_unknown, reveal, stand_in
from mlinfra.sdk.errors import ProviderError, Unreachable
from mlinfra.sdk.provider import Place
from mlinfra.sdk.refs import Reference, references
from mlinfra.sdk.resource import FieldChange, Fields, Known, Operation, Resource
from mlinfra.state.aside import home, taken_back
from mlinfra.state.entries import Created, Deleted, Done, Failed, Intent, SetAside
from mlinfra.state.run import Run
from mlinfra.state.snapshot import ResourceState

POLL = 2.0
"""Seconds between looks at something that has to happen outside."""


@dataclass(slots=True)
class Steps:
    """Executes nodes, from several threads at once. ``resources`` is the state as it becomes, ``views`` what later nodes
    may refer to; both are only touched under the lock."""

    plan: Plan
    desired: Mapping[str, Desired]
    resources: dict[str, ResourceState]
    views: Views
    run: Run
    catalog: Catalog
    clients: Clients
    place: Place
    emit: Emit
    interrupt: Interrupt
    wait_timeout: float
    pending: dict[str, Intent] = field(default_factory=dict)
    """Creates that were begun and of which no id is known."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def execute(self, node: Node) -> str:
        """Do what a node says; returns what there is to tell of it, mostly nothing.

        Errors: whatever the resource type raises; the failure is in the journal.
        """
        try:
            match node.action:
                case "create" | "replace":
                    self._create(node)
                case "update":
                    self._update(node)
                case "delete":
                    self._delete(node)
                case "forget":
                    self._forget(node)
                case "run":
                    return self._run(node)
                case "adopt" | "wait":
                    self._found(node)
        except Exception as error:
            self.run.append(Failed(node.address, node.action, str(error)))
            raise
        return ""

    # -- actions ------------------------------------------------------------------------------------------------------

    def _create(self, node: Node) -> None:
        resolved, wanted, model = self._wanted(node)
        client = self.clients.of(node.type)
        op = self._operation(node)
        shape = instance(model, reveal(wanted.fields), node.address)
        if node.aside:
            self._set_aside(node)
        self._intend(node, resolved, op)
        made = shape.create(client, op)
        self.run.append(Created(node.address, made.id))
        known = Known(node.address, made.id, made.fields or reveal(wanted.fields))
        self._keep(node, known, wanted.fields, resolved, unfinished=True)
        model.ready(client, known, op)
        live = made.fields if made.fields is not None else self._read(node, model, client, known)
        self._finish(node, made.id, live, resolved)

    def _update(self, node: Node) -> None:
        resolved, wanted, model = self._wanted(node)
        client = self.clients.of(node.type)
        op = self._operation(node)
        before = node.before
        entry = self.resources[node.address]
        found = changes(model, applied(model, entry, self.place), wanted.fields, before, self.plan.salt)
        live: Fields | None = None
        known = Known(node.address, node.object_id, reveal(before))
        if found:
            shape = instance(model, reveal(wanted.fields), node.address)
            self._intend(node, resolved, op)
            told = [FieldChange(change.path, reveal(change.before), reveal(change.after)) for change in found]
            live = shape.update(client, known, told, op)
        after = Known(node.address, node.object_id, live or {**reveal(before), **reveal(wanted.fields)})
        self._keep(node, after, {**before, **wanted.fields}, resolved, unfinished=True)
        if found or not node.changes:
            model.ready(client, after, op)
        if live is None:
            live = self._read(node, model, client, after)
        self._finish(node, node.object_id, live, resolved)

    def _set_aside(self, node: Node) -> None:
        """Give the address free for the successor; what is there goes on until its delete."""
        self.run.append(SetAside(node.address, node.aside))
        with self._lock:
            entry = self.resources.pop(node.address)
            self.resources[node.aside] = replace(entry, address=node.aside)

    def _delete(self, node: Node) -> None:
        with self._lock:
            if node.address not in self.resources and home(node.address) != node.address:
                return  # the blueprint went back to it, and it holds its address again
        model = self.catalog.resource_type(node.type)
        client = self.clients.of(node.type)
        op = self._operation(node)
        self._intend(node, {}, op)
        model.delete(client, Known(node.address, node.object_id, reveal(node.before)), op)
        self._dropped(node)

    def _forget(self, node: Node) -> None:
        self._dropped(node)

    def _run(self, node: Node) -> str:
        entry = self.resources.get(node.address)
        if entry is None:
            raise ProviderError(f"the job {node.address} is not there", remedy="Run `mlinfra apply` without --target.")
        _, wanted, model = self._wanted(replace(node, fields=self.desired[node.address].fields))
        client = self.clients.of(entry.type)
        op = self._operation(node)
        self._intend(node, {}, op)
        known = Known(node.address, entry.id, decode(entry.fields))
        result = instance(model, reveal(wanted.fields), node.address).run(client, known, op)
        if not result.succeeded:
            raise ProviderError(result.detail or "the run failed", log=result.log)
        self.run.append(Done(node.address, node.action, entry))
        return result.detail

    def _found(self, node: Node) -> None:
        """Take up what a run or somebody outside has made."""
        resolved, wanted, model = self._wanted(node)
        client = self.clients.of(node.type)
        op = self._operation(node)
        shape = instance(model, reveal(wanted.fields), node.address)
        waited = 0.0
        if node.action == "wait":
            op.say(node.summary)
        while (found := shape.locate(client, op)) is None:
            if node.action == "adopt":
                raise ProviderError(
                    f"the run ended well, but {node.label or node.address} is still missing",
                    remedy="Look at the run's log: mlinfra logs <training>.",
                )
            if waited >= self.wait_timeout:
                raise ProviderError(
                    f"{node.summary}; gave up after {waited:.0f} s",
                    remedy="Bring it about, then run `mlinfra apply` again.",
                )
            op.wait(POLL)
            waited += POLL
        known = Known(node.address, found, reveal(wanted.fields))
        self._finish(node, found, self._read(node, model, client, known), resolved)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _wanted(self, node: Node) -> tuple[Mapping[str, Any], Form, type[Resource]]:
        """What the resource shall be, now that all it refers to is known."""
        model = self.catalog.resource_type(node.type)
        given = self.desired[node.address].fields
        fields = {**node.fields, **{name: value for name, value in given.items() if not absent(value)}}
        self._learn_secrets(fields)
        with self._lock:
            resolved = conceal_fields(model, self.views.resolve(fields))
        if is_unknown(resolved):
            missing = ", ".join(name for name, value in resolved.items() if is_unknown(value))
            raise ProviderError(f"a value it refers to is still not known ({missing})")
        return resolved, form(model, resolved, self.place, node.address), model

    def _learn_secrets(self, fields: Mapping[str, Any]) -> None:
        """Read the resources that are referred to for a secret of which the state knows the fingerprint only: the plan leaves
        them alone, so nothing else has read them in full."""
        for address in {reference.address for reference in references(fields) if self._fingerprinted(reference)}:
            with self._lock:
                entry = self.resources[address]
            model = self.catalog.resource_type(entry.type)
            live = read_type(model, self.clients.of(entry.type), [entry])[address]
            if isinstance(live, Unreachable):
                raise live
            if live is not None:
                with self._lock:
                    self.views.put(address, entry.type, live)

    def _fingerprinted(self, reference: Reference) -> bool:
        with self._lock:
            known = at_path(self.views.fields.get(reference.address, {}), reference.path)
            return reference.address in self.resources and known is not MISSING and stand_in(known) != known

    def _operation(self, node: Node) -> Operation:
        digest = hashlib.sha256(f"{self.plan.created_at}/{self.plan.lineage}/{self.plan.serial}/{node.id}".encode())
        return Operation(
            address=node.address,
            owner=owner(self.place, node.address),
            token=digest.hexdigest()[:32],
            work=self.place.work,
            say=lambda text: self.emit(NodeProgress(node.address, text)),
            adopt=node.address in self.plan.options.get("adopt", ()),
            cancelled=self.interrupt.cancel,
        )

    def _intend(self, node: Node, resolved: Mapping[str, Any], op: Operation) -> None:
        fields = encode(resolved, self.plan.salt)
        needs = list(node.dependencies)
        intent = Intent(node.address, node.action, node.type, node.object_id, op.token, fields, needs)
        if node.action in ("create", "replace"):
            with self._lock:
                self.pending[node.address] = intent
        self.run.append(intent)

    def _read(self, node: Node, model: type[Resource], client: Any, known: Known) -> Fields:
        entry = ResourceState(node.address, node.type, "", known.id, dict(known.fields), {})
        live = read_type(model, client, [entry])[node.address]
        if isinstance(live, Unreachable):
            raise live
        if live is None:
            raise ProviderError("it was made, but cannot be found")
        return live

    def _keep(
        self,
        node: Node,
        known: Known,
        fields: Mapping[str, Any],
        resolved: Mapping[str, Any],
        *,
        unfinished: bool = False,
    ) -> ResourceState:
        salt = self.plan.salt
        now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        old = self.resources.get(node.address)
        entry = ResourceState(
            address=node.address,
            type=node.type,
            provider=self.catalog.owner(node.type).name,
            id=known.id,
            fields=encode(fields, salt),
            desired=encode(resolved, salt),
            dependencies=list(node.dependencies),
            tainted=unfinished,
            component=node.component,
            created_at=old.created_at if old else now,
            updated_at=now,
        )
        with self._lock:
            for spare in taken_back(self.resources, entry):
                del self.resources[spare]
            self.resources[node.address] = entry
            self.pending.pop(node.address, None)
        return entry

    def _finish(self, node: Node, object_id: str, live: Fields, resolved: Mapping[str, Any]) -> None:
        model = self.catalog.resource_type(node.type)
        pattern = ResourceState(node.address, node.type, "", object_id, {}, encode(resolved, self.plan.salt))
        shown = concealed(model, live, pattern)
        assert isinstance(shown, dict)
        entry = self._keep(node, Known(node.address, object_id, live), shown, resolved)
        with self._lock:
            self.views.put(node.address, node.type, shown)
        self.run.append(Done(node.address, node.action, entry))

    def _dropped(self, node: Node) -> None:
        self.run.append(Deleted(node.address))
        with self._lock:
            self.resources.pop(node.address, None)


def owner(place: Place, address: str) -> dict[str, str]:
    """The ownership tags of a resource. One that is set aside keeps those it was made with."""
    return {
        "mlinfra:blueprint": place.blueprint,
        "mlinfra:environment": place.environment,
        "mlinfra:address": home(address),
    }
