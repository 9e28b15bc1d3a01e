"""A command's session: the screen it writes to, the workspace it opens, and how failures become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer

if TYPE_CHECKING:
    from mlinfra.engine.interrupt import Interrupt
    from mlinfra.engine.workspace import Workspace
    from mlinfra.views.screen import Screen

DONE, ERROR, CHANGES, INTERRUPTED = 0, 1, 2, 130


class Chosen:
    """What the shared options of a command line say."""

    def __init__(
        self,
        path: Path,
        environment: str | None = None,
        variables: list[str] | None = None,
        variable_files: list[Path] | None = None,
        *,
        json: bool = False,
        json_into: Path | None = None,
        no_color: bool = False,
    ) -> None:
        self.path = path
        self.environment = environment
        self.variables = variables or []
        self.variable_files = variable_files or []
        self.json = json
        self.json_into = json_into
        self.no_color = no_color


@contextmanager
def screen(chosen: Chosen) -> Iterator[Screen]:
    """The screen of a command. A `DiagnosticError` within is shown and ends the command with exit code 1."""
    from mlinfra.sdk.diagnostics import DiagnosticError
    from mlinfra.views.screen import BothScreens, JsonScreen, TextScreen

    plain = chosen.no_color or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    made: Screen = JsonScreen() if chosen.json else TextScreen(False if plain else None)
    try:
        if chosen.json_into is not None:
            made = BothScreens(made, _opened(chosen.json_into))
        yield made
    except DiagnosticError as error:
        made.diagnostics(error.diagnostics)
        raise typer.Exit(ERROR) from error
    finally:
        made.close()


def _opened(path: Path) -> TextIO:
    """A file for JSON lines.

    Errors: DiagnosticError.
    """
    from mlinfra.sdk.diagnostics import fail

    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise fail(
            "file-unwritable", "File cannot be written", f"{path}: {error.strerror or error}.", "Name another file."
        ) from error


@contextmanager
def opened(chosen: Chosen) -> Iterator[tuple[Workspace, Screen]]:
    """The blueprint's workspace and the screen of a command."""
    with screen(chosen) as shown:
        from mlinfra.engine.workspace import Selection, Workspace

        selection = Selection(chosen.path, chosen.environment, chosen.variables, chosen.variable_files)
        with Workspace.open(selection) as workspace:
            yield workspace, shown


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Ctrl-C and SIGTERM once: what runs is finished and recorded. Twice: waits end too."""
    from mlinfra.engine.interrupt import Interrupt

    interrupt = Interrupt()

    def pressed(*_: Any) -> None:
        again = interrupt.stop.is_set()
        interrupt.press()
        text = "Ending the waits." if again else "Finishing what runs, starting nothing new. Once more ends the waits."
        sys.stderr.write(f"\n{text}\n")

    before = {number: signal.signal(number, pressed) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def asker(shown: Screen, auto_approve: bool, question: str) -> Callable[[Any], bool]:
    """Asks before a plan is applied: on a terminal the user, else nobody: then ``--auto-approve`` must be given."""

    def ask(plan: Any) -> bool:
        from mlinfra.views.plan_json import plan_record
        from mlinfra.views.plan_text import plan_lines

        shown.lines(plan_lines(plan))
        shown.record(plan_record(plan))
        other = ", or apply a saved plan: mlinfra plan --out FILE, mlinfra apply FILE"
        return approved(shown, auto_approve, question, "the plan", other)

    return ask


def approved(shown: Screen, auto_approve: bool, question: str, what: str, other: str = "") -> bool:
    """Whether the user agrees to ``what`` was shown. ``other`` is a way besides ``--auto-approve`` to do without a question.

    Errors: DiagnosticError where nobody can be asked.
    """
    from mlinfra.sdk.diagnostics import fail

    if auto_approve:
        return True
    if not sys.stdin.isatty() or shown.machine:
        raise fail(
            "not-approved",
            "Nobody to ask",
            f"This is no terminal, so nobody can approve {what}. Nothing was changed.",
            f"Give --auto-approve{other}.",
        )
    # Ctrl-C at the question is an answer: nothing has begun that would have to be finished first.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return bool(typer.confirm(question, err=True))
    finally:
        signal.signal(signal.SIGINT, before)


def duration(text: str, option: str) -> float:
    """Seconds of an option such as ``5m``.

    Errors: DiagnosticError.
    """
    from mlinfra.kinds.units import parse_duration
    from mlinfra.sdk.diagnostics import fail

    try:
        return float(parse_duration(text))
    except ValueError as error:
        raise fail("option-invalid", "Invalid option", f"{option}: {error}.", "Write 30s, 5m or 1h.") from error
