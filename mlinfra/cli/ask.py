"""Commands that ask and change nothing: status, output, show, graph, logs, check."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Optional

import typer

from mlinfra.cli import options as o
from mlinfra.cli.session import ERROR, Chosen, opened

_HERE = Path("blueprint.yaml")


def status(
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """What is alive, and where."""
    chosen = Chosen(file, env, var, var_file, json=json, no_color=no_color)
    with opened(chosen) as (workspace, shown):
        from mlinfra.engine.inspect import status as rows_of
        from mlinfra.views.tables import status_lines, status_record

        rows = rows_of(workspace)
        applied = len(workspace.backend.load().state.resources)
        shown.lines(status_lines(rows, workspace.place.environment, applied))
        for row in rows:
            shown.record(status_record(row))


def output(
    name: Annotated[
        Optional[str],
        typer.Argument(metavar="NAME", help="One output: endpoint.fraud.url; without it all."),
    ] = None,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print secrets in plain text.")] = False,
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """What components offer: URLs, paths, versions. With a NAME the bare value, for scripts."""
    chosen = Chosen(file, env, var, var_file, json=json, no_color=no_color)
    with opened(chosen) as (workspace, shown):
        from mlinfra.engine.inspect import outputs
        from mlinfra.views.tables import output_lines, output_record, output_text

        found = outputs(workspace)
        if name is None:
            shown.lines(output_lines(found, reveal=reveal))
            shown.record(output_record(found, reveal=reveal))
            return
        text = output_text(found, name, reveal=reveal, json=json)
        typer.echo(text)


def show(
    what: Annotated[
        Optional[str],
        typer.Argument(metavar="PLAN|ADDRESS", help="A saved plan, or an address; without it everything applied."),
    ] = None,
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """Show a saved plan, or what was applied."""
    chosen = Chosen(file, env, var, var_file, json=json, no_color=no_color)
    if what is not None and Path(what).is_file():
        from mlinfra.cli.session import screen

        with screen(chosen) as shown:
            from mlinfra.cli.files import read_text
            from mlinfra.engine.plan import Plan
            from mlinfra.views.plan_json import plan_record
            from mlinfra.views.plan_text import plan_lines

            plan = Plan.from_json(read_text(Path(what), "saved plan"))
            shown.lines(plan_lines(plan, details=True))
            shown.record(plan_record(plan))
        return
    with opened(chosen) as (workspace, shown):
        from mlinfra.engine.inspect import applied
        from mlinfra.views.tables import resource_lines, resource_record

        entries = applied(workspace, what)
        shown.lines(resource_lines(entries, details=what is not None))
        for entry in entries:
            shown.record(resource_record(entry))


def graph(
    resources: Annotated[bool, typer.Option("--resources", help="Resources instead of components.")] = False,
    style: Annotated[str, typer.Option("--format", metavar="STYLE", help="mermaid or dot.")] = "mermaid",
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    no_color: o.NoColor = False,
) -> None:
    """Draw what depends on what."""
    chosen = Chosen(file, env, var, var_file, no_color=no_color)
    with opened(chosen) as (workspace, _):
        from mlinfra.render.graph import drawn

        edges = (
            {address: list(item.needs) for address, item in workspace.desire.resources.items()}
            if resources
            else {address: list(item.edges) for address, item in workspace.blueprint.nodes.items()}
        )
        typer.echo(drawn(edges, style))


def logs(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="A component or a resource.")],
    tail: Annotated[int, typer.Option("-n", "--tail", metavar="N", min=0, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with new lines until Ctrl-C.")] = False,
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    no_color: o.NoColor = False,
) -> None:
    """The last log lines of what runs."""
    chosen = Chosen(file, env, var, var_file, no_color=no_color)
    with opened(chosen) as (workspace, _):
        from mlinfra.engine.inspect import logs as lines_of

        last = ""
        # Ctrl-C is how one stops to follow.
        with suppress(*([KeyboardInterrupt] if follow else [])):
            for source, line in lines_of(workspace, address, tail=tail, follow=follow):
                if source != last and source != address:
                    typer.echo(f"==> {source} <==")
                last = source
                typer.echo(line)


def check(
    components: Annotated[
        Optional[list[str]],
        typer.Argument(metavar="COMPONENT", help="Only these; without them all."),
    ] = None,
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """Prove that it works. Reads a feature, asks for a prediction, looks at the registry and at the monitor's last run."""
    chosen = Chosen(file, env, var, var_file, json=json, no_color=no_color)
    with opened(chosen) as (workspace, shown):
        from mlinfra.engine.inspect import check as outcomes_of
        from mlinfra.views.tables import check_lines, check_record

        outcomes = list(outcomes_of(workspace, tuple(components or ())))
        shown.lines(check_lines(outcomes))
        for outcome in outcomes:
            shown.record(check_record(outcome))
        if not all(outcome.passed for outcome in outcomes):
            raise typer.Exit(ERROR)
