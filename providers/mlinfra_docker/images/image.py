"""`docker.image`: an image on the engine: pulled by tag or digest, or built from a folder of the blueprint.

What a pulled name stands for is fixed when it is applied: if the name is given to another image later, that is a difference.
A built image carries the digest of what it was built from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, field_validator

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, VOLATILE, WRITE_ONLY
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_docker import labels as own
from mlinfra_docker.failures import EngineError, explained, told
from mlinfra_docker.images import builds
from mlinfra_docker.images.build_context import Context

if TYPE_CHECKING:
    from mlinfra_docker.client import DockerClient

_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


class Build(BaseModel):
    """What an image is built from. ``context`` is a folder, relative to the blueprint's; ``dockerfile`` a path within it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context: str
    dockerfile: str = "Dockerfile"
    args: dict[str, str] = {}
    target: str | None = None


class DockerImage(Resource):
    """An image on the engine.

    Example::

        resource:
          redis: { type: docker.image, name: "redis:7" }
          trainer: { type: docker.image, name: "fraud-ci-trainer", build: { context: trainer } }
    """

    type: ClassVar[str] = "docker.image"
    looks_outside: ClassVar[bool] = True

    name: Annotated[str, REPLACE]
    """``repository:tag`` or ``repository@sha256:…``; the tag is ``latest`` if left out."""
    build: Annotated[Build | None, WRITE_ONLY] = None
    """What to build it from. Without it, it is pulled."""
    keep_locally: Annotated[bool, WRITE_ONLY] = True
    """Whether a pulled image stays on the engine when it leaves the blueprint. A built one never does."""
    content: str | None = None
    """The digest of what it is built from. Follows from ``build``; not to be set."""
    current: bool = True
    """Whether the name still stands for the image that was pulled or built. Not to be set."""
    id: Annotated[str | None, VOLATILE] = None
    """The engine's id, ``sha256:…``. A container that refers to it is made anew with each new image."""
    digest: Annotated[str | None, VOLATILE] = None
    """``repository@sha256:…``, by which the registry knows it."""

    @field_validator("name")
    @classmethod
    def _tagged(cls, value: str) -> str:
        return tagged(value)

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        build = fields["build"]
        if build is None:
            return {**fields, "content": None, "current": True}
        if "@" in fields["name"]:
            raise ProviderError(
                f"{fields['name']} is to be built, and only a registry gives a digest", remedy="Give it a tag instead."
            )
        return {**fields, "content": _context(build, place).digest(), "current": True}

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def read_many(cls, client: DockerClient, known: Sequence[Known]) -> Mapping[str, Fields | None]:
        images = _images(client)
        return {item.address: cls._live(_named(images, item.id), item) for item in known}

    @classmethod
    def _live(cls, image: Mapping[str, Any] | None, known: Known) -> Fields | None:
        if image is None:
            return None
        before = known.fields.get("id")
        content = (image["Labels"] or {}).get(own.CONTENT)
        return {
            "name": known.id,
            "build": known.fields.get("build"),
            "keep_locally": known.fields.get("keep_locally", True),
            "content": content if known.fields.get("content") else None,
            "current": before in (None, image["Id"]),
            # The id that was applied, as long as it is not the one: that is what an apply goes back to.
            "id": before or image["Id"],
            "digest": next(iter(image["RepoDigests"] or ()), None)
            if before in (None, image["Id"])
            else known.fields.get("digest"),
        }

    def locate(self, client: DockerClient, op: Operation) -> str | None:
        if self.build is None:
            return self.name if _named(_images(client), self.name) is not None else None
        builds.settle(client, self.name, op)
        images = _images(client)
        # One that was built and did not get its name any more is ours too: it is to be removed, or built anew.
        return self.name if any(own.our_image(image["Labels"], op.owner) for image in images) else None

    # -- changing -----------------------------------------------------------------------------------------------------

    def create(self, client: DockerClient, op: Operation) -> Created:
        image = _named(_images(client), self.name)
        if self.build is None:
            if image is None:
                op.say(f"pulling {self.name}")
                pull(client, self.name)
        else:
            if image is not None and not op.adopt and not own.ours(image["Labels"], op.owner):
                raise own.not_ours(
                    f"an image named {self.name}", image["Labels"], op, adopting="its name goes to the new image"
                )
            self._make(client, op)
        return Created(self.name)

    def update(
        self, client: DockerClient, known: Known, changes: Sequence[FieldChange], op: Operation
    ) -> Fields | None:
        heads = {change.path.partition(".")[0] for change in changes}
        if self.build is not None and heads & {"build", "content", "current"}:
            self._make(client, op)
        elif self.build is None and heads & {"build", "content", "current"}:
            self._restore(client, known, op)
        images = _images(client)
        told = {**known.fields, **self.model_dump(mode="json", exclude={"id", "digest"}), "id": None}
        return self._live(_named(images, self.name), Known(known.address, self.name, told))

    def _make(self, client: DockerClient, op: Operation) -> None:
        """Give the name to an image of this content: one that is there, or one that is built now. Older ones go."""
        builds.settle(client, self.name, op)
        mine = [image for image in _images(client) if own.our_image(image["Labels"], op.owner)]
        wanted = own.of_image(op.owner, str(self.content))
        fitting = next((image for image in mine if own.ours(image["Labels"], wanted)), None)
        if fitting is None:
            op.say(f"building {self.name}")
            self._build(client, op)
        elif self.name not in (fitting["RepoTags"] or ()):
            _tag(client, fitting["Id"], self.name)
        current = _named(_images(client), self.name)
        for image in mine:
            if current is not None and image["Id"] != current["Id"]:
                _remove(client, image["Id"], unless_used=True)

    def _build(self, client: DockerClient, op: Operation) -> None:
        assert self.build is not None
        context = _context(self.build.model_dump(), client.place)
        doing = f"the image {self.name} cannot be built from {self.build.context}"
        said: list[str] = []
        with told(client.host, doing), context.archive() as archive:
            for event in client.api.build(
                fileobj=archive,
                custom_context=True,
                dockerfile=self.build.dockerfile,
                tag=self.name,
                buildargs=dict(self.build.args),
                target=self.build.target,
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
                said += str(event.get("stream", "")).rstrip().splitlines()

    def _restore(self, client: DockerClient, known: Known, op: Operation) -> None:
        """Let the name stand again for what it stood for; if that is gone, for what the registry has."""
        before = known.fields.get("id")
        if before and any(image["Id"] == before for image in _images(client, every=True)):
            _tag(client, before, self.name)
            return
        digest = known.fields.get("digest")
        op.say(f"pulling {digest or self.name}")
        pull(client, digest or self.name)
        if digest:
            _tag(client, digest, self.name)

    @classmethod
    def delete(cls, client: DockerClient, known: Known, op: Operation) -> None:
        if known.fields.get("content"):
            builds.settle(client, known.id, op)
        images = _images(client)
        for image in images:
            if own.our_image(image["Labels"], op.owner):
                tags = image["RepoTags"] or ()
                # Somebody may have given it a second name: then only ours goes.
                _remove(client, known.id if known.id in tags else image["Id"], unless_used=known.id not in tags)
        named = _named(images, known.id)
        pulled = not known.fields.get("content") and named is not None and not own.ours(named["Labels"], op.owner)
        if pulled and not known.fields.get("keep_locally", True):
            _remove(client, known.id)

    # -- telling ------------------------------------------------------------------------------------------------------

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        paths = {change.path.partition(".")[0]: change for change in changes}
        if set(paths) == {"current"}:
            return "its name was given to another image → given back"
        if "content" in paths and set(paths) <= {"content", "build", "current"}:
            return "built anew" if paths["content"].old else "another image has its name → built anew"
        return None


def tagged(name: str) -> str:
    """An image's name with its tag.

    Errors: ValueError for what cannot be one.
    """
    if not _REFERENCE.fullmatch(name):
        raise ValueError("must be the name of an image, such as redis:7 or redis@sha256:…")
    return name if "@" in name or ":" in name.rpartition("/")[2] else f"{name}:latest"


def pull(client: DockerClient, name: str) -> None:
    """Have the engine get an image from its registry.

    Errors: ProviderError, saying why it cannot.
    """
    repository, tag = split(name)
    doing = f"the image {name} cannot be pulled"
    with told(client.host, doing):
        for event in client.api.pull(repository, tag=tag, stream=True, decode=True):
            if "error" in event:
                raise explained(str(event["error"]), doing=doing)


def _images(client: DockerClient, *, every: bool = False) -> list[dict[str, Any]]:
    return list(client.api.images(all=every))


def _named(images: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """The image that a name stands for."""
    for image in images:
        if name in (image["RepoTags"] or ()) or name in (image["RepoDigests"] or ()):
            return image
        if "@" in name and ":" in name.partition("@")[0].rpartition("/")[2]:
            repository, _, digest = name.partition("@")
            if f"{repository.rpartition(':')[0]}@{digest}" in (image["RepoDigests"] or ()):
                return image
    return None


def _tag(client: DockerClient, image: str, name: str) -> None:
    repository, tag = split(name)
    with told(client.host, f"the name {name} cannot be given to {image}"):
        client.api.tag(image, repository, tag, force=True)


def _remove(client: DockerClient, image: str, *, unless_used: bool = False) -> None:
    try:
        with told(client.host, f"the image {image} cannot be removed"):
            client.api.remove_image(image)
    except EngineError as error:
        # What two remove at once is gone for the second, who is told so in other words.
        if error.gone or "unrecognized image id" in error.said.lower() or (error.status == 409 and unless_used):
            return
        raise


def remove_superseded(client: DockerClient, image: str) -> None:
    """Remove an image that we built and that has lost its name to a newer one, if nothing uses it any more."""
    try:
        found = client.api.ask("GET", f"/images/{image}/json")
    except EngineError as error:
        if error.gone:
            return
        raise
    if not found["RepoTags"] and own.ours(found["Config"]["Labels"], client.owner):
        _remove(client, image, unless_used=True)


def split(name: str) -> tuple[str, str]:
    """The repository of an image's name, and its tag or digest."""
    repository, at, digest = name.partition("@")
    if at:
        return repository, digest
    repository, _, tag = name.rpartition(":")
    return repository, tag


def _context(build: Mapping[str, Any], place: Place) -> Context:
    folder = Path(build["context"])
    return Context(
        place.root / folder, build["dockerfile"], args=build["args"], target=build["target"], shown=str(folder)
    )
