"""Runs Feast's command line in a process of its own, without importing Feast anew each time.

Importing Feast takes seconds, and its command line keeps what it imported of a repository. So a clerk is forked once, after
Feast is imported and before any thread runs, and forks again for each job. Must not serve requests.
"""

# Feast and what comes with it are in the workload's environment only.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Lock
from typing import Any

Say = Callable[[str], None]


class ClerkGone(Exception):
    """The clerk's process has ended."""


class Clerk:
    """The forked process, seen from the server."""

    def __init__(self) -> None:
        """Fork. To be called while this process has one thread."""
        self._lock = Lock()
        self._pipe, theirs = Pipe()
        if os.fork() == 0:
            self._pipe.close()
            _attend(theirs)
        theirs.close()

    def do(self, job: Mapping[str, Any], say: Say) -> str | None:
        """Do one job and wait for it; ``say`` is told each step. Gives None, or in a line why it failed.

        Errors: ClerkGone.
        """
        with self._lock:
            try:
                self._pipe.send(dict(job))
                while True:
                    told = self._pipe.recv()
                    if "say" in told:
                        say(told["say"])
                    else:
                        return told["failed"]  # type: ignore[no-any-return]
            except (EOFError, OSError) as error:
                raise ClerkGone("the process that applies has ended, and the feature server with it") from error


def _attend(pipe: Connection) -> None:
    """The clerk's life: one child a job, until the server is gone."""
    code = 0
    try:
        while True:
            job = pipe.recv()
            child = os.fork()
            if child == 0:
                _work(job, pipe)
            _, status = os.waitpid(child, 0)
            if status != 0:
                code = os.waitstatus_to_exitcode(status)
                pipe.send(
                    {"failed": f"Feast ended with code {code}" if code > 0 else f"Feast was killed (signal {-code})"}
                )
    except (EOFError, OSError, KeyboardInterrupt):
        code = 0
    finally:
        os._exit(code)


def _work(job: Mapping[str, Any], pipe: Connection) -> None:
    """A job in a child of the clerk. Does not return."""
    failed: str | None = None
    try:
        for step in job["steps"]:
            pipe.send({"say": step["say"]})
            if "command" in step:
                _feast(step["command"])
            else:
                _make_tables(Path(step["tables"]))
    except BaseException as error:  # whatever Feast raises, SystemExit too, is the answer to who asked
        traceback.print_exc()
        failed = _brief(error)
    sys.stdout.flush()
    sys.stderr.flush()
    pipe.send({"failed": failed})
    os._exit(0)


def _feast(command: list[str]) -> None:
    """One command of Feast's command line.

    Errors: whatever it raises; RuntimeError if it exits with another code than 0.
    """
    from feast.cli.cli import cli

    try:
        cli(command, standalone_mode=False)
    except SystemExit as error:
        if error.code not in (None, 0):
            raise RuntimeError(f"feast {' '.join(command[2:])} ended with code {error.code}") from error


def _make_tables(folder: Path) -> None:
    """Have Feast make the online tables of registered views that are missing: its command line compares with the registry,
    where they stand as made."""
    from feast import FeatureStore

    store = FeatureStore(repo_path=str(folder))
    views = store.list_feature_views()
    store._get_provider().update_infra(
        project=store.project,
        tables_to_delete=[],
        tables_to_keep=views,
        entities_to_delete=[],
        entities_to_keep=store.list_entities(),
        partial=True,
    )


def _brief(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return f"{type(error).__name__}: {text.splitlines()[0]}"
