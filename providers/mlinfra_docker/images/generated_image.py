"""`docker.generated_image`: an image that is built from texts which mlinfra makes, instead of from a folder."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mlinfra.sdk.fields import WRITE_ONLY
from mlinfra.sdk.resource import Fields, Known, Operation
from mlinfra_docker import labels as own
from mlinfra_docker.failures import explained, told
from mlinfra_docker.images import builds
from mlinfra_docker.images.image import Build, DockerImage

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient


class DockerGeneratedImage(DockerImage):
    """An image built from texts.

    Example::

        resource:
          tool:
            type: docker.generated_image
            name: fraud-ci-tool
            files: { Dockerfile: "FROM python:3.11-slim\\nRUN pip install requests\\n" }
    """

    type: ClassVar[str] = "docker.generated_image"
    noun: ClassVar[str] = "image"

    build: Annotated[Build | None, WRITE_ONLY] = Build(context="generated texts")
    """Not to be set."""
    files: Annotated[dict[str, str], WRITE_ONLY] = {}
    """What it is built from, by name; one is the ``Dockerfile``."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        files = json.dumps(fields["files"], sort_keys=True)
        return {**fields, "content": hashlib.sha256(files.encode()).hexdigest()[:32], "current": True}

    @classmethod
    def _live(cls, image: Mapping[str, Any] | None, known: Known) -> Fields | None:
        found = super()._live(image, known)
        return None if found is None else {**found, "files": known.fields.get("files")}

    def _build(self, client: DockerClient, op: Operation) -> None:
        doing = f"the image {self.name} cannot be built"
        said: list[str] = []
        with told(client.host, doing):
            for event in client.api.build(
                fileobj=io.BytesIO(self._context()),
                custom_context=True,
                tag=self.name,
                labels=own.of_image(op.owner, str(self.content)),
                extra_hosts=builds.mark(self.name),
                rm=True,
                forcerm=True,
                decode=True,
                timeout=None,
            ):
                if "error" in event:
                    error = explained(str(event["error"]), doing=doing)
                    error.log = "\n".join(said[-20:])
                    raise error
                lines = str(event.get("stream", "")).rstrip().splitlines()
                for line in lines:
                    if line.startswith("Step "):
                        op.say(f"building, {line.partition(' :')[0].lower()}")
                said += lines

    def _context(self) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            for name, text in sorted(self.files.items()):
                data = text.encode()
                item = tarfile.TarInfo(name)
                item.size, item.mode = len(data), 0o644
                tar.addfile(item, io.BytesIO(data))
        return stream.getvalue()
