"""Commands about the state itself: rebuild."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlinfra.cli import options as o
from mlinfra.cli.session import ERROR, Chosen, approved, duration, opened

if TYPE_CHECKING:
    from mlinfra.engine.rebuild import Rebuilt

state = typer.Typer(help="The state: what mlinfra knows of what it made.", no_args_is_help=True)
_HERE = Path("blueprint.yaml")


@state.callback()
def _group() -> None:
    """The state: what mlinfra knows of what it made."""


@state.command()
def rebuild(
    force: Annotated[
        bool, typer.Option("--force", help="Also if the state can be read. What it says now stays in its history.")
    ] = False,
    auto_approve: o.AutoApprove = False,
    lock_timeout: o.LockTimeout = "0",
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    json_into: o.JsonInto = None,
    no_color: o.NoColor = False,
) -> None:
    """Make a lost state anew from tags and labels. Shows what it found and asks; changes nothing but the state."""
    chosen = Chosen(file, env, var, var_file, json=json, json_into=json_into, no_color=no_color)
    with opened(chosen) as (workspace, shown):
        from mlinfra.engine.rebuild import Kept
        from mlinfra.engine.rebuild import rebuild as rebuilt_of
        from mlinfra.views.rebuild_text import rebuild_lines, rebuild_record

        def show(found: Rebuilt) -> None:
            shown.lines(rebuild_lines(found))
            shown.record(rebuild_record(found))

        def ask(found: Rebuilt) -> bool:
            show(found)
            return approved(shown, auto_approve, "Make the state so?", "it")

        try:
            made, done = rebuilt_of(
                workspace,
                emit=shown.emit,
                approve=ask,
                force=force,
                lock_timeout=duration(lock_timeout, "--lock-timeout"),
            )
        except Kept as refusal:
            show(refusal.rebuilt)
            raise
        if not done:
            shown.lines([[("Not approved. The state was not changed.", "")]])
            raise typer.Exit(ERROR)
        shown.lines(
            [[(f"The state is made anew: serial {made.state.serial}. ", "good"), ("Next: mlinfra plan", "bold")]]
        )
