"""Apply: executes a plan's nodes. It plans nothing anew.

Every change is preceded by a durable intent in the journal and followed by its result, so that a run that is cut off
anywhere can be taken up again. What succeeds is recorded, whatever else fails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mlinfra.engine.catalog import Catalog, Clients
from mlinfra.engine.events import (
    ApplyFinished,
    ApplyStarted,
    Emit,
    NodeDone,
    NodeFailed,
    NodesSkipped,
    NodeStarted,
)
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.lower import Desired
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.resolving import Views
from mlinfra.engine.schedule import walk
from mlinfra.engine.steps import Steps
from mlinfra.engine.values import decode
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError
from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.provider import Place
from mlinfra.state.entries import Intent, intent_record
from mlinfra.state.run import Run
from mlinfra.state.snapshot import ResourceState, State


@dataclass(slots=True)
class Outcome:
    """How an apply ended: ids of nodes done, diagnostics of those that failed, what was skipped and because of what."""

    done: list[str] = field(default_factory=list)
    failed: list[Diagnostic] = field(default_factory=list)
    skipped: Mapping[str, str] = field(default_factory=dict)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether everything was done."""
        return not self.failed and not self.skipped and not self.interrupted


def apply(
    plan: Plan,
    desired: Mapping[str, Desired],
    state: State,
    pending: Mapping[str, Intent],
    run: Run,
    catalog: Catalog,
    clients: Clients,
    place: Place,
    *,
    emit: Emit,
    interrupt: Interrupt,
    placed: Callable[[Diagnostic], Diagnostic] = lambda diagnostic: diagnostic,
    parallelism: int = 10,
    wait_timeout: float = 300.0,
) -> Outcome:
    """Execute a plan under a run that holds the lock, and commit the state it leads to.

    ``desired`` are the lowered resources that the plan was made from (they hold the secrets that a plan does not);
    ``pending`` are creates of earlier runs that are still unsure; ``placed`` gives a failure its place in the blueprint.

    Errors: DiagnosticError if the state cannot be committed; failures of nodes are in the outcome instead.
    """
    started = time.perf_counter()
    nodes = {node.id: node for node in plan.nodes}
    resources = dict(state.resources)
    gone = [address for address, record in plan.records.items() if record is None and address in resources]
    for address, record in plan.records.items():
        if record is not None:
            resources[address] = ResourceState.from_json(address, record)
    views = _views(plan, desired, resources, catalog)
    steps = Steps(plan, desired, resources, views, run, catalog, clients, place, emit, interrupt, wait_timeout)
    emit(ApplyStarted(len(nodes)))
    outcome = Outcome()
    for address in gone:
        node = _tidying(resources[address])
        try:
            steps.execute(node)
        except Exception as error:  # as below
            outcome.failed.append(placed(_diagnosed(node, error)))

    def execute(name: str) -> bool:
        node = nodes[name]
        label = node.label or node.address
        begun = time.perf_counter()
        emit(NodeStarted(node.address, node.action, label))
        try:
            detail = steps.execute(node)
        except Exception as error:  # whatever a provider raises must not end the run: it is this node's failure
            diagnostic = placed(_diagnosed(node, error))
            outcome.failed.append(diagnostic)
            emit(NodeFailed(node.address, node.action, label, time.perf_counter() - begun, diagnostic))
            return False
        emit(NodeDone(node.address, node.action, label, time.perf_counter() - begun, detail))
        return True

    def skipped(names: Sequence[str], because: str) -> None:
        addresses = tuple(dict.fromkeys(nodes[name].address for name in names))
        emit(NodesSkipped(addresses, nodes[because].address if because else ""))

    walked = walk(
        {node.id: node.after for node in plan.nodes},
        execute,
        parallelism=parallelism,
        stopping=lambda: interrupt.stop.is_set() or run.lost,
        skipped=skipped,
    )
    outcome.done, outcome.skipped = walked.done, walked.skipped
    outcome.interrupted = interrupt.stop.is_set()
    unsure = {address: intent_record(intent) for address, intent in {**pending, **steps.pending}.items()}
    unsure = {address: record for address, record in unsure.items() if address not in resources}
    run.commit(replace(state, resources=resources, pending=unsure))
    outcome.seconds = time.perf_counter() - started
    emit(ApplyFinished(len(walked.done), len(walked.failed), len(walked.skipped), outcome.seconds, outcome.interrupted))
    return outcome


def _tidying(entry: ResourceState) -> Node:
    """The delete of an object that is gone already: it clears what its provider keeps about it, and the state's entry."""
    return Node(
        id=f"{entry.address}!delete",
        address=entry.address,
        type=entry.type,
        action="delete",
        component=entry.component,
        before=decode(entry.fields),
        object_id=entry.id,
    )


def _views(
    plan: Plan, desired: Mapping[str, Desired], resources: Mapping[str, ResourceState], catalog: Catalog
) -> Views:
    """What is known before the first node: resources that the plan leaves alone as they are, others as they were."""
    views = Views(catalog)
    for address, entry in resources.items():
        views.put(address, entry.type, decode(entry.fields))
    making = {node.address for node in plan.nodes if node.action in ("create", "replace", "adopt", "wait")}
    for address in making:
        if address in desired:
            views.put(address, desired[address].type, {}, partial=True)
    return views


def _diagnosed(node: Node, error: Exception) -> Diagnostic:
    """A failure as people read it: what was tried, what was said, what to do."""
    what = f"{node.action} of {node.address} failed"
    if isinstance(error, DiagnosticError):
        first = error.diagnostics[0]
        more = "".join(f"\n{other.detail}" for other in error.diagnostics[1:])
        return Diagnostic(
            first.code, first.summary, f"{what}: {first.detail}{more}", first.remedy, address=node.address
        )
    if isinstance(error, ProviderError):
        log = f"\nThe last lines of its log:\n{_indented(error.log)}" if error.log else ""
        return Diagnostic(
            "apply-failed",
            "Not applied",
            f"{what}: {error}{log}",
            error.remedy or "Mend the cause, then run `mlinfra apply` again: it goes on from here.",
            address=node.address,
        )
    if isinstance(error, OSError):
        return Diagnostic(
            "apply-failed",
            "Not applied",
            f"{what}: {error.strerror or error}" + (f" ({error.filename})" if error.filename else ""),
            "Mend the cause, then run `mlinfra apply` again: it goes on from here.",
            address=node.address,
        )
    return Diagnostic(
        "provider-bug",
        "Provider failed unexpectedly",
        f"{what}: {type(error).__name__}: {error}",
        "This is a mistake in the provider. Please report it with this message.",
        address=node.address,
    )


def _indented(text: str) -> str:
    return "\n".join(f"  | {line}" for line in text.rstrip().splitlines())
