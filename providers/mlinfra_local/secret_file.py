"""`local.secret_file`: a secret in a file that only its user can read: given, generated once, or taken from outside.

The value reaches nothing but the file: the state knows a fingerprint.
"""

from __future__ import annotations

import os
import secrets
import stat
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from mlinfra.sdk.errors import ProviderError
from mlinfra.sdk.fields import REPLACE, SECRET
from mlinfra.sdk.provider import Place
from mlinfra.sdk.resource import Created, FieldChange, Fields, Known, Operation, Resource
from mlinfra_local import marks
from mlinfra_local.client import LocalClient
from mlinfra_local.file import claimed, remove, rewrite
from mlinfra_local.paths import inside, refused, source


class Generate(BaseModel):
    """How to make a secret: ``length`` characters drawn from ``alphabet``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length: int = Field(32, ge=8, le=4096)
    alphabet: str = Field(string.ascii_letters + string.digits, min_length=2)


class LocalSecretFile(Resource):
    """A file with a secret, readable by its user only.

    Example::

        resource:
          token: { type: local.secret_file, path: secrets/token, generate: { length: 40 } }
    """

    type: ClassVar[str] = "local.secret_file"
    noun: ClassVar[str] = "secret"
    looks_outside: ClassVar[bool] = True

    path: Annotated[str, REPLACE]
    """Where it lies, relative to the blueprint's folder."""
    value: Annotated[str | None, SECRET] = None
    """The secret, if it is given. Otherwise one of the next three says where it comes from."""
    generate: Generate | None = None
    """Make one when the file is created; it stays the same afterwards."""
    env: str | None = None
    """The environment variable to take it from."""
    from_file: str | None = None
    """The file to take it from, without the line end at its end; relative to the blueprint's folder or ``~``."""
    mode: str = "0600"
    """Permissions; always 0600."""

    @classmethod
    def normalise(cls, fields: Fields, place: Any) -> Fields:
        given = [name for name in ("value", "generate", "env", "from_file") if fields[name] is not None]
        if len(given) > 1:
            raise ProviderError(
                f"the secret {fields['path']} is given by {' and by '.join(given)}", remedy="Leave one of them."
            )
        path = inside(fields["path"], place)
        value = _outside(fields, place)
        if value is None and fields["generate"] is None and not Path(path).exists():
            what, remedy = _missing(fields)
            raise ProviderError(what, remedy=remedy)
        return {**fields, "path": path, "value": value, "mode": "0600"}

    @classmethod
    def read(cls, client: LocalClient, known: Known) -> Fields | None:
        path = Path(known.id)
        mark = marks.find(client, known.id)
        try:
            value = path.read_text("utf-8")
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return {"path": known.id} if mark else None
        except IsADirectoryError:
            raise ProviderError(f"{path} was a file and is a folder now", remedy="Move the folder away.") from None
        except UnicodeDecodeError:
            value, mode = "", path.stat().st_mode
        except OSError as error:
            raise refused(error, path) from error
        notes = mark.notes if mark else {}
        return {"path": known.id, "value": value, "mode": f"{stat.S_IMODE(mode):04o}", **notes}

    def locate(self, client: LocalClient, op: Operation) -> str | None:
        return self.path if marks.ours(marks.find(client, self.path), op) else None

    def create(self, client: LocalClient, op: Operation) -> Created:
        claimed(client, self.path, self._content(client), 0o600, op)
        self._note(client, op)
        return Created(self.path)

    def update(self, client: LocalClient, known: Known, changes: Sequence[FieldChange], op: Operation) -> Fields | None:
        rewrite(client, known.id, self._content(client), 0o600)
        self._note(client, op)
        return None

    def _note(self, client: LocalClient, op: Operation) -> None:
        """Remember where the value came from."""
        told: Fields = {"env": self.env, "from_file": self.from_file}
        told["generate"] = self.generate.model_dump() if self.generate else None
        notes = {name: value for name, value in told.items() if value is not None}
        marks.put(client, marks.Mark(self.path, dict(op.owner), notes=notes))

    def _content(self, client: LocalClient) -> bytes:
        """The value that is given; else the one that was made earlier; else a new one."""
        value = self.value
        path, mark = Path(self.path), marks.find(client, self.path)
        taken = mark is not None and not mark.notes.keys().isdisjoint({"env", "from_file"})
        if value is None and path.is_file() and path.stat().st_size and not (taken and self.generate):
            return path.read_bytes()
        if value is None and self.generate is not None:
            value = "".join(secrets.choice(self.generate.alphabet) for _ in range(self.generate.length))
        if value is None:
            what, remedy = _missing(self.model_dump())
            raise ProviderError(what, remedy=remedy)
        return value.encode()

    @classmethod
    def delete(cls, client: LocalClient, known: Known, op: Operation) -> None:
        remove(client, known.id)

    @classmethod
    def explain(cls, changes: Sequence[FieldChange]) -> str | None:
        if any(change.path == "mode" and change.old is None for change in changes):
            return "deleted → made again"
        paths = [change.path for change in changes]
        if paths == ["mode"]:
            return f"others could read it: mode {changes[0].old} → {changes[0].new}"
        if paths and all(path.startswith("generate.") for path in paths):
            return "how it would be made changes; the value stays"
        return None


def _outside(fields: Fields, place: Place) -> str | None:
    """The value that is given, or stands in an environment variable or a file; None if it is not there."""
    if fields["value"] is not None:
        return str(fields["value"])
    if fields["env"] is not None:
        return os.environ.get(fields["env"])
    if fields["from_file"] is not None:
        name = str(fields["from_file"])
        path = Path(name).expanduser() if name.startswith(("~", "/")) else source(name, place, "from_file")
        try:
            return path.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            return None
    return None


def _missing(fields: Fields) -> tuple[str, str]:
    """What is missing of a secret, and what to do."""
    if fields["env"]:
        return f"the environment variable {fields['env']} is not set", f"Set it: export {fields['env']}=…"
    if fields["from_file"]:
        return f"the file {fields['from_file']} cannot be read", "Create it with the secret as its text."
    return f"the secret {fields['path']} has no value", 'Give one of "value", "generate", "env" or "from_file".'
