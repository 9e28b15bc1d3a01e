"""Commands that start a stand-in for a cloud on this machine, to try things out.

The stand-in is a process of its own: nothing of it is imported here. In a wheel it is the package `mlinfra_emulator`; in a
checkout it is the tests' own, so that what people try is what mlinfra is tested with.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

import mlinfra

sandbox = typer.Typer(
    help="Stand-ins for clouds on this machine, to try mlinfra without an account.", no_args_is_help=True
)
WARNING = (
    "This is NOT AWS. It is an emulator (moto) on this machine: it keeps everything in memory, checks no permissions, runs no\n"
    "models, and forgets all when it stops. What works here may be refused there. Never put real data or secrets into it.\n"
)


@sandbox.command()
def aws(
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="Its port; 0: any free one.")
    ] = 5055,
) -> None:
    """An emulator of AWS on 127.0.0.1, until Ctrl-C. It is not AWS."""
    command, environ = _emulator()
    # It ends when its standard input does, and so with this process, however that ends.
    pipe = subprocess.PIPE
    child = subprocess.Popen([*command, str(port)], stdin=pipe, stdout=pipe, text=True, env=environ)
    assert child.stdout is not None
    try:
        url = child.stdout.readline().strip()
        if not url:
            raise typer.Exit(child.wait() or 1)
        typer.echo(WARNING, err=True)
        typer.echo("In another terminal:\n")
        for name, value in (
            ("AWS_ENDPOINT_URL", url),
            ("AWS_ACCESS_KEY_ID", "AKIA111111111111DEMO"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
        ):
            typer.echo(f"  export {name}={value}")
        typer.echo('\nand an environment such as { provider: aws, region: eu-west-1, account: "111111111111" }.')
        child.wait()
    except KeyboardInterrupt:
        pass  # the terminal sent it to the child too
    finally:
        child.terminate()
        child.wait()


def _emulator() -> tuple[list[str], dict[str, str]]:
    """The command line that starts it, and its environment.

    Errors: Exit with 1 if it is not installed.
    """
    checkout = Path(mlinfra.__file__).resolve().parents[1]
    environ = dict(os.environ)
    if find_spec("moto") is None:
        typer.echo('The emulator is not installed.\n  Install it: pip install "mlinfra-cli[aws,sandbox]".', err=True)
        raise typer.Exit(1)
    if find_spec("mlinfra_emulator") is not None:
        return [sys.executable, "-P", "-m", "mlinfra_emulator"], environ
    environ["PYTHONPATH"] = str(checkout)
    return [sys.executable, "-P", "-m", "tests.emulator"], environ
