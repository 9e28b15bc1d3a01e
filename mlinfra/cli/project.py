"""Commands about blueprints and providers themselves: init, validate, schema, kinds, providers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from mlinfra.cli import options as o
from mlinfra.cli.session import Chosen, opened, screen

if TYPE_CHECKING:
    from mlinfra.kinds.kind import Kind

_HERE = Path("blueprint.yaml")


def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to; it may exist.")] = Path(),
    source: Annotated[
        str, typer.Option("--from", metavar="NAME", help="Which ready blueprint to start with.")
    ] = "starter",
    no_color: o.NoColor = False,
) -> None:
    """Write a first blueprint."""
    with screen(Chosen(_HERE, no_color=no_color)) as shown:
        from mlinfra.cli.starters import copy_starter

        for path in copy_starter(source, folder):
            shown.lines([[("wrote ", "dim"), (str(path), "")]])
        where = "" if folder == Path() else f"cd {folder} && "
        shown.lines([[(f"Next: {where}mlinfra plan", "bold")]])


def validate(
    env: o.Environment = None,
    file: o.BlueprintPath = _HERE,
    var: o.Variables = [],
    var_file: o.VariableFiles = [],
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """Find every mistake in a blueprint. Reads nothing but files."""
    chosen = Chosen(file, env, var, var_file, json=json, no_color=no_color)
    with opened(chosen) as (workspace, shown):
        desire = workspace.validate()
        blueprint = workspace.blueprint
        count = len(blueprint.components) + len(blueprint.resources)
        shown.record({"event": "valid", "components": count, "resources": len(desire.resources)})
        shown.lines(
            [
                [
                    ("Valid: ", "good"),
                    (f"{blueprint.name} in {blueprint.environment.name}, {count} components, ", ""),
                    (f"{len(desire.resources)} resources.", ""),
                ]
            ]
        )


def schema() -> None:
    """Print the JSON Schema of a blueprint, for editors."""
    import json

    from mlinfra.blueprint.schema import json_schema
    from mlinfra.engine.catalog import Catalog
    from mlinfra.sdk.provider import load

    catalog = Catalog()
    providers = (catalog.provider(name) for name in catalog.names())
    settings = {provider.name: load(provider.settings) for provider in providers if provider.settings}
    typer.echo(json.dumps(json_schema(_models(), settings), indent=2))


def kinds(
    kind: Annotated[
        Optional[str],
        typer.Argument(metavar="KIND", help="Tell all about one."),
    ] = None,
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """What a blueprint can be made of."""
    with screen(Chosen(_HERE, json=json, no_color=no_color)) as shown:
        from mlinfra.sdk.diagnostics import did_you_mean, fail
        from mlinfra.views.reference import kind_lines, kinds_lines

        models = _models()
        if kind is None:
            shown.lines(kinds_lines(models))
            shown.record({"event": "kinds", "kinds": sorted(models)})
            return
        if kind not in models:
            raise fail(
                "kind-unknown",
                "Unknown kind",
                f'There is no kind "{kind}".{did_you_mean(kind, models)}',
                f"Kinds are: {', '.join(models)}.",
            )
        shown.lines(kind_lines(kind, models[kind], shown.width))
        shown.record({"event": "kind", "kind": kind, "schema": models[kind].model_json_schema()})


def providers(
    name: Annotated[
        Optional[str],
        typer.Argument(metavar="PROVIDER|TYPE", help="A provider, or a resource type: tell all about it."),
    ] = None,
    json: o.Json = False,
    no_color: o.NoColor = False,
) -> None:
    """Which providers are installed and what each offers."""
    with screen(Chosen(_HERE, json=json, no_color=no_color)) as shown:
        from mlinfra.engine.catalog import Catalog
        from mlinfra.views.reference import provider_lines, type_lines

        catalog = Catalog()
        if name is not None and "." in name:
            model = catalog.resource_type(name)
            shown.lines(type_lines(name, model, shown.width))
            shown.record({"event": "resource_type", "type": name, "schema": model.model_json_schema()})
            return
        names = [name] if name is not None else catalog.names()
        for each in names:
            provider = catalog.provider(each)
            shown.lines(provider_lines(provider))
            shown.record(
                {
                    "event": "provider",
                    "name": provider.name,
                    "version": provider.version,
                    "resources": sorted(provider.resources),
                    "kinds": sorted(provider.recipes),
                    "runtime": provider.runtime is not None,
                }
            )


def _models() -> dict[str, type[Kind]]:
    """Every kind's model by the kind's name."""
    from mlinfra.kinds import KINDS, kind_model

    found: dict[str, type[Kind]] = {}
    for name in KINDS:
        model = kind_model(name)
        assert model is not None  # it stands in the table
        found[name] = model
    return found
