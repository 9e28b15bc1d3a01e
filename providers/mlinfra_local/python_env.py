"""`local.python_env`: an isolated Python environment, made by uv from pinned and hashed requirements.

Each lock is built in a folder of its own, named after its digest, and counts once its marker is written: a build that was
cut off is made again, and programs that run from an older build are not disturbed by a newer one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import field_validator

from mlinfra.sdk.errors import Cancelled, NotOurs, ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_local import alive, log_file, uv
from mlinfra_local.client import LocalClient
from mlinfra_local.paths import make_parents, prune, refused, safe_name
from mlinfra_local.writing import read_json, write_json

MARK: Final = "mlinfra-build.json"
"""Written into a build when it is complete."""
TOLD: Final = ("name", "requirements", "lock", "python_version")


class LocalPythonEnv(Resource):
    """A Python environment of its own.

    Example::

        resource:
          tools: { type: local.python_env, name: tools, requirements: [requests] }
    """

    type: ClassVar[str] = "local.python_env"
    noun: ClassVar[str] = "Python environment"

    name: Annotated[str, REPLACE]
    """Its name in this environment."""
    requirements: list[str] = []
    """What to install, as pip writes it; resolved once, when it is made or when they change."""
    lock: str | None = None
    """Instead: the text of a requirements file in which everything is pinned and hashed."""
    python_version: str | None = None
    """A version (``3.12``) or the path of an interpreter; the one that runs mlinfra if left out."""
    complete: bool = True
    """Whether it is whole. Always true in a blueprint."""
    python: Annotated[str | None, COMPUTED] = None
    """The path of its interpreter."""
    digest: Annotated[str | None, COMPUTED] = None
    """A digest of what it is made from."""
    lock_file: Annotated[str | None, COMPUTED] = None
    """The pinned and hashed requirements that were installed."""

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str) -> str:
        return safe_name(value)

    @field_validator("requirements")
    @classmethod
    def _no_options(cls, value: list[str]) -> list[str]:
        for line in value:
            if line.lstrip().startswith("-") or "\n" in line:
                raise ValueError(f"{line!r} is not a requirement like requests>=2.31")
        return value

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        if fields["lock"] is not None and fields["requirements"]:
            fields = {**fields, "requirements": []}  # the lock says all
        digest = digest_of(fields)
        home = Path(os.path.abspath(place.work)) / "envs" / fields["name"]  # noqa: PTH100
        build = home / digest
        return {
            **fields,
            "complete": True,
            "digest": digest,
            "python": str(build / "bin" / "python"),
            "lock_file": str(home / f"{digest}.lock"),
        }

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        home = _home(client, known.id)
        told = read_json(home / "env.json")
        if not isinstance(told, dict):
            return {"name": known.id, "complete": False} if home.is_dir() else None
        fields = {name: value for name, value in told["fields"].items() if value not in (None, [])}
        digest = digest_of(fields)
        return {
            **fields,
            "complete": whole(home / digest),
            "digest": digest,
            "python": str(home / digest / "bin" / "python"),
            "lock_file": str(home / f"{digest}.lock"),
        }

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        home = _home(client, self.name)
        told = read_json(home / "env.json")
        if not isinstance(told, dict):  # a run was cut off before it wrote one
            return self.name if home.exists() else None
        return self.name if told["owner"] == dict(op.owner) else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        home = _home(client, self.name)
        told = read_json(home / "env.json")
        if isinstance(told, dict) and told["owner"] != dict(op.owner) and not op.adopt:
            other = told["owner"].get("mlinfra:address", "another resource")
            raise NotOurs(
                f"a Python environment named {self.name} belongs to {other}",
                remedy=f"Choose another name, or take it over with --adopt {op.address}.",
            )
        self._build(client, op)
        return Created(self.name)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        self._build(client, op)
        return None

    def _told(self) -> Fields:
        return {name: value for name, value in self.model_dump().items() if name in TOLD and value not in (None, [])}

    def _build(self, client: LocalClient, op: Operation) -> None:
        """Make the build for this lock if it is not whole, then name it as the current one."""
        home = _home(client, self.name)
        digest = digest_of(self.model_dump())
        build, lock, log = home / digest, home / f"{digest}.lock", home / "log"
        note = {"fields": self._told(), "owner": dict(op.owner)}
        before = read_json(home / "env.json")
        if before is None:
            with client.tree:
                make_parents(client, home / "env.json")
                write_json(home / "env.json", note)
        if not whole(build):
            self._make(client, build, lock, log, op)
        write_json(home / "env.json", note)
        _sweep(home, {digest, digest_of(before["fields"])} if isinstance(before, dict) else {digest})

    def _make(self, client: LocalClient, build: Path, lock: Path, log: Path, op: Operation) -> None:
        marker = f"{build}#uv"
        left = alive.scan(client, marker) if build.exists() else []
        if left:  # an installer that outlived its CLI would write into what is made now
            alive.stop(client, left, 5.0, op.wait)
        try:
            if build.exists():
                shutil.rmtree(build)
            log_file.rotate(log)
            wanted = self.python_version or sys.executable
            self._resolve(client, lock, log, marker, op)
            op.say("making a Python environment")
            arguments = ["venv", "--no-project", "--python", wanted, str(build)]
            uv.run(client.uv, arguments, log=log, marker=marker, op=op)
            try:
                self._install(client, build, lock, log, marker, op)
            except Cancelled:
                raise
            except ProviderError:
                # An index may have taken back a release that was resolved a moment or a year ago. A given lock stands.
                before = lock.read_text("utf-8")
                if self.lock is not None or self._resolve(client, lock, log, marker, op, anew=True) == before:
                    raise
                self._install(client, build, lock, log, marker, op)
            write_json(build / MARK, _contents(build))
        except BaseException as error:
            shutil.rmtree(build, ignore_errors=True)  # it would only take room
            if isinstance(error, OSError):
                raise refused(error, build) from error
            raise

    def _install(self, client: LocalClient, build: Path, lock: Path, log: Path, marker: str, op: Operation) -> None:
        text = lock.read_text("utf-8")
        if not text.strip():
            return
        op.say(f"downloading and installing {text.count('==')} packages")
        uv.run(
            client.uv,
            ["pip", "install", "--python", str(build / "bin" / "python"), "--require-hashes", "-r", str(lock)],
            log=log,
            marker=marker,
            op=op,
            progress=lambda line: op.say(line) if line.startswith(("Prepared", "Installed")) else None,
        )

    def _resolve(
        self, client: LocalClient, lock: Path, log: Path, marker: str, op: Operation, *, anew: bool = False
    ) -> str:
        """Have the lock beside the environment: as given, as resolved before, or resolved now (``anew``: in any case, from
        what the index has now). Gives its text."""
        if self.lock is not None:
            lock.write_text(self.lock, "utf-8")
            return self.lock
        if lock.is_file() and not anew:
            return lock.read_text("utf-8")
        op.say("resolving what to install")
        wanted, part = lock.with_suffix(".in"), lock.with_suffix(".part")
        wanted.write_text("".join(f"{line}\n" for line in self.requirements), "utf-8")
        python = self.python_version or sys.executable
        arguments = [
            *("pip", "compile", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
            *("--python", python),
            *(("--refresh",) if anew else ()),
        ]
        try:
            uv.run(client.uv, [*arguments, "-o", str(part), str(wanted)], log=log, marker=marker, op=op)
            part.replace(lock)
        finally:
            wanted.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
        return lock.read_text("utf-8")

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        home = _home(client, known.id)
        if not home.exists():
            return
        left = alive.scan(client, f"{home}/") if not _whole_of(client, known.id) else []
        if left:
            alive.stop(client, left, 5.0, op.wait)
        try:
            shutil.rmtree(home)
        except OSError as error:
            raise refused(error, home) from error
        prune(client, home)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        heads = {change.path.partition(".")[0] for change in changes}
        if heads & {"lock", "requirements", "python_version"} and "complete" not in heads:
            return "requirements changed → install anew" if "python_version" not in heads else "another Python"
        if "complete" in heads:
            return "incomplete or changed by hand → install anew"
        return None

    @classmethod
    def logs(cls, client: LocalClient, known: Known, *, tail: int, follow: bool) -> Iterator[str]:
        yield from log_file.tail(_home(client, known.id) / "log", tail)


def digest_of(fields: Fields) -> str:
    """A digest of what an environment is made from."""
    made_from = {name: fields.get(name) or None for name in ("requirements", "lock", "python_version")}
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]


def whole(build: Path) -> bool:
    """Whether a build was finished, its interpreter works as far as can be seen, and what was installed is still there."""
    mark = read_json(build / MARK)
    if not isinstance(mark, dict) or not os.access(build / "bin" / "python", os.X_OK):
        return False
    try:
        found = _contents(build)
    except OSError:
        return False
    same = found["packages"] == mark.get("packages")
    return same and set(mark.get("entries", ())) <= set(found["entries"]) and (build / "pyvenv.cfg").is_file()


def _contents(build: Path) -> dict[str, Any]:
    """What is installed in a build: a digest of its packages with their versions, and the names of what lies at the top."""
    names: set[str] = set()
    for site in sorted(build.glob("lib/python*/site-packages")):
        with os.scandir(site) as entries:
            names.update(entry.name for entry in entries if entry.name != "__pycache__")
    packages = sorted(name for name in names if name.endswith(".dist-info"))
    digest = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:16]
    return {"packages": f"{digest}-{len(packages)}", "entries": sorted(names)}


def _home(client: LocalClient, name: str) -> Path:
    return client.work / "envs" / name


def _whole_of(client: LocalClient, name: str) -> bool:
    told = read_json(_home(client, name) / "env.json")
    return isinstance(told, dict) and whole(_home(client, name) / digest_of(told["fields"]))


def _sweep(home: Path, kept: set[str]) -> None:
    """Remove builds older than the one before: that one may still run."""
    for path in home.iterdir():
        if path.name.partition(".")[0] in kept or path.name in ("env.json", "log", "log.1"):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
