"""What is written down of a process, in a folder of its own: how it shall be, what was started, its secrets and its log.

``process.json`` is written before a start and ``run.json`` after it; both carry the start's nonce, so that a start which
nobody could record any more is noticed. Starts and stops nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil

from mlinfra_local import alive
from mlinfra_local.client import LocalClient
from mlinfra_local.paths import make_parents, prune, refused
from mlinfra_local.writing import read_json, write, write_json


@dataclass(frozen=True, slots=True)
class Record:
    """``fields`` are the fields as applied, without secrets; ``bound`` the numbers of its ports by name."""

    nonce: str
    owner: Mapping[str, str]
    bound: Mapping[str, int]
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProcessFolder:
    """The folder of one process."""

    path: Path

    @property
    def log(self) -> Path:
        """What it prints."""
        return self.path / "log"

    def marker(self, nonce: str = "") -> str:
        """What its environment carries; without a nonce, the beginning that all its starts share."""
        return f"{self.path}#{nonce}"

    def record(self) -> Record | None:
        """How it shall be, or None if that is not written or not readable."""
        told = read_json(self.path / "process.json")
        if not isinstance(told, dict) or "nonce" not in told:
            return None
        return Record(told["nonce"], told["owner"], told["bound"], told["fields"])

    def put(self, client: LocalClient, record: Record, secrets: Mapping[str, str]) -> None:
        """Write down how it shall be, durably.

        Errors: ProviderError if the disk is full or the folder cannot be written.
        """
        target = self.path / "process.json"
        with client.tree:
            make_parents(client, target)
        folder = self.path / "secrets"
        try:
            self.path.chmod(0o700)
            if folder.exists():
                for name in {item.name for item in folder.iterdir()} - secrets.keys():
                    (folder / name).unlink()
            elif secrets:
                folder.mkdir(mode=0o700)
        except OSError as error:
            raise refused(error, self.path) from error
        for name, value in secrets.items():
            write(folder / name, value.encode())
        write_json(
            target,
            {
                "nonce": record.nonce,
                "owner": dict(record.owner),
                "bound": dict(record.bound),
                "fields": dict(record.fields),
            },
        )

    def secrets(self) -> dict[str, str]:
        """Its secrets by name."""
        folder = self.path / "secrets"
        names = sorted(folder.iterdir()) if folder.is_dir() else []
        return {item.name: item.read_text("utf-8") for item in names if not item.name.startswith(".")}

    def started(self, nonce: str, process: psutil.Process) -> None:
        """Write down that it was started."""
        write_json(self.path / "run.json", {"nonce": nonce, **asdict(alive.Started.of(process))})

    def stopped(self, nonce: str) -> None:
        """Write down that it does not run, so that nobody needs to look for it."""
        write_json(self.path / "run.json", {"nonce": nonce, "stopped": True})

    def process(self, client: LocalClient, record: Record, everyone: Everyone | None = None) -> psutil.Process | None:
        """The living process of a record, or None."""
        run = read_json(self.path / "run.json")
        if isinstance(run, dict) and run.get("nonce") == record.nonce:
            if run.get("stopped"):
                return None
            known = alive.Started(int(run["pid"]), float(run["at"]), str(run.get("boot")))
            if known.boot == alive.boot():
                return alive.find(client, known)
        # Started and not recorded, or recorded before a reboot or in another container: its marker tells.
        everyone = everyone or Everyone(client, self.marker())
        return alive.leader(everyone.marked(self.marker(record.nonce)))

    def remove(self, client: LocalClient) -> None:
        """Remove the folder."""
        with client.tree:
            try:
                shutil.rmtree(self.path)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise refused(error, self.path) from error
            prune(client, self.path)


@dataclass
class Everyone:
    """All processes with a marker, looked for once and only if somebody asks."""

    client: LocalClient
    prefix: str
    _found: list[tuple[str, psutil.Process]] | None = None

    def marked(self, prefix: str) -> list[psutil.Process]:
        """Those whose marker starts with ``prefix``."""
        if self._found is None:
            living = alive.scan(self.client, self.prefix)
            self._found = [(alive.marker_of(process), process) for process in living]
        return [process for marker, process in self._found if marker.startswith(prefix)]


def process_folder(client: LocalClient, name: str) -> ProcessFolder:
    """Where a process of this environment is written down."""
    return ProcessFolder(client.work / "processes" / name)


def reserved_ports(client: LocalClient, but: ProcessFolder) -> set[int]:
    """Ports that other processes of this environment keep, running or not."""
    taken: set[int] = set()
    home = client.work / "processes"
    for path in home.iterdir() if home.is_dir() else ():
        record = ProcessFolder(path).record() if path != but.path else None
        if record is not None:
            taken.update(record.bound.values())
    return taken
