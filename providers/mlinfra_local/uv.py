"""Running uv: its output goes to a log, its progress is told in short lines, its failures in its own words with a remedy."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.resource import Operation
from mlinfra_local import launch, log_file
from mlinfra_local.alive import MARKER
from mlinfra_local.paths import refused

REMEDIES: Final = (
    # (what uv says, what to do)
    (r"No space left on device", "Free some disk space, then run `mlinfra apply` again."),
    (r"hash(es)? mismatch|Hash mismatch", "A file of the index differs from what was pinned: make the lock anew."),
    (
        r"dns error|failed to lookup|Could not connect|connection refused|Connection refused|timed out|tcp connect",
        "Check the network. If you use a package index of your own, set UV_DEFAULT_INDEX; for a proxy, HTTPS_PROXY.",
    ),
    (r"invalid peer certificate|UnknownIssuer", "Name your certificates: SSL_CERT_FILE=… or UV_NATIVE_TLS=1."),
    (
        r"not found in the package registry|no versions of|there is no version of",
        "Correct the name or the version of the package in the requirements.",
    ),
    (r"No solution found", "The requirements contradict one another: loosen one of them."),
    (r"No interpreter found", "Install that Python version, or ask for another one."),
)
PREFIX: Final = re.compile(r"^\W*(?:(?:error|cause|Caused by|hint):\s*)*")
"""What uv puts before what it says."""
FAILURE: Final = re.compile(r"\s*(?:error:|\N{MULTIPLICATION SIGN})")
"""The line that begins a failure; what comes before tells how far it came."""
PATIENCE: Final = {"UV_HTTP_TIMEOUT": "120", "UV_NO_PROGRESS": "1"}


def run(
    uv: str,
    arguments: Sequence[str],
    *,
    log: Path,
    marker: str,
    op: Operation,
    progress: Callable[[str], None] = lambda line: None,
) -> None:
    """Run uv to its end; an interrupt ends it. The user's own uv settings (indexes, certificates, cache) hold.

    Errors: ProviderError with uv's last lines; Cancelled.
    """
    own = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    # As wide as it likes: it breaks its lines where a terminal ends, and its words are read here.
    values = {**launch.environment(own, os.environ), "COLUMNS": "10000", MARKER: marker}
    start = log.stat().st_size if log.exists() else 0
    try:
        with log.open("ab") as stream:
            child = subprocess.Popen(
                [uv, *arguments],
                env=values,
                cwd=log.parent,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise refused(error, Path(uv)) from error
    try:
        told = start
        while child.poll() is None:
            op.wait(0.05)
            told = _tell(log, told, progress)
        _tell(log, told, progress)
    finally:
        if child.poll() is None:
            child.terminate()
            child.wait()
    if child.returncode != 0:
        text = _since(log, start)
        raise ProviderError(_summary(text), remedy=_remedy(text, log), log=log_file.excerpt(log))


def _tell(log: Path, told: int, progress: Callable[[str], None]) -> int:
    with log.open("rb") as stream:
        stream.seek(told)
        text = stream.read()
    end = text.rfind(b"\n") + 1
    for line in text[:end].decode("utf-8", "replace").splitlines():
        progress(line.strip())
    return told + end


def _since(log: Path, start: int) -> str:
    with log.open("rb") as stream:
        stream.seek(start)
        return stream.read().decode("utf-8", "replace")


def _summary(text: str) -> str:
    """What is wrong, of all that uv said."""
    raw = text.splitlines()
    start = next((number for number, line in enumerate(raw) if FAILURE.match(line)), 0)
    lines = [line for line in (PREFIX.sub("", line).strip() for line in raw[start:]) if line]
    for pattern, _ in REMEDIES:
        telling = [line for line in lines if re.search(pattern, line)]
        if telling:
            break
    else:
        # Nothing that is known: what failed, and the last cause that uv gives for it.
        telling = [": ".join(dict.fromkeys((lines[0], lines[-1])))] if lines else ["uv said nothing"]
    said = telling[0].removeprefix("Because ").partition(", we can conclude that")[0]
    return f"the Python environment cannot be made: {said.rstrip('.')}"


def _remedy(text: str, log: Path) -> str:
    for pattern, remedy in REMEDIES:
        if re.search(pattern, text):
            return remedy
    return f"uv's whole output is in {log}."
