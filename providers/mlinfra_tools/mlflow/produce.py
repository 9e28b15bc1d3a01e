"""Runs a training's command and makes what it registered known: tags on its model versions, and the aliases it produces.

Runs in the training's own environment, as ``python produce.py --produces fraud@champion -- COMMAND…``: standard library
and MLflow's REST API only, nothing of mlinfra. It trains nothing and judges no model.

The command finds the programs of that environment first. Its runs carry the tag ``mlinfra:run`` (MLflow adds what
MLFLOW_RUN_CONTEXT says), so that versions which somebody else registers meanwhile are told from ours.

Exit codes: the command's own if it failed; 3 if it registered no version; 4 if MLflow could not be asked; 5 if the folder
for checkpoints cannot be made.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

NO_VERSION = 3
NO_SERVER = 4
NO_FOLDER = 5
TRIES = 5
ANSWER = 60.0
"""Seconds that one answer may take: the server may be writing a large model."""
PRUNE_EVERY = 20.0
"""Seconds between looks at how many checkpoints there are."""
FINISHED = ".mlinfra-finished"
"""A file beside the checkpoints: the last run ended well, so there is nothing to go on with."""


class ServerError(Exception):
    """MLflow said no, or nothing."""


@dataclass(frozen=True)
class Product:
    """A model that a run makes a version of, and the alias that this version gets: by itself, or by a person."""

    model: str
    alias: str = ""
    manual: bool = False

    @classmethod
    def parse(cls, text: str) -> Product:
        """``MODEL``, ``MODEL@ALIAS`` or ``MODEL@ALIAS:manual``. Errors: ArgumentTypeError."""
        name, _, approval = text.partition(":")
        model, _, alias = name.partition("@")
        if not model or approval not in ("", "auto", "manual"):
            raise argparse.ArgumentTypeError(f"{text!r} is not MODEL[@ALIAS][:auto|:manual]")
        return cls(model, alias, approval == "manual")


class Registry:
    """The few calls of MLflow's REST API that are needed here."""

    def __init__(self, uri: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.uri = uri.rstrip("/")
        self._sleep = sleep

    def call(self, method: str, path: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """One call; asked again a few times while the server is busy. Errors: ServerError."""
        url = f"{self.uri}/api/2.0/mlflow/{path}"
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
                    raise ServerError(f"MLflow at {self.uri} said {error.code}: {text[:300]}") from None
                reason = f"{error.code}: {text[:300]}"
            except (OSError, ValueError) as error:
                reason = str(error)
            if attempt < TRIES - 1:
                self._sleep(0.5 * 2**attempt)
        raise ServerError(f"MLflow at {self.uri} does not answer ({reason})")

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


def announce(
    registry: Registry, products: Sequence[Product], made: Mapping[str, Sequence[int]], tags: Mapping[str, str]
) -> None:
    """Tag all versions first; then give the newest of each model its aliases, or say who must."""
    waiting = {product.model for product in products if product.alias and product.manual}
    for model, numbers in made.items():
        pending = {"mlinfra.approval": "pending"} if model in waiting else {}
        for number in numbers:
            for key, value in {**tags, **pending}.items():
                values = {"name": model, "version": str(number), "key": key, "value": value}
                registry.call("POST", "model-versions/set-tag", values)
        listed = ", ".join(str(number) for number in numbers)
        say(f"registered version{'s' if len(numbers) > 1 else ''} {listed} of {model}")
    for product in products:
        newest = made[product.model][-1]
        if product.alias and product.manual:
            where = f"{registry.uri}/#/models/{urllib.parse.quote(product.model)}/versions/{newest}"
            say(
                f"version {newest} of {product.model} waits for approval: to approve it, set the alias {product.alias} "
                f"to it at {where}"
            )
        elif product.alias:
            values = {"name": product.model, "alias": product.alias, "version": str(newest)}
            registry.call("POST", "registered-models/alias", values)
            say(f"{product.alias} of {product.model} is version {newest} now")


def say(text: str, stream: TextIO = sys.stdout) -> None:
    """One line of the run's log."""
    stream.write(f"mlinfra: {text}\n")
    stream.flush()


class Checkpoints:
    """The folder where a run keeps what it needs to go on, or a URL that only the command can reach.

    Each entry of the folder is one checkpoint, a file or a folder; links and hidden entries are not counted.
    """

    def __init__(self, place: str, keep: int | None) -> None:
        parts = urllib.parse.urlsplit(place)
        local = parts.scheme == "file" or "://" not in place
        self.place = urllib.request.url2pathname(parts.path) if parts.scheme == "file" else place
        self.folder = Path(self.place) if local else None
        self._keep = keep

    def begin(self) -> dict[str, str]:
        """Make the folder. Gives what the command is told: where it is, and whether there is something to go on with.

        Errors: OSError.
        """
        if self.folder is None:
            if self._keep is not None:
                say(f"checkpoints at {self.place} are not pruned: that is no folder")
            return {"MLINFRA_CHECKPOINTS": self.place}
        self.folder.mkdir(parents=True, exist_ok=True)
        resume = bool(self._entries()) and not (self.folder / FINISHED).exists()
        (self.folder / FINISHED).unlink(missing_ok=True)
        return {"MLINFRA_CHECKPOINTS": self.place, "MLINFRA_RESUME": "true" if resume else "false"}

    def prune(self, *, writing: bool = False) -> None:
        """Remove all but the newest; one more is left while another may be half written."""
        if self.folder is None or self._keep is None:
            return
        for entry in self._entries()[self._keep + writing :]:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)

    def finished(self) -> None:
        """Remember that the run ended well."""
        if self.folder is not None and self.folder.is_dir():
            (self.folder / FINISHED).touch()

    def _entries(self) -> list[Path]:
        """The checkpoints, newest first."""
        assert self.folder is not None
        found: list[tuple[float, str, Path]] = []
        for entry in self.folder.iterdir():
            try:
                if not entry.name.startswith(".") and not entry.is_symlink():
                    found.append((entry.stat().st_mtime, entry.name, entry))
            except FileNotFoundError:
                continue  # the command has removed it just now
        return [entry for _, _, entry in sorted(found, reverse=True)]


def execute(command: Sequence[str], environment: Mapping[str, str], checkpoints: Checkpoints | None = None) -> int:
    """Run the command to its end; a request to stop is passed on. Gives its exit code, 128 + n for signal n."""
    try:
        child = subprocess.Popen(list(command), env=dict(environment))
    except OSError as error:
        say(f"{command[0]} cannot be started: {error.strerror or error}", sys.stderr)
        return 127
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: child.send_signal(received))
    while True:
        try:
            code = child.wait(PRUNE_EVERY if checkpoints is not None else None)
        except subprocess.TimeoutExpired:
            assert checkpoints is not None
            checkpoints.prune(writing=True)
        else:
            break
    if checkpoints is not None:
        checkpoints.prune(writing=code != 0)
    return code if code >= 0 else 128 - code


