"""A blueprint of light things: folders, files, a secret, a job, and small servers that answer with their name and process id."""

from __future__ import annotations

import json
import re
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlinfra_local import alive
from tests.e2e.cli import Site

SERVER = """
import os, socket, sys
name, config, port = sys.argv[1:]
open(config).close()
door = socket.create_server(("127.0.0.1", int(port)))
print("listening", flush=True)
while True:
    caller, _ = door.accept()
    with caller:
        caller.recv(4096)
        body = f"{name} {os.getpid()}".encode()
        caller.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\nConnection: close\\r\\n\\r\\n" % len(body) + body)
"""
OWN = {"server.py", "seeds", "seeds/a.csv", "seeds/b.csv"}
"""What the blueprint's author put beside it."""


SCRIPT = "server.py of the blueprint's folder"
"""What stands in a command for it until the folder is known."""


def prepare(root: Path) -> Site:
    """A blueprint's folder with what its resources use."""
    (root / "seeds").mkdir(parents=True)
    for name in ("a.csv", "b.csv"):
        (root / "seeds" / name).write_text(f"id\n{name}\n")
    (root / "server.py").write_text(SERVER)
    return Site(root)


def server(name: str, config: str, **more: Any) -> dict[str, Any]:
    """A small server that reads a file at its start."""
    return {
        "type": "local.process",
        "name": name,
        "command": [sys.executable, "-I", "-S", SCRIPT, name, f"${{resource.{config}.path}}", "{port:http}"],
        "ports": {"http": None},
        "probe": {"port": "http", "path": "/", "timeout": 60},
        "grace": 5,
        "restart_on": {"config": f"${{resource.{config}.sha256}}"},
        **more,
    }


def first(site: Site) -> dict[str, Any]:
    """Fifteen resources, the later ones built on the earlier ones."""
    resources: dict[str, Any] = {
        "lake": {"type": "local.folder", "path": "data/lake", "contents": "seeds"},
        "scratch": {"type": "local.folder", "path": "data/scratch"},
        "token": {"type": "local.secret_file", "path": "keys/token", "generate": {"length": 24}},
        "job": {
            "type": "local.job",
            "name": "report",
            "command": ["true"],
            "secrets": {"t": "${resource.token.value}"},
        },
    }
    for name in ("a", "b", "c"):
        text = f"{name} reads ${{resource.lake.path}}\n"
        resources[f"config-{name}"] = {"type": "local.file", "path": f"etc/deep/{name}.conf", "content": text}
        resources[f"web-{name}"] = server(f"web-{name}", f"config-{name}")
    resources["behind"] = server("behind", "config-a", env={"FRONT": "${resource.web-a.urls.http}"})
    for name in ("d", "e", "f", "g"):
        resources[f"note-{name}"] = {
            "type": "local.file",
            "path": f"notes/{name}",
            "content": "${resource.behind.urls.http}",
        }
    return _placed(resources, site)


def second(site: Site) -> dict[str, Any]:
    """The same, changed: files edited and moved, servers restarted, replaced, stopped being wanted, added."""
    resources = first(site)
    resources["config-a"] = {
        **resources["config-a"],
        "content": "a reads something else\n",
    }  # restarts web-a and behind
    resources["config-b"] = {**resources["config-b"], "path": "etc/other/b.conf"}  # replaced, restarts web-b
    resources["web-c"] = server("web-cc", "config-c")  # replaced
    resources["scratch"] = {**resources["scratch"], "path": "data/scrap"}  # replaced
    del resources["note-g"], resources["note-f"]
    resources["web-d"] = server("web-d", "config-b")
    return _placed(resources, site)


def _placed(resources: dict[str, Any], site: Site) -> dict[str, Any]:
    for fields in resources.values():
        if "command" in fields:
            fields["command"] = [str(site.root / "server.py") if w == SCRIPT else w for w in fields["command"]]
    return resources


def observed(site: Site) -> dict[str, Any]:
    """Everything there is, told so that two folders compare: without process ids, port numbers, nonces, times and secrets."""
    return {"state": _state(site), "files": _files(site), "processes": _processes(site)}


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs between two things observed, one line each."""
    lines = []
    for part in ("state", "files"):
        for name in sorted(found[part].keys() | wanted[part].keys()):
            left, right = found[part].get(name), wanted[part].get(name)
            if left != right:
                lines.append(f"{part} {name}: {left!r:.400} instead of {right!r:.400}")
    if found["processes"] != wanted["processes"]:
        lines.append(f"processes: {found['processes']} instead of {wanted['processes']}")
    return lines


def _state(site: Site) -> Any:
    entries = site.recorded()
    for address, entry in entries.items():
        assert not entry.get("tainted"), f"{address} is unfinished"
        for name in ("created_at", "updated_at"):
            entry.pop(name)
        for name in ("pid", "started_at", "bound", "urls"):
            entry["fields"].pop(name, None)
    return json.loads(_plain(json.dumps(entries), site), object_hook=_without_digests)


def _without_digests(found: dict[str, Any]) -> dict[str, Any]:
    """Digests of texts that hold a path or a port differ between two folders (the texts themselves are compared), and so do
    fingerprints, which are salted."""
    return {name: value for name, value in found.items() if name not in ("sha256", "restart_on", "$secret")}


def _files(site: Site) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for name in site.left(without=OWN):
        path = site.root / name
        if path.is_dir():
            found[name] = "folder"
        elif path.parent.name in ("marks", "parents"):  # named after their paths, which differ
            found[str(path.parent)] = found.get(str(path.parent), 0) + 1
        elif path.name == "log.1":  # of a start before: there was one more where a run was taken up again
            continue
        elif path.name in ("process.json", "run.json", "log"):
            found[name] = "what the state and the processes show"
        elif path.name in ("token", "t"):
            found[name] = f"{len(path.read_text())} characters"
        else:
            found[name] = _plain(path.read_text(), site)
    return {name.replace(str(site.root), "ROOT"): told for name, told in found.items()}


def _plain(text: str, site: Site) -> str:
    """A text without what differs between two folders."""
    return re.sub(r"127\.0\.0\.1:\d+", "HERE", text).replace(str(site.root), "ROOT")


def _processes(site: Site) -> list[str]:
    """The name of each living process, having asked it: it answers at its own port, and is the one that is recorded."""
    found = []
    leaders = {}
    for process in site.processes():
        folder = Path(alive.marker_of(process).partition("#")[0])
        found.append(folder.name)
        leaders[folder] = process.pid
    ports = []
    for folder, pid in leaders.items():
        assert json.loads((folder / "run.json").read_text())["pid"] == pid
        port = json.loads((folder / "process.json").read_text())["bound"]["http"]
        ports.append(port)
        assert fetch(f"http://127.0.0.1:{port}/") == f"{folder.name} {pid}"
    assert len(set(ports)) == len(ports)
    return sorted(found)


def fetch(url: str) -> str:
    """What a server answers, asked without a proxy."""
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=10) as answer:
        text: str = answer.read().decode()
        return text
