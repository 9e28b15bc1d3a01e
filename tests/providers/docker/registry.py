"""A registry of images in this process: the parts of the distribution API that a pull needs, with one small image in it.

An engine trusts a registry on 127.0.0.1 without TLS, so this one needs no certificates.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Registry:
    """``login`` is the name and password that it asks for, if any. Use it as a context manager."""

    login: tuple[str, str] | None = None
    manifests: dict[str, bytes] = field(default_factory=dict)
    """By ``repository:tag`` and ``repository@digest``."""
    blobs: dict[str, bytes] = field(default_factory=dict)
    pulls: int = 0

    def put(self, repository: str, tag: str, text: str) -> str:
        """Have an image whose only file holds ``text``; gives the digest of its manifest."""
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            item = tarfile.TarInfo("hello.txt")
            item.size = len(text)
            tar.addfile(item, io.BytesIO(text.encode()))
        layer = gzip.compress(stream.getvalue(), mtime=0)
        rootfs = {"type": "layers", "diff_ids": [_digest(stream.getvalue())]}
        config = json.dumps(
            {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/hello"]}, "rootfs": rootfs}
        ).encode()
        for blob in (layer, config):
            self.blobs[_digest(blob)] = blob
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(config),
                    "digest": _digest(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(layer),
                        "digest": _digest(layer),
                    }
                ],
            }
        ).encode()
        self.manifests[f"{repository}:{tag}"] = manifest
        self.manifests[f"{repository}@{_digest(manifest)}"] = manifest
        return _digest(manifest)

    def __enter__(self) -> Registry:
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                if registry.login is not None and not self._known():
                    self._answer(
                        401,
                        _error("UNAUTHORIZED", "authentication required"),
                        headers={"WWW-Authenticate": 'Basic realm="registry"'},
                    )
                    return
                if self.path in ("/v2/", "/v2"):
                    self._answer(200, b"{}")
                    return
                repository, _, reference = self.path.removeprefix("/v2/").rpartition("/")
                if repository.endswith("/manifests"):
                    name = repository.removesuffix("/manifests")
                    at = "@" if reference.startswith("sha256:") else ":"
                    found = registry.manifests.get(f"{name}{at}{reference}")
                    registry.pulls += found is not None and self.command == "GET"
                    self._found(found, MANIFEST, "MANIFEST_UNKNOWN", "manifest unknown")
                else:
                    self._found(
                        registry.blobs.get(reference), "application/octet-stream", "BLOB_UNKNOWN", "blob unknown"
                    )

            def _known(self) -> bool:
                sent = self.headers.get("Authorization", "")
                wanted = base64.b64encode(":".join(registry.login or ()).encode()).decode()
                return sent == f"Basic {wanted}"

            def _found(self, data: bytes | None, kind: str, code: str, text: str) -> None:
                if data is None:
                    self._answer(404, _error(code, text))
                else:
                    self._answer(200, data, kind, {"Docker-Content-Digest": _digest(data)})

            def _answer(
                self, status: int, data: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
            ) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.send_header("Docker-Distribution-API-Version", "registry/2.0")
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def host(self) -> str:
        """Its name, as an image's name begins."""
        return f"127.0.0.1:{self._server.server_address[1]}"


def _error(code: str, text: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": text, "detail": {}}]}).encode()