def surroundings(outer: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The command's environment: as if this program's Python environment had been activated."""
    programs = str(Path(sys.executable).parent)
    path = os.pathsep.join(filter(None, [programs, outer.get("PATH", os.defpath)]))
    active = {"VIRTUAL_ENV": sys.prefix} if sys.prefix != sys.base_prefix else {}
    return {**outer, "PATH": path, **active, **own}


def pair(text: str) -> tuple[str, str]:
    """``key=value`` as a pair."""
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def parsed(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments, and the command after ``--``."""
    parser = argparse.ArgumentParser(prog="produce.py", description="Run a training and name what it registered.")
    parser.add_argument(
        "--produces",
        type=Product.parse,
        action="append",
        default=[],
        metavar="MODEL[@ALIAS][:manual]",
        help="a registered model that gets a version, and the alias that this version gets",
    )
    parser.add_argument("--tag", type=pair, action="append", default=[], help="key=value, put on each new version")
    parser.add_argument("--keep", type=int, help="how many checkpoints are kept")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Run the training. Returns the exit code."""
    arguments = parsed(argv)
    run = os.environ.get("MLINFRA_RUN_ID") or uuid.uuid4().hex
    tags = {**dict(arguments.tag), "mlinfra:run": run}
    context = {**json.loads(os.environ.get("MLFLOW_RUN_CONTEXT") or "{}"), **tags}
    own = {"MLINFRA_RUN_ID": run, "MLFLOW_RUN_CONTEXT": json.dumps(context)}
    checkpoints = None
    if os.environ.get("MLINFRA_CHECKPOINTS"):
        checkpoints = Checkpoints(os.environ["MLINFRA_CHECKPOINTS"], arguments.keep)
        try:
            own |= checkpoints.begin()
        except OSError as error:
            say(f"no checkpoints can be kept in {checkpoints.place}: {error.strerror or error}", sys.stderr)
            return NO_FOLDER
    environment = surroundings(os.environ, own)
    try:
        code = produce(arguments.produces, arguments.command, environment, tags, checkpoints)
    except ServerError as error:
        say(str(error), sys.stderr)
        return NO_SERVER
    if code == 0 and checkpoints is not None:
        checkpoints.finished()
    return code


def produce(
    products: Sequence[Product],
    command: Sequence[str],
    environment: Mapping[str, str],
    tags: Mapping[str, str],
    checkpoints: Checkpoints | None,
) -> int:
    """Run the command and announce what it made; nothing is announced unless each model has a version. Gives the exit code.

    Errors: ServerError.
    """
    registry = Registry(environment["MLFLOW_TRACKING_URI"]) if products else None
    models = list(dict.fromkeys(product.model for product in products))
    before = {model: set(registry.versions(model)) for model in models} if registry else {}
    code = execute(command, environment, checkpoints)
    if code != 0:
        say(f"the training failed with exit code {code}", sys.stderr)
    if code != 0 or registry is None:
        return code
    made: dict[str, list[int]] = {}
    for model in models:
        after = registry.versions(model)
        fresh = {number: version for number, version in after.items() if number not in before[model]}
        made[model] = ours(registry, fresh, tags["mlinfra:run"])
    missing = [model for model, numbers in made.items() if not numbers]
    for model in missing:
        named = 'os.environ["MLINFRA_MODEL_NAME"]' if len(models) == 1 else f'"{model}"'
        told = f' (it is "{model}")' if len(models) == 1 else ""
        say(
            f"the training ended well but registered no version of {model}: log the model with "
            f"registered_model_name={named}{told}",
            sys.stderr,
        )
    if missing:
        return NO_VERSION
    announce(registry, products, made, tags)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
