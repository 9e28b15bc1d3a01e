"""The table of commands. Each command's module is named for what it does."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

import typer

from mlinfra.cli import ask, change, project
from mlinfra.cli.sandbox import sandbox
from mlinfra.cli.state import state

# What typer raises for a command line that it does not understand; it has no public name.
_Misspelt: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="mlinfra",
    help="Plan and apply ML platforms from one blueprint.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    project.init,
    project.validate,
    change.plan,
    change.apply,
    change.destroy,
    ask.status,
    ask.output,
    ask.show,
    ask.graph,
    change.run,
    ask.logs,
    ask.check,
    project.schema,
    project.kinds,
    project.providers,
):
    app.command()(command)
app.add_typer(state, name="state")
app.add_typer(sandbox, name="sandbox")


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and exit.", is_eager=True),
) -> None:
    """Plan and apply ML platforms from one blueprint: on a laptop, on a Docker engine, on AWS."""
    if show:
        from mlinfra import __version__

        typer.echo(f"mlinfra {__version__}")
        raise typer.Exit


def run() -> int:
    """Run the command line; returns the exit code. No stack trace reaches a user unless MLINFRA_DEBUG is set.

    A command line that is not understood gives 1: 2 would tell a script of ``--detailed-exitcode`` that there are changes.
    """
    import gc

    # A run makes many long-lived objects and few cycles: collecting them again and again is a third of the time.
    gc.set_threshold(100_000, 50, 100)
    # Whoever starts us may have closed them.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding, or a file name that is none, costs a character and not the answer.
        sys.stdout.reconfigure(errors="replace")
    try:
        code = app(prog_name="mlinfra", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except _Misspelt as error:
        error.show()  # type: ignore[attr-defined]  # every such exception has it
        return 1
    except (typer.Abort, KeyboardInterrupt):
        sys.stderr.write("Interrupted. Nothing was changed.\n")
        return 130
    except BrokenPipeError:
        # Who read the output has seen enough.
        _let_go()
        return 1
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _let_go()
            where = f" ({error.filename})" if error.filename else ", to which the output goes"
            sys.stderr.write(
                f"Error: Disk is full\n  No space is left on the device{where}.\n  Make room, then try again.\n"
            )
            return 1
        if os.environ.get("MLINFRA_DEBUG"):
            raise
        sys.stderr.write(
            f"Error: mlinfra failed unexpectedly: {type(error).__name__}: {error}\n"
            "  This is a mistake in mlinfra. Run again with MLINFRA_DEBUG=1 and report what it prints.\n"
        )
        return 1
    return 0


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


def _let_go() -> None:
    """What Python would still flush to stdout goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
