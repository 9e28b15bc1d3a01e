"""Writes the references that come from the code itself: docs/cli.md, docs/kinds.md, docs/resources.md.

``python scripts/reference.py`` writes them; with ``--check`` it says which are out of date and ends with 1. `codes` finds the
codes of diagnostics in the source, which docs/errors.md explains by hand.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import typer
from pydantic import BaseModel

from mlinfra.cli.app import app
from mlinfra.engine.catalog import Catalog
from mlinfra.kinds import KINDS, kind_model
from mlinfra.views.fields import field_rows, prose

ROOT: Final = Path(__file__).resolve().parents[1]
SHARED: Final = 4
"""An option that so many commands have is told once."""
CODE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
MADE: Final = "<!-- Made by scripts/reference.py: change the code, then run `python scripts/reference.py`. -->\n"


def cli_page() -> str:
    """Every command with its arguments and options."""
    commands = dict(_commands(typer.main.get_command(app)))
    told = Counter(_option(option) for command in commands.values() for option in _options(command))
    shared = {row for row, times in told.items() if times >= SHARED}
    lines = [
        "# Commands",
        "",
        MADE,
        "Results go to stdout; progress and mistakes to stderr.",
        "",
        "| exit code | meaning |",
        "|---|---|",
        "| 0 | done |",
        "| 1 | a mistake, a failure, or a plan that was not approved |",
        "| 2 | with `plan --detailed-exitcode`: there are changes |",
        "| 130 | interrupted |",
        "",
        "| environment variable | meaning |",
        "|---|---|",
        "| `MLINFRA_ENV` | the environment, where `-e` is not given |",
        "| `MLINFRA_VAR_<name>` | the value of a variable |",
        "| `NO_COLOR` | no colours, no moving progress |",
        "| `CI` | no moving progress, even on a terminal |",
        "| `MLINFRA_DEBUG` | a stack trace where mlinfra itself fails |",
        "",
        "## Options that many commands have",
        "",
        *_table(("option", "meaning"), [row for row in told if row in shared]),
    ]
    for name, command in commands.items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        shape = " ".join(p.metavar if p.required else f"[{p.metavar}]" for p in arguments)
        usage = f"mlinfra {name} {shape}".rstrip()
        lines += ["", f"## `{usage}`", "", " ".join((command.help or "").split())]
        own = [(f"`{p.metavar}`", p.help or "") for p in arguments]
        own += [row for row in map(_option, _options(command)) if row not in shared]
        if own:
            lines += ["", *_table(("", ""), own)]
        also = [
            row[0].rpartition("`, `")[2].strip("`").split()[0]
            for row in map(_option, _options(command))
            if row in shared
        ]
        if also:
            lines += ["", f"Also: {', '.join(f'`{flag}`' for flag in also)}."]
    return "\n".join(lines) + "\n"


def kinds_page() -> str:
    """Every kind with its fields and outputs."""
    catalog = Catalog()
    providers = [catalog.provider(name) for name in catalog.names()]
    lines = [
        "# Kinds",
        "",
        MADE,
        "What a blueprint can be made of. A component's section is named for its kind; `mlinfra kinds KIND` prints this, too.",
    ]
    for kind in KINDS:
        model = kind_model(kind)
        assert model is not None
        by = [provider.name for provider in providers if kind in provider.recipes]
        lines += ["", f"## {kind}", "", *_model(model), "", f"Made by: {', '.join(by)}."]
        if model.outputs:
            rows = [(f"`${{{kind}.<name>.{name}}}`", text) for name, text in model.outputs.items()]
            lines += ["", *_table(("output", "what it is"), rows)]
    return "\n".join(lines) + "\n"


def resources_page() -> str:
    """Every resource type with its fields and their policies."""
    catalog = Catalog()
    lines = [
        "# Resource types",
        "",
        MADE,
        "What providers manage. Components become resources of these types; the section `resource:` of a blueprint takes them as "
        "they are. `mlinfra providers TYPE` prints this, too.",
    ]
    for name in catalog.names():
        for type_name in sorted(catalog.provider(name).resources):
            model = catalog.resource_type(type_name)
            lines += ["", f"## {type_name}", "", *_model(model)]
            if model.holds_data:
                lines += ["", "It may hold data: a plan that deletes it says what would be lost."]
            if model.external:
                lines += ["", "A run or a person brings it into being; mlinfra waits for it and keeps track of it."]
    return "\n".join(lines) + "\n"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/cli.md": cli_page,
    "docs/kinds.md": kinds_page,
    "docs/resources.md": resources_page,
}


def codes(root: Path = ROOT) -> dict[str, set[str]]:
    """The codes of diagnostics in the source, each with the summaries that go with it.

    A code is the first argument of a call whose second one is a summary (`fail`, `Diagnostic` and what wraps them), or it
    stands with its summary in a pair.
    """
    found: dict[str, set[str]] = {}
    for folder in ("mlinfra", "providers"):
        for path in sorted((root / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(args=[first, second, _, *_]) | ast.Tuple(elts=[first, second]):
                        # A cloud's service and operation ("s3", "ListObjects") stand in such pairs as well.
                        summaries = {t for t in _texts(second) if t[:1].isupper() and not re.search("[a-z][A-Z]", t)}
                        for code in _texts(first):
                            if summaries and CODE.fullmatch(code) and (isinstance(node, ast.Call) or "-" in code):
                                found.setdefault(code, set()).update(summaries)
                    case _:
                        pass
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from _texts(body)
            yield from _texts(orelse)
        case ast.JoinedStr(values=[ast.Constant(value=str() as text), *_]):
            yield text
        case _:
            pass


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command by its name; those of a group with the group's name before theirs."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _options(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and "--help" not in p.opts]


def _option(option: Any) -> tuple[str, str]:
    flags = sorted(option.opts, key=len)
    value = "" if option.is_flag else f" {option.metavar or option.name.upper()}"
    shown = ", ".join(f"`{flag}`" for flag in flags[:-1])
    last = f"`{flags[-1]}{value}`"
    text = " ".join((option.help or "").split())
    if not option.is_flag and option.default not in (None, [], (), "") and not callable(option.default):
        text += f" Default: {option.default}."
    return (f"{shown}, {last}" if shown else last), text


def _model(model: type[BaseModel]) -> list[str]:
    said, example = prose(model)
    lines = [said.replace("``", "`")]
    if example:
        lines += ["", "```yaml", *example.splitlines(), "```"]
    rows = []
    for row in field_rows(model):
        name = "&nbsp;" * 4 * row.level + f"`{row.name}`"
        rows.append((name, row.type, ", ".join(row.notes), row.about.replace("``", "`")))
    return [*lines, "", *_table(("field", "type", "", "meaning"), rows)]


def _table(head: tuple[str, ...], rows: list[Any]) -> list[str]:
    lines = [head, ("---",) * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]


def main(arguments: list[str]) -> int:
    """Write the pages, or say which differ."""
    stale = []
    for name, page in PAGES.items():
        path, text = ROOT / name, page()
        if path.exists() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
    word = "out of date" if "--check" in arguments else "written"
    for name in stale:
        print(f"{name}: {word}")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
