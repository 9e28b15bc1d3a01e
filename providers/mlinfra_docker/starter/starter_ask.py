"""Asks a starter for a run of its job, prints what that prints, and ends with its exit code.

``ask(HOST, PORT, TOKEN_FILE)`` is put behind this text where it runs. Standard library only, nothing of mlinfra. Exit code
125: the run was cut off, or there is no starter.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any

CUT_OFF = 125
ATTEMPTS = 30
"""How often a starter is asked that does not answer: it may be on its way up."""
PAUSE = 1.0
ANSWER = 60.0
"""Seconds that an answer may take; one of a run that prints nothing comes after 20."""


def asked(host: str, port: int, token: str, method: str, path: str) -> dict[str, Any]:
    """One answer.

    Errors: OSError or HTTPException if there is none; RuntimeError for one that refuses.
    """
    connection = http.client.HTTPConnection(host, port, timeout=ANSWER)
    try:
        connection.request(method, path, headers={"authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"the starter refuses: {answer.status} {body.decode(errors='replace')[:200]}")
    told: dict[str, Any] = json.loads(body)
    return told


def begun(host: str, port: int, token: str) -> int:
    """The number of a run.

    Errors: as those of an answer.
    """
    for attempt in range(ATTEMPTS):
        try:
            return int(asked(host, port, token, "POST", "/run")["run"])
        except (OSError, http.client.HTTPException):
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE)
    raise AssertionError


def ask(host: str, port: int, token_file: str) -> int:
    """A whole run: its exit code."""
    try:
        token = Path(token_file).read_text("utf-8")
        run, start = begun(host, port, token), 0
        while True:
            told = asked(host, port, token, "GET", f"/runs/{run}?from={start}")
            sys.stdout.write(told["text"])
            sys.stdout.flush()
            start = told["next"]
            if told["code"] is not None:
                return int(told["code"])
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        sys.stderr.write(f"mlinfra: {error or type(error).__name__}\n")
        return CUT_OFF
