"""Starting a process so that it outlives the CLI: its command, its environment, its limits. Remembers nothing.

Commands are lists of arguments. Within them and within environment values ``{port:<name>}`` stands for the number of a port.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from mlinfra.sdk.errors import ProviderError
from mlinfra_local.alive import MARKER
from mlinfra_local.paths import refused

PORT: Final = re.compile(r"\{port:([A-Za-z0-9_.-]+)\}")
DROPPED: Final = (
    *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONSAFEPATH", "__PYVENV_LAUNCHER__"),
    # A tool that may not keep its bytecode compiles hundreds of files at each start: seconds of it.
    *("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
)
"""What belongs to the environment of the CLI and would lead another interpreter astray."""
LIMITER: Final = """
import json, os, resource, sys
limits = json.loads(sys.argv[1])
if "memory" in limits:
    resource.setrlimit(resource.RLIMIT_DATA, (limits["memory"], limits["memory"]))
if "nice" in limits:
    os.nice(limits["nice"])
os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
"""


def placed(text: str, ports: Mapping[str, int]) -> str:
    """A text with its ports put in.

    Errors: KeyError for a port that there is not.
    """
    return PORT.sub(lambda match: str(ports[match[1]]), text)


def environment(own: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what belongs to the CLI, plus the workload's own values."""
    found = {key: value for key, value in outer.items() if key not in DROPPED and key != MARKER}
    if any(key.lower() in ("http_proxy", "https_proxy", "all_proxy") for key in found):
        # What runs here talks to its neighbours on this machine, which no proxy reaches.
        for key in ("NO_PROXY", "no_proxy"):
            found[key] = ",".join(filter(None, [found.get(key, ""), "127.0.0.1,localhost"]))
    return {**found, **own}


def start(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    cwd: Path,
    log: Path,
    limits: Mapping[str, int],
    marker: str,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, its output appended to ``log``.

    Errors: ProviderError if there is no such program or folder.
    """
    values = {**environment(env, os.environ), MARKER: marker}
    program = shutil.which(command[0], path=values.get("PATH"))
    if program is None:
        raise ProviderError(
            f"there is no program {command[0]}",
            remedy="Install it, or correct the command. It is a list: the program first, then its arguments.",
        )
    if not cwd.is_dir():
        raise ProviderError(f"the working folder {cwd} is not there", remedy="Create it, or correct cwd.")
    arguments = [program, *command[1:]]
    if limits:
        arguments = [sys.executable, "-I", "-c", LIMITER, json.dumps(dict(limits)), *arguments]
    try:
        with log.open("ab") as stream:
            return subprocess.Popen(
                arguments,
                env=values,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise refused(error, Path(program)) from error
