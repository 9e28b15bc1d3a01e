"""Where a variant's model comes from: a registry, or a folder of the blueprint. Reads that folder, changes nothing."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from mlinfra.kinds.units import ModelRef
from mlinfra.sdk.diagnostics import Diagnostic, DiagnosticError, did_you_mean
from mlinfra.sdk.lowering import Lowering
from mlinfra.sdk.refs import slot
from mlinfra.sdk.workload import Mount, Volume

if TYPE_CHECKING:
    from mlinfra.kinds.endpoint import Variant

_REQUIREMENT: Final = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)[^#]*")
_OWN: Final = frozenset({"mlflow", "mlflow-skinny"})
"""What the server brings itself, in the version that it was tried with."""


@dataclass(frozen=True, slots=True)
class Source:
    """A model: its name and version (a token where an alias decides), ``place`` as the server's configuration file says it,
    the ``requirements`` that its code needs as far as they are known, and what it is read from."""

    model: str
    version: str
    place: Mapping[str, str]
    requirements: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()


def source(name: str, variant: Variant, lowering: Lowering) -> Source:
    """The model of the variant ``name``.

    Errors: DiagnosticError for a model or alias that its registry does not offer, a folder without a model, a value that only
    an apply can tell.
    """
    if variant.artifact is not None:
        return _packed(name, variant.artifact, lowering)
    if isinstance(variant.model, ModelRef):
        return _registered(name, variant.model, lowering)
    raise _refused(
        ("variants", name, "model"),
        f"Which model {name} serves is known only after an apply.",
        "Write the model as a text: registry.NAME/MODEL@ALIAS.",
    )


def _registered(name: str, model: ModelRef, lowering: Lowering) -> Source:
    """A model of a registry; it needs what the trainings need that produce it."""
    outputs = lowering.outputs(model.component)
    wanted: dict[str, None] = {}
    for offered in lowering.offers(f"requirements:{model.component}/{model.model}"):
        wanted.update(dict.fromkeys(offered))
    version = str(model.version) if model.version is not None else _held(name, model, outputs.get("models", {}))
    return Source(model.model, version, {"tracking_uri": outputs["url"]}, tuple(wanted))


def _held(name: str, model: ModelRef, offered: Mapping[str, Mapping[str, Any]]) -> str:
    """The version that an alias points at: a token."""
    aliases = offered.get(model.model)
    alias = model.alias or ""
    if aliases is not None and alias in aliases:
        return str(aliases[alias])
    if aliases is None:
        what, wanted, known = f'there is no model "{model.model}"', model.model, list(offered)
    else:
        what, wanted, known = f'model "{model.model}" has no alias "{alias}"', alias, list(aliases)
    raise _refused(
        ("variants", name, "model"),
        f"In {model.component}, {what}.{did_you_mean(wanted, known)}",
        f"It declares: {', '.join(sorted(known)) or 'none'}. Add it to {model.component}, or correct the reference.",
    )


def _packed(name: str, artifact: str, lowering: Lowering) -> Source:
    """A folder of the blueprint. Its version is a digest of its files; it needs what its own requirements.txt lists."""
    folder = Path(lowering.place.root) / artifact
    if not (folder / "MLmodel").is_file():
        missing = "it has no file MLmodel" if folder.is_dir() else "there is no such folder"
        raise _refused(
            ("variants", name, "artifact"),
            f'"{artifact}" is no model in MLflow\'s format: {missing}.',
            f"Save the model there with mlflow.<flavor>.save_model, or correct the path. It is looked for at {folder}.",
        )
    volume = lowering.volume(Volume(f"model-{name}", contents=artifact))
    listed = folder / "requirements.txt"
    requirements = tuple(_requirements(listed.read_text("utf-8"))) if listed.is_file() else ()
    called = PurePosixPath(artifact).name or name
    return Source(
        called,
        digest(folder),
        {"artifact": slot("path:artifact")},
        requirements,
        (Mount("artifact", volume, read_only=True),),
    )


def digest(folder: Path) -> str:
    """A short digest of the names and bytes of all files below a folder."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()[:12]


def _requirements(text: str) -> Iterator[str]:
    for line in text.splitlines():
        match = _REQUIREMENT.match(line.strip())
        if match is not None and match[1].lower().replace("_", "-") not in _OWN:
            yield match[0].strip()


def _refused(path: tuple[str, ...], detail: str, remedy: str) -> DiagnosticError:
    return DiagnosticError([Diagnostic("model-unknown", "Unknown model", detail, remedy, path=path)])
