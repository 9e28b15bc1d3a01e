"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

Environment = Annotated[
    Optional[str],
    typer.Option(
        "-e", "--env", metavar="NAME", help="Environment of the blueprint (default: MLINFRA_ENV, or its default one)."
    ),
]
BlueprintPath = Annotated[
    Path,
    typer.Option("-f", "--file", metavar="PATH", help="Blueprint: a file, or a folder of them.", show_default=True),
]
Variables = Annotated[list[str], typer.Option("--var", metavar="NAME=VALUE", help="Set a variable; may be repeated.")]
VariableFiles = Annotated[
    list[Path], typer.Option("--var-file", metavar="FILE", help="YAML file of variables; may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="JSON lines for machines.")]
JsonInto = Annotated[
    Optional[Path],
    typer.Option("--json-into", metavar="FILE", help="Text here, and JSON lines in FILE."),
]
NoColor = Annotated[bool, typer.Option("--no-color", help="No colours, no moving progress. NO_COLOR does the same.")]
Targets = Annotated[
    list[str], typer.Option("--target", metavar="ADDRESS", help="Only this and what it needs; may be repeated.")
]
Excludes = Annotated[
    list[str], typer.Option("--exclude", metavar="ADDRESS", help="Not this, nor what needs it; may be repeated.")
]
Replaces = Annotated[
    list[str], typer.Option("--replace", metavar="ADDRESS", help="Replace this in any case; may be repeated.")
]
Adopts = Annotated[
    list[str],
    typer.Option(
        "--adopt", metavar="ADDRESS", help="Take over an object that exists and is not ours; may be repeated."
    ),
]
DataLoss = Annotated[
    list[str],
    typer.Option("--allow-data-loss", metavar="ADDRESS", help="Agree to lose what this holds; may be repeated."),
]
Parallelism = Annotated[int, typer.Option("--parallelism", metavar="N", min=1, max=256, help="Steps at a time.")]
LockTimeout = Annotated[
    str,
    typer.Option(
        "--lock-timeout", metavar="TIME", help="How long to wait for another run to end: 30s, 5m. 0 does not wait."
    ),
]
WaitTimeout = Annotated[
    str,
    typer.Option("--wait-timeout", metavar="TIME", help="How long to wait for what has to happen outside: 30s, 5m."),
]
AutoApprove = Annotated[bool, typer.Option("--auto-approve", "-y", help="Do not ask.")]
