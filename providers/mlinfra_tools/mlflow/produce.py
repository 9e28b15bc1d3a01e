"""Runs a training's command and makes what it registered known: tags on its model versions, and the alias it produces.

Runs in the training's own environment, as ``python produce.py --model fraud --alias champion -- COMMAND…``: standard library
and MLflow's REST API only, nothing of mlinfra. It trains nothing and judges no model.

The command's runs carry the tag ``mlinfra:run`` (MLflow adds what MLFLOW_RUN_CONTEXT says), so that versions which somebody
else registers meanwhile are told from ours.

Exit codes: the command's own if it failed; 3 if it registered no version; 4 if MLflow could not be asked.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

NO_VERSION = 3
NO_SERVER = 4
TRIES = 5
ANSWER = 60.0
"""Seconds that one answer may take: the server may be writing a large model."""


class ServerError(Exception):
    """MLflow said no, or nothing."""


class Registry:
    """The few calls of MLflow's REST API that are needed here."""

    def __init__(self, uri: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._uri = uri.rstrip("/")
        self._sleep = sleep

    def call(self, method: str, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """One call; asked again a few times while the server is busy. Errors: ServerError."""
        url = f"{self._uri}/api/2.0/mlflow/{path}"
        body = None
        if method == "GET":
            url = f"{url}?{urllib.parse.urlencode(values)}"
        else:
            body = json.dumps(values).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        for attempt in range(TRIES):
            try:
                with opener.open(request, timeout=ANSWER) as response:
                    answer: dict[str, Any] = json.loads(response.read() or b"{}")
                    return answer
            except urllib.error.HTTPError as error:
                text = error.read().decode(errors="replace")
                if error.code < 500 and error.code != 429:
                    raise ServerError(f"MLflow at {self._uri} said {error.code}: {text[:300]}") from None
                reason = f"{error.code}: {text[:300]}"
            except (OSError, ValueError) as error:
                reason = str(error)
            if attempt < TRIES - 1:
                self._sleep(0.5 * 2**attempt)
        raise ServerError(f"MLflow at {self._uri} does not answer ({reason})")

    def versions(self, model: str) -> dict[int, dict[str, Any]]:
        """All versions of a registered model by number."""
        quote = '"' if "'" in model else "'"
        query = {"filter": f"name = {quote}{model}{quote}", "max_results": 1000}
        found: dict[int, dict[str, Any]] = {}
        token = ""
        while True:
            page = self.call("GET", "model-versions/search", {**query, **({"page_token": token} if token else {})})
            found.update({int(version["version"]): version for version in page.get("model_versions", ())})
            token = page.get("next_page_token", "")
            if not token:
                return found

    def run_tags(self, run_id: str) -> dict[str, str]:
        """The tags of one of MLflow's runs."""
        run = self.call("GET", "runs/get", {"run_id": run_id})["run"]
        return {tag["key"]: tag["value"] for tag in run.get("data", {}).get("tags", ())}


def ours(registry: Registry, fresh: Mapping[int, Mapping[str, Any]], run: str) -> list[int]:
    """Which of the versions that appeared meanwhile come from this run, oldest first.

    A version without a run of MLflow's, or whose run says nothing, is taken for ours if no version surely is."""
    sure: list[int] = []
    unsure: list[int] = []
    for number in sorted(fresh):
        run_id = fresh[number].get("run_id")
        marked = registry.run_tags(run_id).get("mlinfra:run") if run_id else None
        if marked == run:
            sure.append(number)
        elif marked is None:
            unsure.append(number)
    return sure or unsure


def announce(registry: Registry, arguments: argparse.Namespace, run: str, numbers: Sequence[int]) -> None:
    """Tag the versions; give the newest the alias, or say who must."""
    tags = {**dict(arguments.tag), "mlinfra:run": run}
    newest = numbers[-1]
    if arguments.approval == "manual":
        tags["mlinfra.approval"] = "pending"
    for number in numbers:
        for key, value in tags.items():
            values = {"name": arguments.model, "version": str(number), "key": key, "value": value}
            registry.call("POST", "model-versions/set-tag", values)
    listed = ", ".join(str(number) for number in numbers)
    say(f"registered version{'s' if len(numbers) > 1 else ''} {listed} of {arguments.model}")
    if not arguments.alias:
        return
    if arguments.approval == "manual":
        uri = os.environ["MLFLOW_TRACKING_URI"].rstrip("/")
        say(
            f"version {newest} waits for approval: to approve it, set the alias {arguments.alias} to it at "
            f"{uri}/#/models/{urllib.parse.quote(arguments.model)}/versions/{newest}"
        )
        return
    values = {"name": arguments.model, "alias": arguments.alias, "version": str(newest)}
    registry.call("POST", "registered-models/alias", values)
    say(f"{arguments.alias} of {arguments.model} is version {newest} now")


def say(text: str, stream: TextIO = sys.stdout) -> None:
    """One line of the run's log."""
    stream.write(f"mlinfra: {text}\n")
    stream.flush()


def execute(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the command to its end; a request to stop is passed on. Gives its exit code, 128 + n for signal n."""
    try:
        child = subprocess.Popen(list(command), env=dict(environment))
    except OSError as error:
        say(f"{command[0]} cannot be started: {error.strerror or error}", sys.stderr)
        return 127
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    code = child.wait()
    return code if code >= 0 else 128 - code


def pair(text: str) -> tuple[str, str]:
    """``key=value`` as a pair."""
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, and the command after ``--``."""
    parser = argparse.ArgumentParser(prog="produce.py", description="Run a training and name what it registered.")
    parser.add_argument("--model", help="the registered model that gets versions")
    parser.add_argument("--alias", help="the alias that the newest of them gets")
    parser.add_argument("--approval", choices=["auto", "manual"], default="auto")
    parser.add_argument("--tag", type=pair, action="append", default=[], help="key=value, put on each new version")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run the training. Returns the exit code."""
    arguments = parsed(argv)
    run = os.environ.get("MLINFRA_RUN_ID") or uuid.uuid4().hex
    context = {**json.loads(os.environ.get("MLFLOW_RUN_CONTEXT") or "{}"), **dict(arguments.tag), "mlinfra:run": run}
    environment = {**os.environ, "MLINFRA_RUN_ID": run, "MLFLOW_RUN_CONTEXT": json.dumps(context)}
    if not arguments.model:
        return execute(arguments.command, environment)
    registry = Registry(os.environ["MLFLOW_TRACKING_URI"])
    try:
        before = registry.versions(arguments.model)
        code = execute(arguments.command, environment)
        if code != 0:
            say(f"the training failed with exit code {code}", sys.stderr)
            return code
        after = registry.versions(arguments.model)
        fresh = {number: version for number, version in after.items() if number not in before}
        numbers = ours(registry, fresh, run)
        if not numbers:
            say(
                f"the training ended well but registered no version of {arguments.model}: log the model with "
                f'registered_model_name=os.environ["MLINFRA_MODEL_NAME"] (it is "{arguments.model}")',
                sys.stderr,
            )
            return NO_VERSION
        announce(registry, arguments, run, numbers)
    except ServerError as error:
        say(str(error), sys.stderr)
        return NO_SERVER
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
