"""`local.process`: a program that runs on after the CLI has gone. What is known of it stands in its `ProcessFolder`."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import secrets
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

import psutil
from pydantic import BaseModel, ConfigDict, Field, field_validator

from mlinfra.sdk.errors import NotOurs, ProviderError
from mlinfra.sdk.fields import COMPUTED, REPLACE, SECRET, VOLATILE
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource, Status
from mlinfra_local import alive, launch, log_file, ports, probe
from mlinfra_local.client import LocalClient
from mlinfra_local.paths import safe_name, source
from mlinfra_local.process_record import Everyone, ProcessFolder, Record, process_folder, reserved_ports

SETTLE: Final = 1.0
"""Seconds that a process without ports must live to count as started."""
LIVE: Final = frozenset({"running", "probe", "grace"})
"""Fields whose change needs no restart by itself."""


class HttpProbe(BaseModel):
    """The request that tells whether the process can be used: any answer below 400."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: str
    path: str = "/"
    timeout: float = Field(60.0, gt=0)


class ProcessLimits(BaseModel):
    """``memory``: bytes of data that it may hold (Linux); ``nice``: how far it stands back for others, 0 to 19."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory: int | None = Field(None, gt=0)
    nice: int | None = Field(None, ge=0, le=19)


class LocalProcess(Resource):
    """A program that runs in the background, with a log and a health check.

    Example::

        resource:
          docs:
            type: local.process
            name: docs
            command: [python3, -m, http.server, "{port:http}", --bind, 127.0.0.1]
            ports: { http: }
            probe: { port: http, path: / }
    """

    type: ClassVar[str] = "local.process"

    name: Annotated[str, REPLACE]
    """Its name in this environment."""
    command: list[str] = Field(min_length=1)
    """The program and its arguments. ``{port:<name>}`` stands for a port's number."""
    env: dict[str, str] = {}
    """Environment variables, besides those of whoever starts it."""
    secrets: Annotated[dict[str, str], SECRET] = {}
    """Secrets by name, each put into a file that its user only can read: ``<work>/processes/<name>/secrets/<secret>``."""
    cwd: str | None = None
    """Its working folder, relative to the blueprint's folder; a folder of its own if left out."""
    ports: dict[str, Annotated[int, Field(ge=1, le=65535)] | None] = {}
    """The ports it listens on, by name. Without a number one is chosen at the first start and kept."""
    host: str = "127.0.0.1"
    """The address it listens on."""
    probe: HttpProbe | None = None
    restart_on: dict[str, str] = {}
    """Values whose change restarts it, each under a word that says what changed."""
    limits: ProcessLimits | None = None
    grace: float = Field(35.0, ge=0)
    """Seconds to end by itself before it is killed."""
    running: bool = True
    bound: Annotated[dict[str, int], COMPUTED] = {}
    """The number of each port."""
    urls: Annotated[dict[str, str], COMPUTED] = {}
    """``http://host:number`` of each port."""
    log: Annotated[str | None, COMPUTED] = None
    """The file with what it prints."""
    pid: Annotated[int | None, VOLATILE] = None
    started_at: Annotated[str | None, VOLATILE] = None

    @field_validator("name")
    @classmethod
    def _safe(cls, value: str) -> str:
        return safe_name(value)

    @field_validator("secrets")
    @classmethod
    def _safe_secrets(cls, value: dict[str, str]) -> dict[str, str]:
        return {safe_name(name): text for name, text in value.items()}

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        named = fields["ports"]
        for text in (*fields["command"], *fields["env"].values()):
            for port in launch.PORT.findall(text):
                if port not in named:
                    raise ProviderError(
                        f'"{{port:{port}}}" names a port that {fields["name"]} does not have',
                        remedy=f'Add "{port}" to its ports.',
                    )
        if fields["probe"] is not None and fields["probe"]["port"] not in named:
            raise ProviderError(
                f"the probe of {fields['name']} asks at the port {fields['probe']['port']}, which it does not have",
                remedy=f"Name one of its ports: {', '.join(named) or 'there are none'}.",
            )
        told = dict(fields)
        if fields["cwd"] is not None:
            told["cwd"] = str(source(fields["cwd"], place, "cwd"))
        if named and all(named.values()):
            told["bound"] = dict(named)
            told["urls"] = urls(fields["host"], named)
        told["restart_on"] = {word: short(value) for word, value in fields["restart_on"].items()}
        return told

    @classmethod
    def read_many(cls, client: LocalClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        everyone = Everyone(client, f"{client.work / 'processes'}/")
        return {item.address: cls._live(client, item, everyone) for item in known}

    @classmethod
    def _live(cls, client: LocalClient, known: Known, everyone: Everyone) -> Fields | None:
        folder = process_folder(client, known.id)
        record = folder.record()
        if record is None:
            # Its folder was deleted, or is damaged. If it still runs it is there, and must be ended or started anew.
            orphan = alive.leader(everyone.marked(folder.marker()))
            damaged = folder.path.exists()
            return {"name": known.id, "running": False} if orphan or damaged else None
        process = folder.process(client, record, everyone)
        told: Fields = {
            **record.fields,
            "secrets": folder.secrets(),
            "running": process is not None,
            "bound": dict(record.bound),
            "urls": urls(record.fields["host"], record.bound),
            "log": str(folder.log),
        }
        with contextlib.suppress(psutil.Error):
            if process is not None:
                started = dt.datetime.fromtimestamp(process.create_time(), dt.UTC)
                told |= {"pid": process.pid, "started_at": started.isoformat(timespec="seconds")}
        return told

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        folder = process_folder(client, self.name)
        record = folder.record()
        if record is not None:
            return self.name if dict(record.owner) == dict(op.owner) else None
        # A folder without a record is of a run that was cut off before it wrote one.
        return self.name if folder.path.exists() or alive.scan(client, folder.marker()) else None

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, client: LocalClient, op: Operation) -> Created:
        folder = process_folder(client, self.name)
        record = folder.record()
        if record is not None and dict(record.owner) != dict(op.owner) and not op.adopt:
            other = record.owner.get("mlinfra:address", "another resource")
            raise NotOurs(
                f"a process named {self.name} belongs to {other}",
                remedy=f"Choose another name, or take it over with --adopt {op.address}.",
            )
        same = record is not None and record.fields == self._told() and folder.secrets() == self.secrets
        if record is not None and same and self.running and (found := folder.process(client, record)) is not None:
            folder.started(record.nonce, found)  # started by a run that was cut off before it could write this
        else:
            self._restart(client, folder, record, op)
        return Created(self.name)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        folder = process_folder(client, self.name)
        record = folder.record()
        heads = {change.path.partition(".")[0] for change in changes}
        process = folder.process(client, record) if record is not None else None
        if record is None or not heads <= LIVE or (process is not None) != self.running:
            self._restart(client, folder, record, op)
        else:
            folder.put(client, Record(record.nonce, op.owner, record.bound, self._told()), self.secrets)
        return None

    def _told(self) -> dict[str, Any]:
        """The fields that are written down: not the secrets, not what is seen."""
        hidden = {"secrets", "bound", "urls", "log", "pid", "started_at", "running"}
        told = self.model_dump(mode="json", exclude=hidden)
        return {name: value for name, value in told.items() if value not in (None, {}, [])}

    def _restart(self, client: LocalClient, folder: ProcessFolder, record: Record | None, op: Operation) -> None:
        """Stop what runs of it, then start it as it shall be; or only stop it, if that is what it shall be."""
        _stop(client, folder, op)
        before = record.bound if record is not None else {}
        nonce = secrets.token_hex(8)
        with client.ports:
            bound = self._numbers(client, folder, before, op)
            folder.put(client, Record(nonce, dict(op.owner), bound, self._told()), self.secrets)
        if not self.running:
            folder.stopped(nonce)
            return
        log_file.rotate(folder.log)
        limits = self.limits.model_dump(exclude_none=True) if self.limits else {}
        child = launch.start(
            [launch.placed(word, bound) for word in self.command],
            {name: launch.placed(value, bound) for name, value in self.env.items()},
            cwd=Path(self.cwd) if self.cwd else folder.path,
            log=folder.log,
            limits=limits,
            marker=folder.marker(nonce),
        )
        self._remember(client, folder, nonce, child)

    def _remember(self, client: LocalClient, folder: ProcessFolder, nonce: str, child: subprocess.Popen[bytes]) -> None:
        client.children[child.pid] = child
        with contextlib.suppress(psutil.Error):  # it may be dead already: `ready` tells
            folder.started(nonce, psutil.Process(child.pid))

    def _numbers(
        self, client: LocalClient, folder: ProcessFolder, before: Mapping[str, int], op: Operation
    ) -> dict[str, int]:
        """A number for each port: the fixed one, the one it had, or a free one.

        Errors: ProviderError for one that somebody else holds.
        """
        taken = reserved_ports(client, folder)
        found: dict[str, int] = {}
        for name, fixed in self.ports.items():
            number = fixed or before.get(name)
            if number is None:
                seed = f"{folder.path}:{name}"
                number = ports.choose(seed, self.host, {*taken, *found.values(), *filter(None, self.ports.values())})
            elif self.running and not ports.free(self.host, number):
                remedy = "Stop it, or give the port another number."
                if not fixed:
                    remedy = f"Stop it, or have another port chosen: mlinfra apply --replace {op.address}"
                raise ProviderError(f"the port {number} is taken by {ports.holder(number)}", remedy=remedy)
            found[name] = number
        return found

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        folder = process_folder(client, known.id)
        _stop(client, folder, op)
        folder.remove(client)

    @classmethod
    def ready(cls, client: LocalClient, known: Known, op: Operation) -> None:
        from mlinfra_local.starting import wait_ready

        wait_ready(client, process_folder(client, known.id), op)

    # -- telling ------------------------------------------------------------------------------------------------------

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        from mlinfra_local.starting import explained

        return explained(changes)

    @classmethod
    def status(cls, client: LocalClient, known: Known) -> Status | None:
        folder = process_folder(client, known.id)
        record = folder.record()
        process = folder.process(client, record) if record is not None else None
        if record is None or process is None:
            last = log_file.excerpt(folder.log, 1)
            return Status("stopped", f"last line of its log: {last}" if last else "")
        fields = record.fields
        url = next(iter(urls(fields["host"], record.bound).values()), "")
        wanted = fields.get("probe")
        if wanted:
            status = probe.answer(fields["host"], record.bound[wanted["port"]], wanted["path"], timeout=2.0)
            if status is None or status >= 400:
                return Status("failed", f"runs (process {process.pid}), but answers {status or 'nothing'}", url)
        return Status("running", f"process {process.pid}", url)

    @classmethod
    def logs(cls, client: LocalClient, known: Known, *, tail: int, follow: bool) -> Iterator[str]:
        log = process_folder(client, known.id).log
        end = log.stat().st_size if log.exists() else 0
        yield from log_file.tail(log, tail)
        if follow:
            yield from log_file.follow(log, at=end)


def urls(host: str, bound: Mapping[str, int]) -> dict[str, str]:
    """The URL of each port."""
    shown = probe.reachable(host)
    shown = f"[{shown}]" if ":" in shown else shown
    return {name: f"http://{shown}:{number}" for name, number in bound.items()}


def short(value: str) -> str:
    """A value whose change matters: as it is, or its digest if it is long."""
    return value if len(value) <= 80 and "\n" not in value else hashlib.sha256(value.encode()).hexdigest()[:16]


def _stop(client: LocalClient, folder: ProcessFolder, op: Operation) -> None:
    """End what runs of it: the recorded process, then whatever else carries its marker, such as children that outlived it
    and would keep its port."""
    record = folder.record()
    grace = 10.0
    if record is not None:
        grace = float(record.fields.get("grace", 35.0))
        process = folder.process(client, record)
        if process is not None:
            op.say("stopping")
            alive.stop(client, [process], grace, op.wait)
    left = alive.scan(client, folder.marker())
    if left:
        op.say("stopping what it left running")
        alive.stop(client, left, grace, op.wait)
