"""Commands that plan and change: plan, apply, destroy, run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from mlinfra.cli import options as o
from mlinfra.cli.session import CHANGES, ERROR, INTERRUPTED, Chosen, asker, duration, interruptible, opened

if TYPE_CHECKING:
    from mlinfra.engine.apply import Outcome
    from mlinfra.engine.plan import Plan
    from mlinfra.engine.workspace import Workspace
    from mlinfra.views.screen import Screen

_HERE = Path("blueprint.yaml")


def plan(
    out: Annotated[
        Optional[Path],
        typer.Option("--out", metavar="FILE", help="Save the plan; `mlinfra apply FILE` applies exactly it."),
    ] = None,
    destroy: Annotated[bool, typer.Option("--destroy", help="Plan to destroy everything.")] = False,
    details: Annotated[bool, typer.Option("--details", help="Show every field.")] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if there are changes.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="What a provider cannot do is an error.")] = False,
    permissions: Annotated[
        bool, typer.Option("--permissions", help="Print what the credentials need for this apply (AWS: an IAM policy).")
    ] = False,
    target: o.Targets = [],
    exclude: o.Excludes = [],
    replace: o.Replaces = [],
    adopt: o.Adopts = [],
    allow_data_loss: o.DataLoss = [],
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    json_into: o.JsonInto = None,
    no_color: o.NoColor = False,
) -> None:
    """Show what apply would change. Changes nothing."""
    chosen = Chosen(file, env, var, var_file, json=json, json_into=json_into, no_color=no_color)
    with opened(chosen) as (workspace, shown):
        from mlinfra.engine.guards import refused, unsupported
        from mlinfra.engine.planner import Options
        from mlinfra.views.plan_json import plan_record
        from mlinfra.views.plan_text import plan_lines

        asked = Options(
            destroy=destroy, targets=tuple(target), excludes=tuple(exclude), replace=tuple(replace), adopt=tuple(adopt)
        )
        made = workspace.plan(asked, shown.emit)
        if permissions:
            _permissions(workspace, made, shown)
            return
        shown.lines(plan_lines(made, details=details))
        shown.record(plan_record(made))
        problems = refused(made, workspace.blueprint.environment, allow_data_loss)
        if strict:
            problems += unsupported(made)
        if problems:
            shown.diagnostics(problems)
            raise typer.Exit(ERROR)
        if out is not None:
            from mlinfra.cli.files import write_private

            write_private(out, made.to_json())
            shown.lines([[(f"Saved. Apply exactly this with: mlinfra apply {out}", "dim")]])
        if detailed_exitcode and not made.empty:
            raise typer.Exit(CHANGES)


def _permissions(workspace: Workspace, made: Plan, shown: Screen) -> None:
    """Print what the credentials need, and nothing else, so that it can be piped on."""
    from json import dumps

    from mlinfra.engine.permissions import permissions
    from mlinfra.sdk.diagnostics import Diagnostic, fail

    documents, unknown = permissions(made, workspace.desire, workspace.catalog, workspace.place)
    if not documents:
        raise fail(
            "no-permissions",
            "No permissions to tell",
            f"The environment {made.environment} has no provider that says what its credentials need.",
            "Choose another environment with -e.",
        )
    for document in documents.values():
        shown.lines([[(line, "")] for line in dumps(document, indent=2).splitlines()])
    shown.record({"event": "permissions", "providers": documents, "unknown": unknown})
    if unknown:
        detail = f"It is not known what these need: {', '.join(unknown)}."
        remedy = "Add their calls to the policy before you use it."
        shown.diagnostics(
            [Diagnostic("permissions-incomplete", "Permissions incomplete", detail, remedy, severity="warning")]
        )


def apply(
    saved: Annotated[
        Optional[Path],
        typer.Argument(metavar="PLAN", help="A saved plan (plan --out); without it, plan first and ask."),
    ] = None,
    auto_approve: o.AutoApprove = False,
    target: o.Targets = [],
    exclude: o.Excludes = [],
    replace: o.Replaces = [],
    adopt: o.Adopts = [],
    allow_data_loss: o.DataLoss = [],
    parallelism: o.Parallelism = 10,
    lock_timeout: o.LockTimeout = "0",
    wait_timeout: o.WaitTimeout = "5m",
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    json_into: o.JsonInto = None,
    no_color: o.NoColor = False,
) -> None:
    """Make it so: plan, ask, and carry the plan out."""
    chosen = Chosen(file, env, var, var_file, json=json, json_into=json_into, no_color=no_color)
    asked = {"targets": tuple(target), "excludes": tuple(exclude), "replace": tuple(replace), "adopt": tuple(adopt)}
    limits: dict[str, Any] = {"parallelism": parallelism, "allow_data_loss": allow_data_loss}
    timeouts = (lock_timeout, wait_timeout)
    if saved is not None:
        _apply_saved(saved, chosen, limits, timeouts)
        return
    _change(chosen, "apply", asked, "Apply this?", auto_approve, limits, timeouts)


def destroy(
    auto_approve: o.AutoApprove = False,
    target: o.Targets = [],
    exclude: o.Excludes = [],
    allow_data_loss: o.DataLoss = [],
    parallelism: o.Parallelism = 10,
    lock_timeout: o.LockTimeout = "0",
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    json_into: o.JsonInto = None,
    no_color: o.NoColor = False,
) -> None:
    """Remove everything that mlinfra made in this environment."""
    chosen = Chosen(file, env, var, var_file, json=json, json_into=json_into, no_color=no_color)
    asked = {"destroy": True, "targets": tuple(target), "excludes": tuple(exclude)}
    limits: dict[str, Any] = {"parallelism": parallelism, "allow_data_loss": allow_data_loss}
    _change(chosen, "destroy", asked, "Destroy all this?", auto_approve, limits, (lock_timeout, "0"))


def run(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A training, or one of its jobs: training.fraud")],
    lock_timeout: o.LockTimeout = "0",
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    json_into: o.JsonInto = None,
    no_color: o.NoColor = False,
) -> None:
    """Run a job now and wait for its end."""
    chosen = Chosen(file, env, var, var_file, json=json, json_into=json_into, no_color=no_color)
    with opened(chosen) as (workspace, shown), interruptible() as interrupt:
        from mlinfra.engine.running import run_job

        outcome = run_job(
            workspace,
            address,
            emit=shown.emit,
            interrupt=interrupt,
            lock_timeout=duration(lock_timeout, "--lock-timeout"),
        )
        _ended(outcome, shown)
        shown.lines([[("What serves its models follows with the next `mlinfra apply`.", "dim")]])


def _change(
    chosen: Chosen,
    command: str,
    asked: dict[str, Any],
    question: str,
    auto_approve: bool,
    limits: dict[str, Any],
    timeouts: tuple[str, str],
) -> None:
    with opened(chosen) as (workspace, shown), interruptible() as interrupt:
        from mlinfra.engine.planner import Options
        from mlinfra.engine.workspace import Refused
        from mlinfra.views.plan_json import plan_record
        from mlinfra.views.plan_text import plan_lines

        try:
            plan, outcome = workspace.apply(
                Options(**asked),
                command=command,
                emit=shown.emit,
                approve=asker(shown, auto_approve, question),
                interrupt=interrupt,
                lock_timeout=duration(timeouts[0], "--lock-timeout"),
                wait_timeout=duration(timeouts[1], "--wait-timeout"),
                **limits,
            )
        except Refused as refusal:
            shown.lines(plan_lines(refusal.plan))
            shown.record(plan_record(refusal.plan))
            raise
        if plan.empty:
            shown.lines(plan_lines(plan))
            shown.record(plan_record(plan))
            return
        if outcome is None:
            shown.lines([[("Not approved. Nothing was changed.", "")]])
            raise typer.Exit(ERROR)
        _ended(outcome, shown)


def _apply_saved(saved: Path, chosen: Chosen, limits: dict[str, Any], timeouts: tuple[str, str]) -> None:
    from mlinfra.cli.session import screen

    with screen(chosen):
        from mlinfra.cli.files import read_text
        from mlinfra.engine.plan import Plan

        plan = Plan.from_json(read_text(saved, "saved plan"))
    chosen.environment = chosen.environment or plan.environment
    with opened(chosen) as (workspace, shown), interruptible() as interrupt:
        from mlinfra.views.plan_json import plan_record
        from mlinfra.views.plan_text import plan_lines

        shown.lines(plan_lines(plan))
        shown.record(plan_record(plan))
        outcome = workspace.apply_saved(
            plan,
            emit=shown.emit,
            interrupt=interrupt,
            lock_timeout=duration(timeouts[0], "--lock-timeout"),
            wait_timeout=duration(timeouts[1], "--wait-timeout"),
            **limits,
        )
        if outcome is not None:
            _ended(outcome, shown)


def _ended(outcome: Outcome, shown: Screen) -> None:
    if outcome.failed:
        shown.diagnostics(outcome.failed)
    if outcome.interrupted:
        shown.lines([[("Interrupted. Run `mlinfra apply` to go on from here.", "warning")]])
        sys.stdout.flush()
        raise typer.Exit(INTERRUPTED)
    if not outcome.succeeded:
        raise typer.Exit(ERROR)
