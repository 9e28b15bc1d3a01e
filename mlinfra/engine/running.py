"""Running a job on demand: a plan of one node, executed as any other."""

from __future__ import annotations

import datetime as dt

import mlinfra
from mlinfra.engine.apply import Outcome, apply
from mlinfra.engine.events import Emit
from mlinfra.engine.inspect import jobs
from mlinfra.engine.interrupt import Interrupt
from mlinfra.engine.plan import Node, Plan
from mlinfra.engine.workspace import Workspace, waiting


def run_job(
    workspace: Workspace, address: str, *, emit: Emit, interrupt: Interrupt, lock_timeout: float = 0.0
) -> Outcome:
    """Run the job or jobs of a component, wait for the end, and record that they ran.

    Errors: DiagnosticError if there is no such job, it is not applied, or another run holds the lock.
    """
    with workspace.backend.begin(f"run {address}", wait=lock_timeout, waiting=waiting(emit)) as run:
        recovered = workspace.recovered()
        state = recovered.state
        entries = jobs(workspace, address, state)
        plan = Plan(
            blueprint=workspace.place.blueprint,
            environment=workspace.place.environment,
            destroy=False,
            created_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            version=mlinfra.__version__,
            digest=workspace.blueprint.digest,
            lineage=state.lineage,
            serial=state.serial,
            salt=state.salt,
            providers={},
            nodes=tuple(
                Node(
                    id=f"{entry.address}!run",
                    address=entry.address,
                    type=entry.type,
                    action="run",
                    component=entry.component,
                )
                for entry in entries
            ),
            unchanged=0,
        )
        return apply(
            plan,
            workspace.desire.resources,
            state,
            recovered.pending,
            run,
            workspace.catalog,
            workspace.clients,
            workspace.place,
            emit=emit,
            interrupt=interrupt,
        )
