"""A package index on this machine, with small packages made for a test: uv asks it as it would ask any other."""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wheel(name: str, version: str, requires: Sequence[str] = (), size: int = 0) -> bytes:
    """A wheel with one module, which knows its version."""
    folder = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in requires)
    files = {
        f"{name}.py": f"version = {version!r}\n".encode() + b"#" * size,
        f"{folder}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}".encode(),
        f"{folder}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    for path, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        record.append(f"{path},sha256={digest},{len(content)}")
    files[f"{folder}/RECORD"] = "\n".join([*record, f"{folder}/RECORD,,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content)  # of a fixed date, so that its digest is always the same
    return packed.getvalue()


@dataclass
class Index:
    """``wheels`` maps file names to bytes. Downloads wait while ``open`` is not set; ``asked`` is set by the first of them."""

    wheels: dict[str, bytes] = field(default_factory=dict)
    url: str = ""
    open: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, version: str, requires: Sequence[str] = (), size: int = 0) -> None:
        self.wheels[f"{name}-{version}-py3-none-any.whl"] = wheel(name, version, requires, size)

    def page(self, package: str) -> bytes | None:
        """The index's page of a package."""
        found = [name for name in self.wheels if name.partition("-")[0].replace("_", "-") == package]
        links = (
            f'<a href="/files/{name}#sha256={hashlib.sha256(self.wheels[name]).hexdigest()}">{name}</a>'
            for name in found
        )
        return f"<html><body>{''.join(links)}</body></html>".encode() if found else None


@contextmanager
def serving() -> Iterator[Index]:
    """An index that answers."""
    index = Index()
    index.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, name = self.path.strip("/").partition("/")
            if kind == "files" and self.command == "GET":
                index.asked.set()
                index.open.wait()
            body = index.page(name) if kind == "simple" else index.wheels.get(name)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "text/html" if kind == "simple" else "application/octet-stream")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            try:
                self.wfile.write(body or b"" if self.command == "GET" else b"")
            except OSError:
                self.close_connection = True  # who asked was killed meanwhile

        do_HEAD = do_GET  # noqa: N815 - the name that the base class asks for

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.url = f"http://127.0.0.1:{server.server_port}/simple"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield index
    finally:
        index.open.set()
        server.shutdown()
        thread.join()
        server.server_close()
